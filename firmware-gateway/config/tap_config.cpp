#include "firmware-gateway/config/tap_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "firmware-gateway/tap/matching.hpp"
#include "proto/handoff/topics.hpp"
#include "proto/platform/listen_address.hpp"
#include "proto/platform/tls_settings.hpp"

namespace config {
namespace {

using namespace std::chrono_literals;
using platform::SettingsTable;

constexpr std::uint64_t KiB = 1'024;
constexpr std::uint64_t MiB = 1'024 * KiB;

struct HostAddress {
  std::string host;
  std::uint16_t port = 0;
};

// "10.0.0.7:5000", "[2001:db8::7]:5000", "host.acquirer.example:5000".
std::optional<HostAddress> parse_host(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const std::string_view digits = text.substr(colon + 1);
  HostAddress address{.host = std::string(text.substr(0, colon)), .port = 0};
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), address.port);
  if (failed != std::errc() || end != digits.data() + digits.size() || address.port == 0) return std::nullopt;
  const bool bracketed = address.host.size() > 2 && address.host.front() == '[' && address.host.back() == ']';
  if (bracketed) address.host = address.host.substr(1, address.host.size() - 2);
  const auto of_address = [&](char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return letter || c == '.' || c == '-' || c == '_' || (bracketed && c == ':');
  };
  if (!std::ranges::all_of(address.host, of_address)) return std::nullopt;
  return address;
}

// "12 13", each one of tap::compared_names; nothing when a word is none of them.
std::optional<std::vector<std::string>> host_sets_of(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (word.empty()) continue;
    if (std::ranges::find(tap::compared_names, word) == tap::compared_names.end()) return std::nullopt;
    names.emplace_back(word);
  }
  return names;
}

std::optional<std::string> host_sets_problem(std::string_view text) {
  if (host_sets_of(text)) return std::nullopt;
  return fmt::format(R"(is "{}"; allowed: of {} any, with blanks between them)", text,
                     fmt::join(tap::compared_names, " "));
}

class Reader {
 public:
  Reader(const FindDialect& dialect, std::vector<std::string>& warnings) : dialect_(dialect), warnings_(warnings) {}

