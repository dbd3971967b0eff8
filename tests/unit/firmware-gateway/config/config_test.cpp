#include "firmware-gateway/config/config.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "firmware-gateway/adapters/zoneinfo/zone_database.hpp"
#include "proto/platform/system.hpp"
#include "tests/support/temp_folder.hpp"

namespace {

using namespace std::chrono_literals;

constexpr std::string_view minimal = R"([gateway]
id = "shop-1"
[uplink]
broker = "mqtt://127.0.0.1:1883"
)";

const zoneinfo::ZoneDatabase zones;

config::Reading read(std::string_view text) {
  return config::parse(text, "gateway.toml",
                       {.zones = zones, .hasher = platform::hasher(), .dialect = &config::load_dialect});
}

// The errors of a configuration, as the technician sees them.
std::string error_of(const std::string& text) {
  const auto reading = read(text);
  CHECK_FALSE(reading.config);
  std::string lines;
  for (const auto& error : reading.errors) lines += error.text() + "\n";
  return lines;
}

void refuses(const std::string& text, std::string_view key) {
  CAPTURE(text);
  CHECK(error_of(text).find(key) != std::string::npos);
}

std::string with(std::string_view lines) { return std::string(minimal).append(lines); }

struct KeyFile {
  static inline int made = 0;
  std::string path =
      (std::filesystem::temp_directory_path() / fmt::format("tillstream-key-{}-{}", ::getpid(), made++)).string();
  explicit KeyFile(std::size_t bytes, ::mode_t mode = 0600, char byte = 'k') {
    std::ofstream(path) << std::string(bytes, byte);
    ::chmod(path.c_str(), mode);
  }
  KeyFile(const KeyFile&) = delete;
  KeyFile& operator=(const KeyFile&) = delete;
  ~KeyFile() { std::filesystem::remove(path); }
};

}  // namespace

TEST_CASE("config: what is left out has the manual's defaults") {
  const auto reading = read(minimal);
  REQUIRE(reading.config);
  const config::Config& config = *reading.config;
  CHECK(config.state_dir == "/var/lib/tillstream");
  CHECK(config.journal.quota == 512ULL << 20);
  CHECK(config.journal.reserve == 16ULL << 20);
  CHECK(config.journal.retention == 35 * 24h);
  CHECK(config.max_connections == 512);
  CHECK(config.reference_reuse == 12h);
  CHECK(config.http.address == "127.0.0.1:8801");
  CHECK(config.framed.address == "127.0.0.1:8802");
  CHECK(config.admin.listen.address == "127.0.0.1:8800");
  CHECK(config.admin.unhealthy_after == 15min);
  CHECK(config.uplink.window_events == 4096);
  CHECK(config.uplink.window_bytes == 1ULL << 20);
  CHECK(config.uplink.batch_events == 512);
  CHECK(config.uplink.ack_timeout == 30s);
  CHECK_FALSE(config.card.token_keys.current);
  CHECK(config.card.accept == redact::AcceptCardNumbers::loopback);
  CHECK(config.terminals.accept_unknown);
}

TEST_CASE("config: an error names file, line, key, what is wrong and what is allowed") {
  CHECK(error_of(with("window_events = 0\n")).starts_with("gateway.toml:5: uplink.window_events: is 0; allowed:"));
  CHECK(error_of(with("windw_events = 1\n")).find("window_events") != std::string::npos);
  CHECK(error_of(with("[journal]\nquota = \"512\"\n")).find("gateway.toml:6: journal.quota") != std::string::npos);
  CHECK(error_of(with("ack_timeout = 30\n")).find("uplink.ack_timeout") != std::string::npos);
}

