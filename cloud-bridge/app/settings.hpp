// From the configuration to what each part takes.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "cloud-bridge/adapters/paho/connection.hpp"
#include "cloud-bridge/adapters/rdkafka/kafka_stream.hpp"
#include "cloud-bridge/adapters/sqlite/sqlite_stream.hpp"
#include "cloud-bridge/bridge/shard_group.hpp"
#include "cloud-bridge/config/config.hpp"
#include "proto/platform/http_server.hpp"

namespace app {

[[nodiscard]] std::string broker_url(const config::Config& config);
[[nodiscard]] paho::Settings broker_settings(const config::Config& config, std::uint32_t partition);
[[nodiscard]] sqlite::SqliteStreamSettings stream_settings(const config::Config& config);
[[nodiscard]] kafka::KafkaStreamSettings kafka_settings(const config::Config& config);
[[nodiscard]] kafka::TopicsSettings topics_settings(const config::Config& config);
// Where the stream is, for people: the file, or brokers and topic.
[[nodiscard]] std::string stream_place(const config::Config& config);
[[nodiscard]] bridge::ShardGroupSettings group_settings(const config::Config& config, std::uint32_t partition,
                                                        std::uint32_t partitions);
[[nodiscard]] platform::HttpSettings http_settings(const config::Config& config);
void configure_log(const config::Config& config);
// What librdkafka does not take of [stream.kafka.properties].
[[nodiscard]] std::vector<config::PropertyProblem> find_property_problems(const config::Config& config);
// The first line of the file; empty without a file.
[[nodiscard]] std::expected<std::string, std::string> read_token(const std::string& path);
// Those that differ and are only read at start.
[[nodiscard]] std::vector<std::string_view> keys_that_need_a_restart(const config::Config& running,
                                                                     const config::Config& fresh);

}  // namespace app