  [[nodiscard]] TapConfig read(SettingsTable root) {
    TapConfig config;
    for (SettingsTable& line : root.tables("line")) read_line(line, config);
    if (config.lines.empty()) root.error("line", "is missing; needed: a [[line]] for each host");
    SettingsTable gateway = root.table("gateway");
    config.socket = gateway.text("socket", "/run/tillstream/tap.sock", socket_path_problem);
    if (config.socket.empty()) gateway.error("socket", "is empty; needed: the gateway's tap.socket");
    config.memory_bytes = static_cast<std::size_t>(gateway.bytes("memory", "16MiB", 64 * KiB, 1'024 * MiB));
    read_admin(root.table("admin"), config);
    config.log = read_log(root.table("log"));
    return config;
  }

 private:
  void read_line(SettingsTable& table, TapConfig& config) {
    TapLine line;
    line.name = table.required_text("name", [](std::string_view name) -> std::optional<std::string> {
      if (handoff::gateway_id_allowed(name)) return std::nullopt;
      return fmt::format(R"(is "{}"; allowed: 1 to 63 of a-z, 0-9 and -)", name);
    });
    if (std::ranges::find(config.lines, line.name, &TapLine::name) != config.lines.end())
      table.error("name", fmt::format("is \"{}\", as that of another [[line]]", line.name));
    line.listen = table.required_text("listen");
    check_listen(table, "listen", line.listen, "line " + line.name);
    read_host(table, line);
    line.dialect_name = table.required_text("dialect");
    if (!line.dialect_name.empty()) read_dialect(table, line);
    line.host_timeout = table.duration("host_timeout", "60s", 1s, 1h);
    line.host_sets = host_sets_of(table.text("host_sets", "", host_sets_problem)).value_or(std::vector<std::string>());
    line.max_connections = static_cast<std::size_t>(table.integer("max_connections", 512, {1, 100'000}));
    read_line_tls(table, line);
    config.lines.push_back(std::move(line));
  }

  static void read_host(SettingsTable& table, TapLine& line) {
    const std::string host = table.required_text("host");
    if (host.empty()) return;
    const auto address = parse_host(host);
    if (!address)
      return table.error("host",
                         fmt::format(R"(is "{}"; needed: an address or a name, and a port, as "10.0.0.7:5000")", host));
    line.host = address->host;
    line.port = address->port;
    if (host == line.listen) table.error("host", "is where this line listens itself");
  }

  void read_dialect(SettingsTable& table, TapLine& line) const {
    DialectReading reading = dialect_(line.dialect_name);
    for (const auto& error : reading.errors) table.error("dialect", error.text());
    if (!reading.dialect) return;
    if (reading.dialect->framing.length == iso8583::FrameLength::none)
      table.error("dialect",
                  fmt::format("\"{}\" does not say how messages are cut out of a line; needed: [framing] length",
                              line.dialect_name));
    line.dialect = std::make_shared<const iso8583::Dialect>(std::move(*reading.dialect));
  }

  void read_line_tls(SettingsTable& table, TapLine& line) {
    line.tls = read_tls(table, warnings_);
    if (table.has("host_tls")) line.host_tls = read_host_tls(table.table("host_tls"));
    if (line.tls.has_value() != line.host_tls.has_value()) {
      table.error(line.tls ? "host_tls" : "tls",
                  "is missing; needed: tls and host_tls, or neither: what the terminals speak is what the host hears");
    } else if (!line.tls) {
      warnings_.push_back(
          fmt::format("line {}: has no tls: a connection on which the terminal speaks TLS is relayed unread, and makes "
                      "no events (status: unread)",
                      line.name));
    }
  }

  [[nodiscard]] TapLine::HostTls read_host_tls(SettingsTable table) {
    TapLine::HostTls tls{
        .ca = table.text("ca", ""), .certificate = table.text("certificate", ""), .key = table.text("key", "")};
    platform::check_authorities(table, "ca", tls.ca);
    if (tls.certificate.empty() != tls.key.empty()) {
      table.error(tls.key.empty() ? "certificate" : "key",
                  "is given without the other; needed: certificate and key, or neither");
    } else if (!tls.certificate.empty()) {
      platform::check_credentials(table, "certificate", tls.certificate, tls.key, warnings_);
    }
    return tls;
  }

  void read_admin(SettingsTable table, TapConfig& config) {
    config.admin = table.text("listen", "127.0.0.1:8820");
    check_listen(table, "listen", config.admin, "admin");
    const auto address = platform::parse_listen_address(config.admin);
    if (address && !address->loopback)
      table.error("listen",
                  fmt::format("is \"{}\", which other machines can reach; allowed: 127.0.0.1 or [::1]", config.admin));
    config.unhealthy_after = table.duration("unhealthy_after", "15min", 1s, 24h * 365);
  }

  void check_listen(SettingsTable& table, std::string_view key, const std::string& text, const std::string& door) {
    if (text.empty()) return;
    const auto address = platform::parse_listen_address(text);
    if (!address) return table.error(key, address.error());
    if (const auto problem = doors_.take(door, *address))
      table.error(key, fmt::format("is \"{}\", {}", text, *problem));
  }

  const FindDialect& dialect_;
  std::vector<std::string>& warnings_;
  Doors doors_;
};

TapReading read(platform::Settings settings, const FindDialect& dialect) {
  TapReading reading;
  TapConfig config = Reader(dialect, reading.warnings).read(settings.root());
  settings.finish();
  reading.errors = settings.errors();
  mask_card_data(reading.errors, reading.warnings);
  if (reading.errors.empty()) reading.config = std::move(config);
  return reading;
}

}  // namespace

TapReading load_tap(const std::string& path, const FindDialect& dialect) {
  return read(platform::Settings::load(path), dialect);
}

TapReading parse_tap(std::string_view text, const std::string& file, const FindDialect& dialect) {
  return read(platform::Settings::parse(text, file), dialect);
}

}  // namespace config
