#include "cloud-bridge/config/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <set>
#include <utility>

#include "proto/handoff/topics.hpp"
#include "proto/platform/admin_access.hpp"
#include "proto/platform/certificates.hpp"
#include "proto/platform/listen_address.hpp"
#include "proto/platform/private_file.hpp"
#include "proto/platform/tls_settings.hpp"

namespace config {

namespace {

using platform::Settings;
using platform::SettingsTable;
using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr std::uint64_t mib = 1024 * 1024;

std::optional<std::string> check_bridge_id(std::string_view id) {
  if (handoff::gateway_id_allowed(id)) return std::nullopt;
  return "is not an id; allowed: 1 to 63 of a-z, 0-9 and -";
}

std::optional<std::string> check_topic(std::string_view topic) {
  const bool fine = !topic.empty() && topic.size() <= 249 && topic != "." && topic != ".." &&
                    topic.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
                        std::string_view::npos;
  if (fine) return std::nullopt;
  return "is not a topic; allowed: 1 to 249 of letters, digits, '.', '_' and '-'";
}

std::optional<std::string> check_not_empty(std::string_view value) {
  if (!value.empty()) return std::nullopt;
  return "is empty";
}

// Splits "host:port", "[::1]:port" or a bare host; false when the port is no number from 1 to 65535.
bool split_port(std::string_view authority, BrokerUrl& url) {
  const std::size_t colon = authority.rfind(':');
  const bool has_port = colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
  url.host = std::string(authority.substr(0, has_port ? colon : authority.size()));
  if (!has_port) return true;
  const std::string_view digits = authority.substr(colon + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), url.port);
  return error == std::errc{} && end == digits.data() + digits.size() && url.port != 0;
}

bool host_allowed(std::string_view host) {
  if (host.starts_with('[')) {
    return host.size() > 2 && host.ends_with(']') &&
           host.substr(1, host.size() - 2).find_first_not_of("0123456789abcdefABCDEF:.") == std::string_view::npos;
  }
  return !host.empty() && host.size() <= 253 &&
         host.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") ==
             std::string_view::npos;
}

// "host:port,host:port": as librdkafka takes it, a protocol before a host and blanks around it as well.
std::optional<std::string> check_bootstrap_servers(std::string_view list) {
  std::vector<std::string> wrong;
  for (bool more = true; more;) {
    const std::size_t comma = list.find(',');
    more = comma != std::string_view::npos;
    std::string_view server = list.substr(0, comma);
    list.remove_prefix(more ? comma + 1 : 0);
    const std::string shown(server);
    server.remove_prefix(std::min(server.find_first_not_of(' '), server.size()));
    server = server.substr(0, server.find_last_not_of(' ') + 1);
    if (const auto scheme = server.find("://"); scheme != std::string_view::npos) server.remove_prefix(scheme + 3);
    BrokerUrl address;
    if (!split_port(server, address)) {
      wrong.push_back(fmt::format("\"{}\", which has no port from 1 to 65535", shown));
    } else if (!host_allowed(address.host)) {
      wrong.push_back(fmt::format("\"{}\", which has no host", shown));
    }
  }
  if (wrong.empty()) return std::nullopt;
  return fmt::format("names {}; allowed: HOST[:PORT], several with commas between them, such as kafka-1:9092",
                     fmt::join(wrong, ", and "));
}

Tls read_tls(SettingsTable table) {
  Tls tls;
  tls.ca = table.text("ca", "");
  tls.certificate = table.text("certificate", "");
  tls.key = table.text("key", "");
  if (tls.certificate.empty() != tls.key.empty()) {
    table.error(tls.certificate.empty() ? "certificate" : "key", "is missing; certificate and key come together");
  }
  return tls;
}

Broker read_broker(SettingsTable table) {
  Broker broker;
  const auto url = parse_broker_url(table.text("url", "mqtt://127.0.0.1:1883"));
  const Tls tls = read_tls(table);
  const bool allow_plaintext = table.boolean("allow_plaintext", false);
  broker.username = table.text("username", "");
  broker.password_file = table.text("password_file", "");
  broker.unreachable_after = table.duration("unreachable_after", "15s", 1s, 24h);
  if (!broker.password_file.empty() && broker.username.empty()) {
    table.error("password_file", "is set, and username is not; allowed: both or none");
  }
  if (!url) {
    table.error("url", url.error());
    return broker;
  }
  broker.host = url->host;
  broker.port = url->port;
  if (url->tls) {
    broker.tls = tls;
  } else if (!allow_plaintext && !is_loopback_host(url->host)) {
    table.error("url",
                fmt::format("is mqtt:// to {}, which is not this machine; allowed: mqtts://, or allow_plaintext = true",
                            url->host));
  } else if (tls != Tls{}) {
    table.error("url", "is mqtt://, and ca, certificate or key are set; allowed: mqtts:// with them");
  }
  return broker;
}

SqliteStream read_sqlite(SettingsTable table) {
  return {.path = table.text("path", "stream.db", check_not_empty),
          .bytes_max = table.bytes("quota", "64GiB", 64 * mib, 16ULL * 1024 * 1024 * mib),
          .wal_bytes_max = table.bytes("wal_max", "256MiB", 8 * mib, 64 * 1024 * mib)};
}

// What exactly-once and order rest on, and what the bridge says itself.
constexpr std::array<std::string_view, 25> kOwnProperties = {"transactional.id",
                                                             "transaction.timeout.ms",
                                                             "acks",
                                                             "request.required.acks",
                                                             "enable.idempotence",
                                                             "enable.gapless.guarantee",
                                                             "isolation.level",
                                                             "partitioner",
                                                             "max.in.flight",
                                                             "max.in.flight.requests.per.connection",
                                                             "message.timeout.ms",
                                                             "delivery.timeout.ms",
                                                             "retries",
                                                             "message.send.max.retries",
                                                             "message.max.bytes",
                                                             "bootstrap.servers",
                                                             "metadata.broker.list",
                                                             "group.id",
                                                             "group.instance.id",
                                                             "partition.assignment.strategy",
                                                             "session.timeout.ms",
                                                             "heartbeat.interval.ms",
                                                             "enable.auto.commit",
                                                             "enable.auto.offset.store",
                                                             "auto.offset.reset"};

// librdkafka takes a topic's properties with this before them, too.
constexpr std::string_view kTopicPrefix = "topic.";
// Brokers of librdkafka's own, in memory.
constexpr std::string_view kMockPrefix = "test.mock.";

bool is_own(std::string_view name) {
  if (name.starts_with(kMockPrefix)) return true;
  if (name.starts_with(kTopicPrefix)) name.remove_prefix(kTopicPrefix.size());
  return std::find(kOwnProperties.begin(), kOwnProperties.end(), name) != kOwnProperties.end();
}

void check_properties(const KafkaStream& kafka, SettingsTable table) {
  for (const auto& [name, value] : kafka.properties) {
    if (!is_own(name)) continue;
    table.error_in_free_texts("properties", name,
                              "is set by the bridge itself; allowed: librdkafka's other properties, such as "
                              "security.protocol, sasl.*, ssl.*");
  }
}

// The host of "http://host[:port][/path]".
std::string_view host_of(std::string_view url) {
  url.remove_prefix(url.find("://") + 3);
  url = url.substr(0, url.find('/'));
  if (url.starts_with('[')) return url.substr(0, url.find(']') + 1);
  return url.substr(0, url.find(':'));
}

SchemaRegistry read_registry(SettingsTable table) {
  SchemaRegistry registry{.url = table.text("url", "", check_not_empty),
                          .ca = table.text("ca", ""),
                          .username = table.text("username", ""),
                          .password_file = table.text("password_file", "")};
  if (registry.username.empty() != registry.password_file.empty())
    table.error(registry.username.empty() ? "username" : "password_file",
                "is missing; username and password_file come together");
  const bool tls = registry.url.starts_with("https://");
  if (!tls && !registry.url.starts_with("http://")) {
    table.error("url",
                "begins neither with http:// nor with https://; allowed: the address of a registry's Confluent "
                "API, such as http://127.0.0.1:8081");
  } else if (registry.url.find('@') != std::string::npos) {
    table.error("url", "holds a user; allowed: username and password_file beside it");
  } else if (!tls && !registry.username.empty() && !is_loopback_host(host_of(registry.url))) {
    table.error("url", "would carry the password in clear; allowed: https:// with username and password_file");
  }
  while (registry.url.ends_with('/')) registry.url.pop_back();
  return registry;
}

KafkaStream read_kafka(SettingsTable table) {
  KafkaStream kafka{.bootstrap_servers = table.text("bootstrap_servers", "127.0.0.1:9092", check_bootstrap_servers),
                    .events_topic = table.text("events_topic", "tillstream.events", check_topic),
                    .gateways_topic = table.text("gateways_topic", "tillstream.gateways", check_topic),
                    .progress_topic = table.text("progress_topic", "tillstream.progress", check_topic),
                    .dead_letter_topic = table.text("dead_letter_topic", "tillstream.dead-letter", check_topic),
                    .format = table.word("format", "json", {"json", "protobuf"}),
                    .registry = std::nullopt,
                    .session_timeout = table.duration("session_timeout", "6s", 1s, 5min),
                    .transaction_timeout = table.duration("transaction_timeout", "10s", 2s, 1min),
                    .properties = table.free_texts("properties")};
  if (table.has("registry")) kafka.registry = read_registry(table.table("registry"));
  check_properties(kafka, table);
  return kafka;
}

Limits read_limits(SettingsTable table) {
  return {.memory = table.bytes("memory", "64MiB", 4 * mib, 16 * 1024 * mib),
          .transaction_events = static_cast<std::uint64_t>(table.integer("transaction_events", 4096, {1, 100'000})),
          .transaction_bytes = table.bytes("transaction_bytes", "8MiB", mib, 256 * mib),
          .queue = table.bytes("queue", "32MiB", 4 * mib, 4 * 1024 * mib),
          .gateways = static_cast<std::uint64_t>(table.integer("gateways", 200'000, {1, 10'000'000}))};
}

Admin read_admin(SettingsTable table) {
  Admin admin;
  admin.listen = table.text("listen", "127.0.0.1:8810", check_not_empty);
  if (table.has("tls")) admin.tls = read_tls(table.table("tls"));
  admin.token_file = table.text("token_file", "");
  admin.commit_stalled_after = table.duration("commit_stalled_after", "10s", 1s, 1h);
  admin.readers_max = static_cast<std::uint64_t>(table.integer("readers_max", 64, {1, 4096}));
  const auto listen = platform::parse_listen_address(admin.listen);
  if (admin.tls && admin.tls->certificate.empty() && admin.tls->key.empty())
    table.table("tls").error("certificate", "is missing; needed: certificate and key");
  if (!listen) {
    table.error("listen", listen.error());
    return admin;
  }
  const auto refusal = platform::check_admin_exposure(
      {.listen = *listen, .tls = admin.tls && !admin.tls->certificate.empty(), .token = !admin.token_file.empty()});
  if (refusal) table.error("listen", *refusal);
  return admin;
}

Log read_log(SettingsTable table) {
  return {.level = table.word("level", "info", {"error", "warn", "info", "debug"}),
          .format = table.word("format", "text", {"text", "json"})};
}

void check_together(const Config& config, SettingsTable root) {
  if (config.limits.transaction_bytes * 2 > config.limits.memory) {
    root.table("limits").error("transaction_bytes",
                               "is more than half of memory; one transaction gathers while another commits");
  }
  if (config.kafka.registry && config.kafka.format != "protobuf") {
    root.table("stream").table("kafka").error(
        "registry",
        "is set, and format is not \"protobuf\"; a registry's framing would keep plain readers of JSON out");
  }
  const std::set<std::string> topics{config.kafka.events_topic, config.kafka.gateways_topic,
                                     config.kafka.progress_topic, config.kafka.dead_letter_topic};
  if (topics.size() < 4) {
    root.table("stream").table("kafka").error("events_topic",
                                              "names a topic that another key names, too; allowed: four topics");
  }
}

// A password or a token, which is the file's first line.
void check_secret_file(SettingsTable table, std::string_view key, const std::string& path, std::size_t length_min) {
  if (path.empty()) return;
  if (auto secret = platform::read_private_secret(path, length_min); !secret)
    table.error(key, std::move(secret.error()));
}

void check_properties_of_library(const Config& config, SettingsTable kafka, const PropertyCheck& check) {
  for (auto& problem : check(config)) {
    if (problem.name.empty()) {
      kafka.error("properties", std::move(problem.message));
    } else {
      kafka.error_in_free_texts("properties", problem.name, std::move(problem.message));
    }
  }
}

// What is there already is a database, or nothing yet.
bool may_be_database(const std::string& path) {
  constexpr std::string_view magic("SQLite format 3\0", 16);
  std::array<char, magic.size()> head{};
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), head.size());
  return file.gcount() == 0 || std::string_view(head.data(), static_cast<std::size_t>(file.gcount())) == magic;
}

// A file that the bridge makes itself: its folder must be there.
void check_database(SettingsTable table, std::string_view key, const std::string& path) {
  if (path == ":memory:" || path.starts_with("file:"))
    return table.error(key, fmt::format("is \"{}\", which SQLite takes for more than a file's name; needed: a file "
                                        "(./{} is one of that name)",
                                        path, path));
  std::error_code failed;
  const std::filesystem::path folder = std::filesystem::absolute(path, failed).parent_path();
  const bool is_other = std::filesystem::exists(path, failed) && !std::filesystem::is_regular_file(path, failed);
  if (is_other)
    return table.error(key,
                       fmt::format("is \"{}\", which is no regular file; needed: a file of the bridge's own", path));
  if (!may_be_database(path))
    return table.error(key, fmt::format("is \"{}\", which holds something else than an SQLite database; needed: a file "
                                        "of the bridge's own",
                                        path));
  if (!failed && std::filesystem::is_directory(folder, failed)) return;
  table.error(key, fmt::format("is \"{}\", and {} is no folder; needed: a file in a folder that is there", path,
                               folder.string()));
}

void check_tls_files(SettingsTable table, const std::optional<Tls>& tls, std::vector<std::string>& warnings) {
  if (!tls) return;
  platform::check_authorities(table, "ca", tls->ca);
  if (!tls->certificate.empty() && !tls->key.empty())
    platform::check_credentials(table, "certificate", tls->certificate, tls->key, warnings);
}

void check_files(Config& config, SettingsTable root) {
  if (config.stream_kind == "sqlite") check_database(root.table("stream").table("sqlite"), "path", config.sqlite.path);
  check_tls_files(root.table("broker"), config.broker.tls, config.warnings);
  check_secret_file(root.table("broker"), "password_file", config.broker.password_file, 1);
  if (const auto& registry = config.kafka.registry) {
    SettingsTable table = root.table("stream").table("kafka").table("registry");
    platform::check_authorities(table, "ca", registry->ca);
    check_secret_file(table, "password_file", registry->password_file, 1);
  }
  for (const auto& [name, value] : config.kafka.properties) {
    if (config.stream_kind != "kafka" || name != "ssl.certificate.location") continue;
    if (auto warning = platform::validity_warning(value)) config.warnings.push_back(*std::move(warning));
  }
  if (config.admin.tls) check_tls_files(root.table("admin").table("tls"), config.admin.tls, config.warnings);
  check_secret_file(root.table("admin"), "token_file", config.admin.token_file, platform::admin_token_length_min);
}

// Without a check the text alone is judged.
std::expected<Config, std::vector<platform::SettingsError>> read(Settings settings, const PropertyCheck* check) {
  if (!settings.errors().empty()) return std::unexpected(settings.errors());
  SettingsTable root = settings.root();
  Config config;
  config.bridge_id = root.table("bridge").text("id", "bridge-1", check_bridge_id);
  config.broker = read_broker(root.table("broker"));
  SettingsTable stream = root.table("stream");
  config.stream_kind = stream.word("kind", "sqlite", {"sqlite", "kafka"});
  config.sqlite = read_sqlite(stream.table("sqlite"));
  config.kafka = read_kafka(stream.table("kafka"));
  config.limits = read_limits(root.table("limits"));
  config.admin = read_admin(root.table("admin"));
  config.log = read_log(root.table("log"));
  check_together(config, root);
  if (check != nullptr) check_files(config, root);
  if (check != nullptr && config.stream_kind == "kafka")
    check_properties_of_library(config, stream.table("kafka"), *check);
  settings.finish();
  if (!settings.errors().empty()) return std::unexpected(settings.errors());
  return config;
}

}  // namespace

std::expected<BrokerUrl, std::string> parse_broker_url(std::string_view text) {
  constexpr std::string_view allowed = "allowed: mqtt://HOST[:PORT] or mqtts://HOST[:PORT]";
  BrokerUrl url;
  std::string_view authority;
  if (text.starts_with("mqtt://")) {
    authority = text.substr(7);
    url.port = 1883;
  } else if (text.starts_with("mqtts://")) {
    authority = text.substr(8);
    url.port = 8883;
    url.tls = true;
  } else {
    return std::unexpected(fmt::format("begins neither with mqtt:// nor with mqtts://; {}", allowed));
  }
  if (authority.ends_with('/')) authority.remove_suffix(1);
  if (authority.find('@') != std::string_view::npos) {
    return std::unexpected(std::string("holds a user; allowed: username and password_file beside it"));
  }
  if (!split_port(authority, url)) return std::unexpected(fmt::format("has no port from 1 to 65535; {}", allowed));
  if (!host_allowed(url.host)) return std::unexpected(fmt::format("has no host; {}", allowed));
  if (url.host.starts_with('[')) url.host = url.host.substr(1, url.host.size() - 2);
  return url;
}

bool is_loopback_host(std::string_view host) {
  if (host == "localhost" || host == "::1" || host == "[::1]") return true;
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

std::expected<Config, std::vector<platform::SettingsError>> load(const std::string& path, const PropertyCheck& check) {
  return read(Settings::load(path), &check);
}

std::expected<Config, std::vector<platform::SettingsError>> parse(std::string_view text, std::string file) {
  return read(Settings::parse(text, std::move(file)), nullptr);
}

}  // namespace config