TEST_CASE("config: each of these is refused at its own key") {
  refuses("[gateway]\nid = \"Shop_1\"\n[uplink]\nbroker = \"mqtt://localhost\"\n", "gateway.id");
  refuses("[gateway]\nid = \"all\"\n[uplink]\nbroker = \"mqtt://localhost\"\n", "gateway.id");
  refuses("[uplink]\nbroker = \"mqtt://localhost\"\n", "gateway.id");
  refuses("[gateway]\nid = \"shop-1\"\n", "uplink.broker");
  refuses("[gateway]\nid = \"shop-1\"\n[uplink]\nbroker = \"mqtt://broker.example\"\n", "uplink.broker");
  refuses(with("batch_events = 4096\nwindow_events = 16\n"), "uplink.batch_events");
  refuses(with("certificate = \"/nowhere.pem\"\n"), "uplink.certificate");
  refuses(with("password_file = \"/nowhere\"\n"), "uplink.password_file");
  refuses(with("[journal]\nquota = \"31MiB\"\nreserve = \"16MiB\"\n"), "journal.reserve");
  refuses(with("[terminals.http]\nlisten = \"0.0.0.0:8801\"\n"), "terminals.http.listen");
  refuses(with("[terminals.framed]\nlisten = \"nonsense\"\n"), "terminals.framed.listen");
  refuses(with("[terminals.defaults]\ncurrency = \"EURO\"\n"), "terminals.defaults.currency");
  refuses(with("[terminals.defaults]\ntime_zone = \"Europe/Wien\"\n"), "terminals.defaults.time_zone");
  refuses(with("[terminals.defaults]\nday_ends = \"24:00\"\n"), "terminals.defaults.day_ends");
  refuses(with("[terminals.defaults]\nunknown = \"maybe\"\n"), "terminals.defaults.unknown");
  refuses(with("[[terminal]]\nid = \"t1\"\n[[terminal]]\nid = \"t1\"\n"), "id");
  refuses(with("[admin]\nlisten = \"0.0.0.0:8800\"\nallow_plaintext = true\n"), "admin.listen");
  refuses(with("[log]\nlevel = \"loud\"\n"), "log.level");
  refuses(with("[card]\ntoken_key_file = \"/nowhere/key\"\n"), "card.token_key_file");
  refuses(with("[card]\naccept_card_numbers = \"sometimes\"\n"), "card.accept_card_numbers");
}

TEST_CASE("config: a password and a token are a file's first line, and not an empty one") {
  const support::TempFolder folder;
  const auto file = [&](const std::string& text) {
    const std::string path = folder.file("secret");
    std::ofstream(path) << text;
    std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    return path;
  };
  const auto password = [&](const std::string& text) {
    return with("username = \"u\"\npassword_file = \"" + file(text) + "\"\n");
  };
  for (const char* text : {"", "\n", "\r\n", "\nsecret\n"}) refuses(password(text), "uplink.password_file");
  CHECK(error_of(password("")).ends_with("whose first line has 0 characters; needed: at least 1\n"));
  CHECK(read(password("p")).config);
  const auto token = [&](const std::string& text) { return with("[admin]\ntoken_file = \"" + file(text) + "\"\n"); };
  for (const char* text : {"", "\nmore-than-16-characters\n", "15-characters--\n", "15-characters--\nmore\n"})
    refuses(token(text), "admin.token_file");
  const auto reading = read(token("just-sixteen-now\r\nanother line\n"));
  REQUIRE(reading.config);
  CHECK(reading.config->admin.token == "just-sixteen-now");
}

TEST_CASE("config: all errors are reported at once") {
  const auto reading = read("[gateway]\nid = \"SHOP\"\n[uplink]\nbroker = \"x\"\nwindow_events = 0\n[lg]\n");
  CHECK(reading.errors.size() == 4);
}

TEST_CASE("config: listening for other machines needs TLS or the word for going without") {
  CHECK(read(with("[terminals.http]\nlisten = \"0.0.0.0:8801\"\nallow_plaintext = true\n")).config);
  CHECK(read(with("[terminals.http]\nlisten = \"[::1]:0\"\n")).config);
}

