// Config: bridge.toml as checked structs. What is wrong is said with file, line, key and what is allowed, all of it at
// once.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/platform/settings.hpp"

namespace config {

struct Tls {
  std::string ca;           // PEM; empty: the system's store
  std::string certificate;  // PEM chain; empty: none
  std::string key;          // PEM

  friend bool operator==(const Tls&, const Tls&) = default;
};

struct Broker {
  std::string host;
  std::uint16_t port = 0;
  std::optional<Tls> tls;  // none: mqtt://
  std::string username;
  std::string password_file;
  std::chrono::milliseconds unreachable_after{0};  // without the broker for so long: not healthy

  friend bool operator==(const Broker&, const Broker&) = default;
};

struct SqliteStream {
  std::string path;
  std::uint64_t bytes_max = 0;  // beyond this nothing more is published
  std::uint64_t wal_bytes_max =
      0;  // a foreign reader's snapshot makes the WAL grow; beyond this nothing more is published

  friend bool operator==(const SqliteStream&, const SqliteStream&) = default;
};

// Of the values' schema, with format = "protobuf".
struct SchemaRegistry {
  std::string url;  // its Confluent API: "http://127.0.0.1:8081", ".../apis/ccompat/v7"
  std::string ca;   // PEM; empty: the system's store
  std::string username;
  std::string password_file;

  friend bool operator==(const SchemaRegistry&, const SchemaRegistry&) = default;
};

struct KafkaStream {
  std::string bootstrap_servers;
  std::string events_topic;
  std::string gateways_topic;
  std::string progress_topic;
  std::string dead_letter_topic;
  std::string format;  // of the events' values: json, protobuf
  std::optional<SchemaRegistry> registry;
  std::chrono::milliseconds session_timeout{0};      // a bridge that is silent for so long loses its partitions
  std::chrono::milliseconds transaction_timeout{0};  // the brokers end a transaction that is open for so long
  std::vector<std::pair<std::string, std::string>> properties;

  friend bool operator==(const KafkaStream&, const KafkaStream&) = default;
};

struct Limits {
  std::uint64_t memory = 0;  // ONE budget of bytes of events between broker and stream, shared by all gateways
  std::uint64_t transaction_events = 0;
  std::uint64_t transaction_bytes = 0;
  std::uint64_t queue = 0;     // bytes of messages that wait between the connection and the loop
  std::uint64_t gateways = 0;  // known at a time

  friend bool operator==(const Limits&, const Limits&) = default;
};

struct Admin {
  std::string listen;
  std::optional<Tls> tls;  // ca: of client certificates
  std::string token_file;  // its content is asked for as "Authorization: Bearer …"; needed off loopback
  std::chrono::milliseconds commit_stalled_after{0};
  std::uint64_t readers_max = 0;  // of server-sent events
};

struct Log {
  std::string level;
  std::string format;
};

struct Config {
  std::string bridge_id;
  Broker broker;
  std::string stream_kind;
  SqliteStream sqlite;
  KafkaStream kafka;
  Limits limits;
  Admin admin;
  Log log;
  std::vector<std::string> warnings;  // of what is allowed, and may fail all the same: a certificate that has expired
};

// "mqtts://broker.example:8883": mqtt:// has port 1883 unless said, mqtts:// 8883. The error says what is wrong.
struct BrokerUrl {
  std::string host;
  std::uint16_t port = 0;
  bool tls = false;
};
[[nodiscard]] std::expected<BrokerUrl, std::string> parse_broker_url(std::string_view text);
// 127.0.0.0/8, ::1, localhost.
[[nodiscard]] bool is_loopback_host(std::string_view host);

// What only librdkafka can say of its properties.
struct PropertyProblem {
  std::string name;  // empty: of several together
  std::string message;
};
using PropertyCheck = std::function<std::vector<PropertyProblem>(const Config& config)>;

// Files that the configuration names must be readable, and hold what they are for. With kind = "kafka" the check is
// asked, too.
[[nodiscard]] std::expected<Config, std::vector<platform::SettingsError>> load(const std::string& path,
                                                                               const PropertyCheck& check);
// The text alone.
[[nodiscard]] std::expected<Config, std::vector<platform::SettingsError>> parse(std::string_view text,
                                                                                std::string file);

}  // namespace config
