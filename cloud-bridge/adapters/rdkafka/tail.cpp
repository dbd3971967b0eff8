#include "cloud-bridge/adapters/rdkafka/tail.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <set>

#include "cloud-bridge/adapters/rdkafka/shown_value.hpp"

namespace kafka {
namespace {

using Topic = std::unique_ptr<rd_kafka_topic_t, Destroy<rd_kafka_topic_destroy>>;

constexpr Milliseconds poll_wait{100};

std::expected<Handle, std::string> make_reader(const TailSettings& settings) {
  Properties properties = settings.properties;
  properties.insert(properties.end(), {{"group.id", "tillstream-tail"},
                                       {"isolation.level", "read_committed"},
                                       {"enable.auto.commit", "false"},
                                       {"enable.partition.eof", "true"},
                                       {"auto.offset.reset", "error"},
                                       {"allow.auto.create.topics", "false"},
                                       {"socket.nagle.disable", "true"},
                                       {"fetch.wait.max.ms", "100"}});
  auto conf = make_conf(properties);
  if (!conf) return std::unexpected(conf.error());
  return make_client(RD_KAFKA_CONSUMER, std::move(*conf));
}

std::expected<std::int32_t, std::string> count_partitions(rd_kafka_t* client, const TailSettings& settings) {
  const Topic topic(rd_kafka_topic_new(client, settings.topic.c_str(), nullptr));
  const struct rd_kafka_metadata* metadata = nullptr;
  auto code = rd_kafka_metadata(client, 0, topic.get(), &metadata, whole_ms(settings.limit));
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(describe("the brokers' metadata", code));
  code = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
  const std::int32_t count = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
  rd_kafka_metadata_destroy(metadata);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(describe("topic " + settings.topic, code));
  return count;
}

std::expected<void, std::string> assign(rd_kafka_t* client, const TailSettings& settings, std::int32_t partitions) {
  const Partitions list(rd_kafka_topic_partition_list_new(partitions));
  for (std::int32_t partition = 0; partition < partitions; ++partition) {
    const auto given = settings.from.find(partition);
    rd_kafka_topic_partition_list_add(list.get(), settings.topic.c_str(), partition)->offset =
        given == settings.from.end() ? RD_KAFKA_OFFSET_BEGINNING : given->second;
  }
  if (const auto code = rd_kafka_assign(client, list.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return std::unexpected(describe("assign", code));
  return {};
}

// {"position":"3:120","schema_version":1,…}
std::string line_of(const rd_kafka_message_t& message) {
  const std::string value = shown_value(message);
  return fmt::format(R"({{"position":"{}:{}"{}{})"
                     "\n",
                     message.partition, message.offset, value.size() > 2 ? "," : "", std::string_view(value).substr(1));
}

bool goes_on(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
         code == RD_KAFKA_RESP_ERR__TIMED_OUT;
}

}  // namespace

std::expected<void, std::string> tail(const TailSettings& settings,
                                      const std::function<bool(std::string_view lines)>& write,
                                      const std::function<bool()>& stopped) {
  const auto client = make_reader(settings);
  if (!client) return std::unexpected(client.error());
  const auto partitions = count_partitions(client->get(), settings);
  if (!partitions) return std::unexpected(partitions.error());
  if (auto assigned = assign(client->get(), settings, *partitions); !assigned) return assigned;
  std::set<std::int32_t> ended;
  while (!stopped() && (settings.follow || ended.size() < static_cast<std::size_t>(*partitions))) {
    const Message message(rd_kafka_consumer_poll(client->get(), whole_ms(poll_wait)));
    if (!message || goes_on(message->err)) continue;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      ended.insert(message->partition);
    } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return std::unexpected(describe("topic " + settings.topic, message->err, rd_kafka_message_errstr(message.get())));
    } else if (!write(line_of(*message))) {
      return {};
    }
  }
  return {};
}

}  // namespace kafka
