#include "firmware-gateway/config/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "firmware-gateway/config/broker_url.hpp"
#include "firmware-gateway/config/tables.hpp"
#include "firmware-gateway/ingest/field_rules.hpp"
#include "firmware-gateway/redact/scan.hpp"
#include "firmware-gateway/redact/unicode.hpp"
#include "proto/base/currency.hpp"
#include "proto/base/token_key.hpp"
#include "proto/handoff/topics.hpp"
#include "proto/platform/admin_access.hpp"
#include "proto/platform/certificates.hpp"
#include "proto/platform/listen_address.hpp"
#include "proto/platform/locked_memory.hpp"
#include "proto/platform/private_file.hpp"
#include "proto/platform/tls_settings.hpp"

namespace config {

namespace {

using namespace std::chrono_literals;
using platform::SettingsTable;

constexpr std::uint64_t KiB = 1'024;
constexpr std::uint64_t MiB = 1'024 * KiB;
constexpr std::uint64_t GiB = 1'024 * MiB;

constexpr const char* card_data_refused =
    "holds a card number, which would go into every event; needed: a text without one";

bool holds_card_data(std::string_view text) { return !redact::find_card_data(text).empty(); }

class Reader {
 public:
  Reader(const Needs& needs, std::vector<std::string>& warnings) : needs_(needs), warnings_(warnings) {}

  [[nodiscard]] Config read(SettingsTable root) {
    Config config;
    read_gateway(root.table("gateway"), config);
    read_journal(root.table("journal"), config.journal);
    read_terminals(root, config);
    read_card(root.table("card"), config.card);
    for (SettingsTable& door : root.table("terminals").tables("iso8583")) read_iso8583(door, config);
    config.tap_socket = root.table("tap").text("socket", "", socket_path_problem);
    read_uplink(root.table("uplink"), config);
    read_admin(root.table("admin"), config.admin);
    config.log = read_log(root.table("log"));
    return config;
  }

 private:
  static void read_gateway(SettingsTable table, Config& config) {
    config.gateway_id = table.required_text("id", [](std::string_view id) -> std::optional<std::string> {
      if (holds_card_data(id)) return card_data_refused;
      if (handoff::gateway_id_allowed(id)) return std::nullopt;
      return fmt::format(R"(is "{}"; allowed: 1 to 63 of a-z, 0-9 and -, but not "all")", id);
    });
    config.state_dir =
        table.text("state_dir", "/var/lib/tillstream", [](std::string_view path) -> std::optional<std::string> {
          if (path.empty()) return "is empty; needed: a folder of this gateway's own";
          std::error_code ignored;
          if (!std::filesystem::exists(path, ignored) || std::filesystem::is_directory(path, ignored))
            return std::nullopt;
          return fmt::format("is \"{}\", which is no folder; needed: a folder of this gateway's own", path);
        });
  }

