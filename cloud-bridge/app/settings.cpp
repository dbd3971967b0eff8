#include "cloud-bridge/app/settings.hpp"

#include <fmt/format.h>

#include <random>

#include "cloud-bridge/app/version.hpp"
#include "proto/platform/log.hpp"
#include "proto/platform/private_file.hpp"

namespace app {

namespace {

std::optional<paho::Tls> tls_of(const std::optional<config::Tls>& tls) {
  if (!tls) return std::nullopt;
  return paho::Tls{.ca = tls->ca, .certificate = tls->certificate, .key = tls->key};
}

}  // namespace

std::string broker_url(const config::Config& config) {
  const bool ipv6 = config.broker.host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", config.broker.tls ? "mqtts" : "mqtt", ipv6 ? "[" : "", config.broker.host,
                     ipv6 ? "]" : "", config.broker.port);
}

paho::Settings broker_settings(const config::Config& config, std::uint32_t partition) {
  paho::Settings settings;
  settings.host = config.broker.host;
  settings.port = config.broker.port;
  settings.tls = tls_of(config.broker.tls);
  settings.client_id = fmt::format("tillstream-{}-{}", config.bridge_id, partition);
  settings.username = config.broker.username;
  settings.password_file = config.broker.password_file;
  settings.queue_bytes_max = config.limits.queue;
  return settings;
}

sqlite::SqliteStreamSettings stream_settings(const config::Config& config) {
  sqlite::SqliteStreamSettings settings;
  settings.path = config.sqlite.path;
  settings.limits.wal_bytes_max = config.sqlite.wal_bytes_max;
  settings.limits.bytes_max = config.sqlite.bytes_max;
  return settings;
}

kafka::KafkaStreamSettings kafka_settings(const config::Config& config) {
  kafka::KafkaStreamSettings settings;
  settings.properties = config.kafka.properties;
  settings.properties.emplace_back("bootstrap.servers", config.kafka.bootstrap_servers);
  settings.topics = {.events = config.kafka.events_topic,
                     .gateways = config.kafka.gateways_topic,
                     .progress = config.kafka.progress_topic,
                     .dead_letters = config.kafka.dead_letter_topic};
  settings.bridge_id = config.bridge_id;
  if (config.kafka.format == "protobuf") settings.encoding = stream::Encoding::protobuf;
  if (const auto& registry = config.kafka.registry) {
    settings.registry = kafka::RegistrySettings{.url = registry->url,
                                                .ca = registry->ca,
                                                .username = registry->username,
                                                .password_file = registry->password_file,
                                                .topic = config.kafka.events_topic};
  }
  settings.session_timeout = config.kafka.session_timeout;
  settings.transaction_limit = config.kafka.transaction_timeout;
  return settings;
}

kafka::TopicsSettings topics_settings(const config::Config& config) {
  const auto stream = kafka_settings(config);
  // A name of its own: two commands at the same moment, and a bridge that starts, would fence each other.
  return {.properties = stream.properties,
          .names = stream.topics,
          .bridge_id = fmt::format("{}-{:08x}", stream.bridge_id, std::random_device{}())};
}

std::vector<config::PropertyProblem> find_property_problems(const config::Config& config) {
  std::vector<config::PropertyProblem> problems;
  for (auto& [name, message] : kafka::find_property_problems(kafka_settings(config)))
    problems.push_back({.name = std::move(name), .message = std::move(message)});
  return problems;
}

std::string stream_place(const config::Config& config) {
  if (config.stream_kind == "sqlite") return config.sqlite.path;
  return fmt::format("{} at {}", config.kafka.events_topic, config.kafka.bootstrap_servers);
}

bridge::ShardGroupSettings group_settings(const config::Config& config, std::uint32_t partition,
                                          std::uint32_t partitions) {
  bridge::ShardGroupSettings settings;
  settings.bridge_id = config.bridge_id;
  settings.program = fmt::format("tillstream-bridge {}", version);
  settings.partition = partition;
  settings.partitions = partitions;
  settings.transaction = {.events = config.limits.transaction_events, .bytes = config.limits.transaction_bytes};
  settings.gateways_max = config.limits.gateways;
  return settings;
}

platform::HttpSettings http_settings(const config::Config& config) {
  platform::HttpSettings settings;
  settings.listen = config.admin.listen;
  settings.max_connections = config.admin.readers_max + 64;
  if (config.admin.tls) {
    settings.tls = platform::TlsFiles{
        .certificate = config.admin.tls->certificate, .key = config.admin.tls->key, .client_ca = config.admin.tls->ca};
  }
  return settings;
}

void configure_log(const config::Config& config) {
  using platform::log::Format;
  using platform::log::Level;
  Level level = Level::info;
  for (const Level candidate : {Level::error, Level::warn, Level::info, Level::debug}) {
    if (platform::log::to_word(candidate) == config.log.level) level = candidate;
  }
  platform::log::configure(level, config.log.format == "json" ? Format::json : Format::text);
}

std::expected<std::string, std::string> read_token(const std::string& path) {
  if (path.empty()) return std::string();
  auto token = platform::read_secret(path);
  if (!token) return std::unexpected(fmt::format("admin.token_file: cannot read {}", path));
  return *std::move(token);
}

std::vector<std::string_view> keys_that_need_a_restart(const config::Config& running, const config::Config& fresh) {
  std::vector<std::string_view> keys;
  const auto compare = [&keys](std::string_view key, const auto& before, const auto& after) {
    if (before != after) keys.push_back(key);
  };
  compare("bridge.id", running.bridge_id, fresh.bridge_id);
  compare("stream.kind", running.stream_kind, fresh.stream_kind);
  compare("stream.sqlite", running.sqlite, fresh.sqlite);
  compare("stream.kafka", running.kafka, fresh.kafka);
  compare("limits", running.limits, fresh.limits);
  compare("admin.listen", running.admin.listen, fresh.admin.listen);
  compare("admin.tls", running.admin.tls, fresh.admin.tls);
  compare("admin.readers_max", running.admin.readers_max, fresh.admin.readers_max);
  return keys;
}

}  // namespace app