TEST_CASE("config: a terminal's own values override the defaults, the others stay") {
  const auto reading = read(with(R"([terminals.defaults]
currency = "978"
merchant_id = "m-1"
day_ends = "04:30"
[[terminal]]
id = "t-chf"
currency = "CHF"
time_zone = "Europe/Zurich"
)"));
  REQUIRE(reading.config);
  const auto& terminals = reading.config->terminals;
  CHECK(terminals.defaults.currency == "EUR");
  CHECK(terminals.defaults.day_ends == 4h + 30min);
  const auto& terminal = terminals.known.at("t-chf");
  CHECK(terminal.currency == "CHF");
  CHECK(terminal.time_zone == "Europe/Zurich");
  CHECK(terminal.merchant_id == "m-1");
  CHECK(terminal.day_ends == 4h + 30min);
}

TEST_CASE("config: a token key is 32 bytes that nobody else may read, and has a name that does not tell it") {
  {
    const KeyFile key(32);
    const auto reading = read(with(fmt::format("[card]\ntoken_key_file = \"{}\"\n", key.path)));
    REQUIRE(reading.config);
    REQUIRE(reading.config->card.token_keys.current);
    CHECK(reading.config->card.token_keys.current->view() == std::string(32, 'k'));
    CHECK(reading.config->card.token_keys.current->name.size() == 8);
    CHECK_FALSE(reading.config->card.token_keys.previous);
    const auto named = read(with(fmt::format("[card]\ntoken_key_file = \"{}\"\ntoken_key_name = \"v1\"\n", key.path)));
    REQUIRE(named.config);
    CHECK(named.config->card.token_keys.current->name == "v1");
  }
  for (const std::size_t bytes : {0, 31, 33}) {
    const KeyFile key(bytes);
    CHECK(error_of(with(fmt::format("[card]\ntoken_key_file = \"{}\"\n", key.path))).find("exactly 32") !=
          std::string::npos);
  }
  {
    const KeyFile zeros(32, 0600, '\0');
    CHECK(error_of(with(fmt::format("[card]\ntoken_key_file = \"{}\"\n", zeros.path))).find("zeros") !=
          std::string::npos);
  }
  const KeyFile open(32, 0640);
  CHECK(error_of(with(fmt::format("[card]\ntoken_key_file = \"{}\"\n", open.path))).find("0600") != std::string::npos);
}

TEST_CASE("config: two token keys while they are rotated, and they are two") {
  const KeyFile newer(32, 0600, 'n');
  const KeyFile older(32);
  const std::string current = fmt::format("[card]\ntoken_key_file = \"{}\"\n", newer.path);
  const auto previous = [](const KeyFile& key) { return fmt::format("previous_token_key_file = \"{}\"\n", key.path); };
  const auto reading = read(with(current + previous(older)));
  REQUIRE(reading.config);
  CHECK(reading.config->card.token_keys.current->view() == std::string(32, 'n'));
  REQUIRE(reading.config->card.token_keys.previous);
  CHECK(reading.config->card.token_keys.previous->view() == std::string(32, 'k'));
  refuses(with(current + previous(newer)), "card.previous_token_key_file");
  refuses(with("[card]\n" + previous(older)), "card.previous_token_key_file");
  refuses(with(current + "previous_token_key_name = \"v1\"\n"), "card.previous_token_key_name");
}

TEST_CASE("config: state_dir is a folder, or not there yet") {
  const KeyFile file(32);
  const auto at = [](std::string_view path) {
    return fmt::format("[gateway]\nid = \"shop-1\"\nstate_dir = \"{}\"\n[uplink]\nbroker = \"mqtt://127.0.0.1:1883\"\n",
                       path);
  };
  refuses(at(file.path), "gateway.state_dir");
  CHECK(read(at("/nowhere/yet")).errors.empty());
}

TEST_CASE("config: a card number where events take their texts from is refused, and no message repeats it") {
  constexpr std::string_view digits = "4111111111111111";
  const auto refused = [&](const std::string& text, std::string_view key, std::string_view why) {
    CAPTURE(text);
    const std::string error = error_of(text);
    CHECK(error.find(key) != std::string::npos);
    CHECK(error.find(why) != std::string::npos);
    CHECK(error.find(digits) == std::string::npos);
    CHECK(error.find("4111 1111") == std::string::npos);
  };
  for (const char* field : {"merchant_id", "merchant_name", "merchant_city"}) {
    const std::string line = fmt::format("{} = \"Kiosk 4111 1111 1111 1111\"\n", field);
    refused(with("[terminals.defaults]\n" + line), fmt::format("terminals.defaults.{}", field), "card number");
    refused(with("[[terminal]]\nid = \"t1\"\n" + line), field, "card number");
  }
  refused(with(fmt::format("[[terminal]]\nid = \"{}\"\n", digits)), "id", "card number");
  refused(fmt::format("[gateway]\nid = \"{}\"\n[uplink]\nbroker = \"mqtt://127.0.0.1\"\n", digits), "gateway.id",
          "card number");
  // Where it is wrong for another reason, too.
  for (const char* field : {"currency", "mcc", "time_zone", "day_ends", "unknown"}) {
    refused(with(fmt::format("[terminals.defaults]\n{} = \"{}\"\n", field, digits)), field, "allowed");
  }
  refused(with(fmt::format("[admin]\nlisten = \"{}\"\n", digits)), "admin.listen", "");
  refused(with(fmt::format("[terminals]\n{} = 1\n", digits)), "terminals", "unknown key");
}

TEST_CASE("config: what goes into events keeps to the rules that terminals keep to") {
  for (const char* field : {"merchant_id", "merchant_name", "merchant_city"}) {
    CAPTURE(field);
    const auto line = [field](std::string_view text) {
      return with(fmt::format("[terminals.defaults]\n{} = \"{}\"\n", field, text));
    };
    std::string umlauts;
    for (int i = 0; i < 64; ++i) umlauts += "ü";
    CHECK(read(line(umlauts)).config);
    CHECK(error_of(line(umlauts + "ü"))
              .find(fmt::format("terminals.defaults.{}: has 65 characters; allowed: at most 64", field)) !=
          std::string::npos);
    // Bidirectional override, line separator, C1, byte order mark, non-character.
    // NOLINTNEXTLINE(misc-misleading-bidirectional): they are what is tested
    for (const char* text : {"a\u202Eb", "a\u2028b", "a\u0085b", "a\uFEFFb", "a\uFDD0b"})
      CHECK(error_of(line(text)).find("cannot be shown; allowed: printable text") != std::string::npos);
  }
  CHECK(error_of(with("[[terminal]]\nid = \"a\u202Eb\"\n")).find("cannot be shown") != std::string::npos);
}

TEST_CASE("config: what needs a restart is named, and nothing else is") {
  const auto before = read(minimal);
  const auto other = read(with("window_events = 600\n[journal]\nquota = \"1GiB\"\n[log]\nlevel = \"debug\"\n"));
  REQUIRE((before.config && other.config));
  CHECK(config::needs_restart(*before.config, *before.config).empty());
  CHECK(config::needs_restart(*before.config, *other.config).size() == 2);
}

TEST_CASE("config: two doors cannot have one address, and the error names both") {
  const auto doors = [](std::string_view http, std::string_view framed, std::string_view admin) {
    return with(
        fmt::format("[terminals.http]\nlisten = \"{}\"\n[terminals.framed]\nlisten = \"{}\"\n"
                    "allow_plaintext = true\n[admin]\nlisten = \"{}\"\n",
                    http, framed, admin));
  };
  const auto same = error_of(doors("127.0.0.1:9001", "127.0.0.1:9001", "127.0.0.1:9002"));
  CHECK(same.find("terminals.framed.listen") != std::string::npos);
  CHECK(same.find("where terminals.http listens") != std::string::npos);
  CHECK(error_of(doors("127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9002")).find("admin.listen") !=
        std::string::npos);
  CHECK(error_of(doors("127.0.0.1:9001", "0.0.0.0:9001", "127.0.0.1:9002")).find("terminals.framed.listen") !=
        std::string::npos);
  CHECK(read(doors("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0")).config);
  CHECK(read(doors("127.0.0.1:9001", "127.0.0.2:9001", "[::1]:9001")).config);
}

TEST_CASE("config: a door for ISO 8583 says its role, and a dialect that it can answer in") {
  const std::string door = R"([terminals.defaults]
time_zone = "Europe/Vienna"
[[terminals.iso8583]]
name = "tills"
)";
  const auto with_door = [&](const std::string& keys) { return with(door + keys); };
  const auto reading = read(with_door("role = \"answer\"\ndialect = \"iso87-bcd\"\n"));
  REQUIRE(reading.config);
  REQUIRE(reading.config->iso8583.size() == 1);
  CHECK(reading.config->iso8583[0].listen.address == "127.0.0.1:8583");
  CHECK(reading.config->iso8583[0].dialect->year == 1987);
  // Whoever is not the host keeps advices from their acquirer so.
  REQUIRE(reading.warnings.size() == 1);
  CHECK(reading.warnings[0].find("their acquirer never sees it") != std::string::npos);

  CHECK(error_of(with_door("dialect = \"iso87-bcd\"\n")).find("role") != std::string::npos);
  CHECK(error_of(with_door("role = \"tap\"\ndialect = \"iso87-bcd\"\n")).find("allowed: \"answer\"") !=
        std::string::npos);
  CHECK(error_of(with_door("role = \"answer\"\n")).find("dialect") != std::string::npos);
  CHECK(error_of(with_door("role = \"answer\"\ndialect = \"iso87-bcdd\"\n")).find("iso87-bcd") != std::string::npos);
  CHECK(error_of(with_door("role = \"answer\"\ndialect = \"iso87-bcd\"\nlisten = \"0.0.0.0:8583\"\n"))
            .find("allow_plaintext") != std::string::npos);
  CHECK(error_of(with_door(
                     "role = \"answer\"\ndialect = \"iso87-bcd\"\nlisten = \"0.0.0.0:8583\"\nallow_plaintext = true\n"))
            .find("card.accept_card_numbers") != std::string::npos);
  CHECK(error_of(
            with_door("role = \"answer\"\ndialect = \"iso87-bcd\"\n[[terminals.iso8583]]\nname = \"tills\"\nlisten = "
                      "\"127.0.0.1:8584\"\nrole = \"answer\"\ndialect = \"iso87-bcd\"\n"))
            .find("that of another") != std::string::npos);
}

TEST_CASE("config: terminals that want a MAC are not answered") {
  const std::string dialect =
      (std::filesystem::temp_directory_path() / fmt::format("tillstream-mac-{}.toml", ::getpid())).string();
  std::ofstream(dialect) << "extends = \"iso87-bcd\"\n[answers]\nmac = true\n";
  const std::string error = error_of(
      with(fmt::format("[[terminals.iso8583]]\nname = \"tills\"\nrole = \"answer\"\ndialect = \"{}\"\n", dialect)));
  std::filesystem::remove(dialect);
  CHECK(error.find("MAC") != std::string::npos);
  CHECK(error.find("tapping the line") != std::string::npos);
}