  static void read_journal(SettingsTable table, Journal& journal) {
    journal.quota = table.bytes("quota", "512MiB", 4 * MiB, 1'024 * GiB);
    // Not said: 16 MiB, of a small quota its eighth.
    journal.reserve =
        table.has("reserve") ? table.bytes("reserve", "16MiB", 0, 1'024 * GiB) : std::min(16 * MiB, journal.quota / 8);
    journal.retention =
        std::chrono::duration_cast<std::chrono::seconds>(table.duration("retention", "35d", 1min, 24h * 3'650));
    // The quota also holds the write-ahead log and the ballast: of a small one little is left for a reserve.
    if (journal.reserve > journal.quota / 2) {
      table.error("reserve", fmt::format("is {} bytes; allowed: up to half of the quota ({} bytes)", journal.reserve,
                                         journal.quota / 2));
    }
  }

  void read_terminals(SettingsTable& root, Config& config) {
    SettingsTable table = root.table("terminals");
    config.max_connections = static_cast<std::size_t>(table.integer("max_connections", 512, {1, 100'000}));
    config.reference_reuse = table.duration("reference_reuse", "12h", 0ms, 24h * 365);
    SettingsTable defaults = table.table("defaults");
    config.terminals.defaults = read_profile(defaults, {});
    config.terminals.accept_unknown = defaults.word("unknown", "accept", {"accept", "refuse"}) == "accept";
    config.http = read_listen(table.table("http"), "terminals.http", "127.0.0.1:8801");
    config.framed = read_listen(table.table("framed"), "terminals.framed", "127.0.0.1:8802");
    for (SettingsTable& terminal : root.tables("terminal")) {
      const std::string id = terminal.required_text("id", event_text);
      const auto [entry, added] = config.terminals.known.emplace(id, read_profile(terminal, config.terminals.defaults));
      if (!added && !id.empty()) terminal.error("id", fmt::format("is \"{}\", as that of another [[terminal]]", id));
    }
    if (!config.terminals.accept_unknown && config.terminals.known.empty()) {
      warnings_.emplace_back(
          "terminals.defaults.unknown = \"refuse\" and no [[terminal]]: every event will be refused");
    }
  }

  void read_iso8583(SettingsTable& table, Config& config) {
    Iso8583Door door;
    door.name = table.required_text("name", [](std::string_view name) -> std::optional<std::string> {
      if (handoff::gateway_id_allowed(name)) return std::nullopt;
      return fmt::format(R"(is "{}"; allowed: 1 to 63 of a-z, 0-9 and -)", name);
    });
    const auto same_name = [&](const Iso8583Door& other) { return other.name == door.name; };
    if (std::ranges::any_of(config.iso8583, same_name))
      table.error("name", fmt::format("is \"{}\", as that of another [[terminals.iso8583]]", door.name));
    door.listen = read_listen(table, fmt::format("terminals.iso8583 {}", door.name), "127.0.0.1:8583");
    static_cast<void>(table.required_text("role", [](std::string_view role) -> std::optional<std::string> {
      if (role == "answer") return std::nullopt;
      return R"(is not "answer"; allowed: "answer", for a gateway that is the terminals' host)";
    }));
    door.dialect_name = table.required_text("dialect");
    if (!door.dialect_name.empty()) read_dialect(table, door);
    check_iso8583(table, door, config);
    config.iso8583.push_back(std::move(door));
  }

  void read_dialect(SettingsTable& table, Iso8583Door& door) const {
    DialectReading reading = needs_.dialect(door.dialect_name);
    for (const auto& error : reading.errors) table.error("dialect", error.text());
    if (!reading.dialect) return;
    if (reading.dialect->answers.mac)
      table.error("dialect", fmt::format("\"{}\" wants a MAC on every message, which this gateway cannot make; needed: "
                                         "another dialect, or tapping the line",
                                         door.dialect_name));
    if (reading.dialect->framing.length == iso8583::FrameLength::none)
      table.error("dialect",
                  fmt::format("\"{}\" does not say how messages are cut out of a line; needed: [framing] length",
                              door.dialect_name));
    door.dialect = std::make_shared<const iso8583::Dialect>(std::move(*reading.dialect));
  }

  // What these terminals send are card numbers in clear.
  void check_iso8583(SettingsTable& table, const Iso8583Door& door, const Config& config) {
    const auto address = platform::parse_listen_address(door.listen.address);
    const bool refuses = config.card.accept == redact::AcceptCardNumbers::never ||
                         (config.card.accept == redact::AcceptCardNumbers::loopback && address && !address->loopback);
    if (!door.listen.tls && refuses)
      table.error("listen",
                  fmt::format("is \"{}\", where card numbers come in clear and are refused; needed: tls = {{ … }}, "
                              "or card.accept_card_numbers = \"always\"",
                              door.listen.address));
    warnings_.push_back(fmt::format(
        "terminals.iso8583 {}: answers as the terminals' host: an advice that is stored here is answered as "
        "accepted, and their acquirer never sees it",
        door.name));
    if (config.terminals.defaults.time_zone.empty())
      warnings_.push_back(
          fmt::format("terminals.iso8583 {}: terminals write local time without a zone, and "
                      "terminals.defaults.time_zone is not set",
                      door.name));
  }

  // What goes into events as it stands: the guard at the terminals' door never sees it.
  [[nodiscard]] static std::optional<std::string> event_text(std::string_view text) {
    if (holds_card_data(text)) return card_data_refused;
    if (!redact::is_printable(text))
      return "holds a control character or one that cannot be shown; allowed: printable text";
    const std::size_t characters = redact::count_characters(text).value_or(text.size());
    if (characters <= ingest::text_characters_max) return std::nullopt;
    return fmt::format("has {} characters; allowed: at most {}", characters, ingest::text_characters_max);
  }

  [[nodiscard]] ingest::TerminalProfile read_profile(SettingsTable& table,
                                                     const ingest::TerminalProfile& fallback) const {
    ingest::TerminalProfile profile;
    const std::string currency =
        table.text("currency", fallback.currency, [](std::string_view code) -> std::optional<std::string> {
          if (code.empty() || base::find_currency(code)) return std::nullopt;
          return fmt::format(R"(is "{}"; allowed: an ISO 4217 code, as "EUR" or "978")", code);
        });
    if (const auto known = base::find_currency(currency)) profile.currency = known->alpha;
    profile.time_zone =
        table.text("time_zone", fallback.time_zone, [this](std::string_view zone) -> std::optional<std::string> {
          if (zone.empty() || needs_.zones.offset_at(zone, {})) return std::nullopt;
          return fmt::format(
              "is \"{}\"; allowed: a zone of the system's database, as \"Europe/Vienna\" (see timedatectl "
              "list-timezones)",
              zone);
        });
    profile.day_ends = read_day_ends(table, fallback.day_ends);
    profile.merchant_id = table.text("merchant_id", fallback.merchant_id, event_text);
    profile.merchant_name = table.text("merchant_name", fallback.merchant_name, event_text);
    profile.merchant_city = table.text("merchant_city", fallback.merchant_city, event_text);
    profile.mcc = table.text("mcc", fallback.mcc, [](std::string_view mcc) -> std::optional<std::string> {
      if (mcc.empty() || (mcc.size() == 4 && all_digits(mcc))) return std::nullopt;
      return fmt::format("is \"{}\"; allowed: four digits", mcc);
    });
    return profile;
  }

  [[nodiscard]] static bool all_digits(std::string_view text) {
    return text.find_first_not_of("0123456789") == std::string_view::npos;
  }

  [[nodiscard]] static std::optional<std::chrono::minutes> parse_hour(std::string_view text) {
    if (text.size() != 5 || text[2] != ':' || !all_digits(text.substr(0, 2)) || !all_digits(text.substr(3)))
      return std::nullopt;
    const int hour = (text[0] - '0') * 10 + (text[1] - '0');
    const int minute = (text[3] - '0') * 10 + (text[4] - '0');
    if (hour > 23 || minute > 59) return std::nullopt;
    return std::chrono::hours(hour) + std::chrono::minutes(minute);
  }

  [[nodiscard]] static std::chrono::minutes read_day_ends(SettingsTable& table, std::chrono::minutes fallback) {
    const std::string before = fmt::format("{:02}:{:02}", fallback.count() / 60, fallback.count() % 60);
    const std::string text = table.text("day_ends", before, [](std::string_view hour) -> std::optional<std::string> {
      if (parse_hour(hour)) return std::nullopt;
      return fmt::format(R"(is "{}"; allowed: "00:00" to "23:59")", hour);
    });
    return parse_hour(text).value_or(fallback);
  }

  [[nodiscard]] Listen read_listen(SettingsTable table, const std::string& door, std::string_view fallback) {
    Listen listen{.address = table.text("listen", fallback), .tls = read_tls(table, warnings_)};
    const bool allow_plaintext = table.boolean("allow_plaintext", false);
    const auto address = platform::parse_listen_address(listen.address);
    if (!address) {
      table.error("listen", address.error());
    } else if (!address->loopback && !listen.tls && !allow_plaintext) {
      table.error(
          "listen",
          fmt::format("is \"{}\", which other machines can reach; needed: tls = {{ certificate = …, key = … }}, or "
                      "allow_plaintext = true",
                      listen.address));
    } else if (auto problem = doors_.take(door, *address)) {
      table.error("listen", fmt::format("is \"{}\", {}", listen.address, *problem));
    }
    return listen;
  }

  void read_card(SettingsTable table, Card& card) {
    const std::string accept = table.word("accept_card_numbers", "loopback", {"never", "loopback", "always"});
    card.accept = accept == "never"    ? redact::AcceptCardNumbers::never
                  : accept == "always" ? redact::AcceptCardNumbers::always
                                       : redact::AcceptCardNumbers::loopback;
    if (accept == "always") {
      warnings_.emplace_back("card.accept_card_numbers = \"always\": card numbers may cross the network in clear");
    }
    card.token_keys.current = read_token_key(table, "token_key_file", "token_key_name");
    card.token_keys.previous = read_token_key(table, "previous_token_key_file", "previous_token_key_name");
    if (!card.token_keys.previous) return;
    if (!table.has("token_key_file")) {
      table.error("previous_token_key_file", "is given without token_key_file, which is the key that follows it");
    } else if (card.token_keys.current && card.token_keys.current->view() == card.token_keys.previous->view()) {
      table.error("previous_token_key_file", "is the same key as that of token_key_file; needed: the one before");
    }
  }

  [[nodiscard]] std::optional<redact::TokenKey> read_token_key(SettingsTable& table, const char* file_key,
                                                               const char* name_key) {
    const std::string file = table.text(file_key, "");
    const std::string name = table.text(name_key, "", event_text);
    const auto refuse = [&](const char* key, std::string why) {
      table.error(key, std::move(why));
      return std::nullopt;
    };
    if (file.empty())
      return name.empty() ? std::nullopt : refuse(name_key, fmt::format("names a key, but there is no {}", file_key));
    const auto key = platform::read_private_bytes(file, base::token_key_bytes);
    if (!key) return refuse(file_key, key.error());
    if (key->view().size() != base::token_key_bytes) {
      const std::string size =
          key->view().size() > base::token_key_bytes ? "more" : fmt::format("{}", key->view().size());
      return refuse(
          file_key,
          fmt::format("{}: has {} bytes; needed: exactly {} (tillstream-bridge token-key derive makes such a key)",
                      file, size, base::token_key_bytes));
    }
    if (key->view().find_first_not_of('\0') == std::string::npos) {
      return refuse(file_key, fmt::format("{}: holds nothing but zeros, which anybody can guess; needed: random bytes "
                                          "(tillstream-bridge token-key derive makes such a key)",
                                          file));
    }
    return redact::TokenKey{.name = name.empty() ? base::token_key_name(needs_.hasher, key->view()) : name,
                            .bytes = key->share()};
  }

  void read_uplink(SettingsTable table, Config& config) {
    Uplink& uplink = config.uplink;
    const std::string broker = table.required_text("broker");
    const bool allow_plaintext = table.boolean("allow_plaintext", false);
    uplink.ca = table.text("ca", "");
    uplink.certificate = table.text("certificate", "");
    uplink.key = table.text("key", "");
    uplink.username = table.text("username", "");
    uplink.password_file = table.text("password_file", "");
    uplink.window_events = static_cast<std::uint64_t>(table.integer("window_events", 4'096, {1, 65'536}));
    uplink.window_bytes = table.bytes("window_bytes", "1MiB", 64 * KiB, 64 * MiB);
    uplink.batch_events = static_cast<std::uint64_t>(table.integer("batch_events", 512, {1, 4'096}));
    uplink.ack_timeout = table.duration("ack_timeout", "30s", 1s, 1h);
    if (uplink.batch_events > uplink.window_events) {
      table.error("batch_events",
                  fmt::format("is {}; allowed: at most window_events ({})", uplink.batch_events, uplink.window_events));
    }
    if (broker.empty()) return;
    const auto url = parse_broker_url(broker);
    if (!url) return table.error("broker", url.error());
    uplink.host = url->host;
    uplink.port = url->port;
    uplink.tls = url->tls;
    if (!url->tls && !url->loopback && !allow_plaintext) {
      table.error(
          "broker",
          fmt::format("is \"{}\", in clear to another machine; needed: mqtts://, or allow_plaintext = true", broker));
    }
    check_uplink_files(table, config);
  }

  void check_uplink_files(SettingsTable& table, const Config& config) {
    const Uplink& uplink = config.uplink;
    if (uplink.certificate.empty() != uplink.key.empty()) {
      table.error(uplink.key.empty() ? "certificate" : "key",
                  "is given without the other; needed: certificate and key, or neither");
    } else if (!uplink.certificate.empty()) {
      platform::check_credentials(table, "certificate", uplink.certificate, uplink.key, warnings_);
      const auto name = platform::common_name(uplink.certificate);
      if (name && *name != config.gateway_id) {
        table.error("certificate", fmt::format(R"({}: its common name is "{}"; needed: gateway.id ("{}"))",
                                               uplink.certificate, *name, config.gateway_id));
      }
    }
    platform::check_authorities(table, "ca", uplink.ca);
    if (!uplink.tls && !(uplink.ca.empty() && uplink.certificate.empty())) {
      table.error("broker", "is mqtt://, but ca or certificate is given; needed: mqtts://, or neither of them");
    }
    if (!uplink.password_file.empty()) {
      if (uplink.username.empty()) table.error("password_file", "is given without username");
      // Read anew at each connect.
      if (const auto password = platform::read_private_secret(uplink.password_file, 1); !password)
        table.error("password_file", password.error());
    }
  }

  void read_admin(SettingsTable table, Admin& admin) {
    admin.listen = read_listen(table, "admin", "127.0.0.1:8800");
    admin.unhealthy_after = table.duration("unhealthy_after", "15min", 1s, 24h * 365);
    const std::string file = table.text("token_file", "");
    if (!file.empty()) {
      auto token = platform::read_private_secret(file, platform::admin_token_length_min);
      if (!token) return table.error("token_file", token.error());
      admin.token = std::move(*token);
    }
    const auto address = platform::parse_listen_address(admin.listen.address);
    if (address && !address->loopback && admin.token.empty()) {
      table.error(
          "listen",
          fmt::format("is \"{}\", which other machines can reach; needed: token_file, whose content they have to know",
                      admin.listen.address));
    }
  }

  const Needs& needs_;
  std::vector<std::string>& warnings_;
  Doors doors_;
};

Reading read(platform::Settings settings, const Needs& needs) {
  Reading reading;
  Config config = Reader(needs, reading.warnings).read(settings.root());
  settings.finish();
  reading.errors = settings.errors();
  mask_card_data(reading.errors, reading.warnings);
  if (reading.errors.empty()) reading.config = std::move(config);
  return reading;
}

}  // namespace

Reading load(const std::string& path, const Needs& needs) { return read(platform::Settings::load(path), needs); }

Reading parse(std::string_view text, const std::string& file, const Needs& needs) {
  return read(platform::Settings::parse(text, file), needs);
}

std::vector<std::string_view> needs_restart(const Config& before, const Config& after) {
  std::vector<std::string_view> keys;
  if (before.gateway_id != after.gateway_id) keys.emplace_back("gateway.id");
  if (before.state_dir != after.state_dir) keys.emplace_back("gateway.state_dir");
  if (before.journal != after.journal) keys.emplace_back("[journal]");
  if (before.max_connections != after.max_connections) keys.emplace_back("terminals.max_connections");
  if (before.http != after.http) keys.emplace_back("[terminals.http]");
  if (before.framed != after.framed) keys.emplace_back("[terminals.framed]");
  if (before.iso8583 != after.iso8583) keys.emplace_back("[[terminals.iso8583]]");
  if (before.tap_socket != after.tap_socket) keys.emplace_back("tap.socket");
  if (before.admin.listen != after.admin.listen) keys.emplace_back("admin.listen, admin.tls");
  const bool window = before.uplink.window_events != after.uplink.window_events ||
                      before.uplink.window_bytes != after.uplink.window_bytes ||
                      before.uplink.batch_events != after.uplink.batch_events ||
                      before.uplink.ack_timeout != after.uplink.ack_timeout;
  if (window) keys.emplace_back("uplink.window_events, window_bytes, batch_events, ack_timeout");
  return keys;
}

}  // namespace config
