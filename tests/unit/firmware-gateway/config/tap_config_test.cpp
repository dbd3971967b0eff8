#include "firmware-gateway/config/tap_config.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;

constexpr std::string_view line = R"([[line]]
name = "tills"
listen = "127.0.0.1:8583"
host = "host.acquirer.example:5000"
dialect = "iso87-ascii"
)";

config::TapReading read(std::string_view text) { return config::parse_tap(text, "tap.toml", &config::load_dialect); }

std::string error_of(const std::string& text) {
  const auto reading = read(text);
  CHECK_FALSE(reading.config);
  std::string lines;
  for (const auto& error : reading.errors) lines += error.text() + "\n";
  return lines;
}

std::string with(std::string_view lines) { return std::string(line).append(lines); }

}  // namespace

TEST_CASE("tap config: what is left out has the README's defaults") {
  const auto reading = read(line);
  REQUIRE(reading.config);
  const config::TapConfig& config = *reading.config;
  CHECK(config.socket == "/run/tillstream/tap.sock");
  CHECK(config.memory_bytes == 16UL << 20U);
  CHECK(config.admin == "127.0.0.1:8820");
  CHECK(config.unhealthy_after == 15min);
  REQUIRE(config.lines.size() == 1);
  CHECK(config.lines[0].host == "host.acquirer.example");
  CHECK(config.lines[0].port == 5000);
  CHECK(config.lines[0].host_timeout == 60s);
  CHECK(config.lines[0].host_sets.empty());
  CHECK(config.lines[0].max_connections == 512);
  CHECK(config.lines[0].dialect != nullptr);
  CHECK_FALSE(config.lines[0].tls);
  // What a technician cannot see by himself: TLS would go through unread.
  REQUIRE(reading.warnings.size() == 1);
  CHECK(reading.warnings[0].find("line tills: has no tls") == 0);
}

TEST_CASE("tap config: what the host sets anew") {
  const auto reading = read(with("host_sets = \"12  13 tpdu\"\n"));
  REQUIRE(reading.config);
  CHECK(reading.config->lines[0].host_sets == std::vector<std::string>{"12", "13", "tpdu"});
}

TEST_CASE("tap config: hosts, as addresses and names") {
  for (const auto& [host, name] : std::vector<std::pair<std::string, std::string>>{
           {"10.0.0.7:5000", "10.0.0.7"}, {"[2001:db8::7]:5000", "2001:db8::7"}, {"host-1:5000", "host-1"}}) {
    std::string text(line);
    text.replace(text.find("host.acquirer.example:5000"), 26, host);
    const auto reading = read(text);
    REQUIRE(reading.config);
    CHECK(reading.config->lines[0].host == name);
    CHECK(reading.config->lines[0].port == 5000);
  }
  for (const std::string host :
       {"10.0.0.7", ":5000", "host:", "host:0", "host:65536", "host:5000x", "a b:5000", "2001:db8::7:5000"}) {
    CAPTURE(host);
    std::string text(line);
    text.replace(text.find("host.acquirer.example:5000"), 26, host);
    CHECK(error_of(text) == "tap.toml:4: line[0].host: is \"" + host +
                                "\"; needed: an address or a name, and a port, as \"10.0.0.7:5000\"\n");
  }
}

TEST_CASE("tap config: what is wrong is named by line and key, with what is allowed") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "tap.toml: line: is missing; needed: a [[line]] for each host\n"},
      {with("speed = 1\n"), "tap.toml:6: line[0].speed: unknown key"},
      {with("host_timeout = \"0s\"\n"), "tap.toml:6: line[0].host_timeout: is \"0s\"; allowed: 1s to 1h"},
      {with("host_sets = \"12 11\"\n"),
       "tap.toml:6: line[0].host_sets: is \"12 11\"; allowed: of tpdu 7 12 13 37 42 any, with blanks between them"},
      {with("host_tls = { ca = \"\" }\n"), "line[0].tls: is missing; needed: tls and host_tls, or neither"},
      {with("[gateway]\nsocket = \"tap.sock\"\n"),
       "gateway.socket: is \"tap.sock\"; needed: a path that begins with /"},
      {with("[gateway]\nsocket = \"\"\n"), "gateway.socket: is empty"},
      {with("[gateway]\nsocket = \"/" + std::string(107, 'x') + "\"\n"),
       "gateway.socket: has 108 bytes; allowed: at most 107"},
      {with("[gateway]\nmemory = \"1KiB\"\n"), "gateway.memory: "},
      {with("[admin]\nlisten = \"0.0.0.0:8820\"\n"),
       "admin.listen: is \"0.0.0.0:8820\", which other machines can reach"},
      {with("[admin]\nlisten = \"127.0.0.1:8583\"\n"),
       "admin.listen: is \"127.0.0.1:8583\", where line tills listens already"},
      {with(line), "line[1].name: is \"tills\", as that of another [[line]]"},
      {with("[log]\nlevel = \"loud\"\n"), "log.level: "},
  };
  for (const auto& [text, complaint] : cases) {
    CAPTURE(text);
    const std::string errors = error_of(text);
    CAPTURE(errors);
    CHECK(errors.find(complaint) != std::string::npos);
  }
}

TEST_CASE("tap config: no message repeats a card number") {
  std::string text(line);
  text.replace(text.find("host.acquirer.example:5000"), 26, "4111111111111111");
  CHECK(error_of(text).find("4111111111111111") == std::string::npos);
}
