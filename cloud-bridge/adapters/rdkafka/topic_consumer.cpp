#include "cloud-bridge/adapters/rdkafka/topic_consumer.hpp"

#include <fmt/format.h>

#include <utility>

#include "cloud-bridge/adapters/rdkafka/shown_value.hpp"

namespace kafka {
namespace {

using Topic = std::unique_ptr<rd_kafka_topic_t, Destroy<rd_kafka_topic_destroy>>;

// As the protocol has them for a question about offsets.
constexpr std::int64_t latest = -1;
constexpr std::int64_t earliest = -2;
constexpr Milliseconds hurry_limit{200};

Properties consumer_properties(const ConsumerSettings& settings) {
  Properties properties = settings.properties;
  properties.insert(properties.end(), {{"group.id", "tillstream-reader"},
                                       {"isolation.level", "read_committed"},
                                       {"enable.auto.commit", "false"},
                                       {"enable.partition.eof", "true"},
                                       {"auto.offset.reset", "error"},
                                       {"allow.auto.create.topics", "false"},
                                       {"socket.nagle.disable", "true"},
                                       {"fetch.wait.max.ms", std::to_string(settings.fetch_wait.count())},
                                       {"queued.max.messages.kbytes", std::to_string(kQueuedKbytes)},
                                       {"fetch.max.bytes", std::to_string(kFetchBytes)},
                                       {"max.partition.fetch.bytes", std::to_string(kPartitionFetchBytes)}});
  return properties;
}

// librdkafka goes on by itself after these.
bool passes(rd_kafka_resp_err_t code) {
  return is_of_no_group(code) || code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
         code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
         code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
}

Partitions list_of(const std::string& topic, const stream::Offsets& offsets) {
  Partitions list(rd_kafka_topic_partition_list_new(static_cast<int>(offsets.size())));
  for (const auto& [partition, offset] : offsets)
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset = offset;
  return list;
}

std::expected<std::int32_t, std::string> count_in(const struct rd_kafka_metadata& metadata, const std::string& topic) {
  if (metadata.topic_cnt != 1)
    return std::unexpected(describe("topic " + topic, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART));
  const struct rd_kafka_metadata_topic& seen = metadata.topics[0];
  if (seen.err != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(describe("topic " + topic, seen.err));
  for (int i = 0; i < seen.partition_cnt; ++i) {
    const struct rd_kafka_metadata_partition& partition = seen.partitions[i];
    // A replica that is away leaves the leader as it is.
    if (partition.leader < 0)
      return std::unexpected(describe(fmt::format("{} [{}]", topic, partition.id), partition.err));
  }
  return seen.partition_cnt;
}

}  // namespace

std::unexpected<stream::ReadFailure> down(std::string reason) {
  return base::fail(stream::ReadFailure{.error = stream::ReadError::down, .reason = std::move(reason)});
}

std::optional<stream::ReadFailure> refuse_place(const stream::Offsets& place, std::int32_t partitions) {
  if (place.empty() || place.rbegin()->first < partitions) return std::nullopt;
  return stream::ReadFailure{.error = stream::ReadError::refused,
                             .reason = fmt::format("partition {} is not there: the topic has {}, 0 to {}",
                                                   place.rbegin()->first, partitions, partitions - 1)};
}

Placed place_at(const stream::Offsets& from, const stream::Offsets& beginnings) {
  Placed placed{.next = beginnings, .removed = {}};
  for (const auto& [partition, offset] : from) placed.next[partition] = offset;
  for (const auto& [partition, beginning] : beginnings) {
    const std::int64_t wanted = placed.next[partition];
    if (wanted >= beginning) continue;
    placed.next[partition] = beginning;
    placed.removed.push_back({.id = stream::to_text(placed.next),
                              .first = stream::to_text({{partition, wanted}}),
                              .next = stream::to_text({{partition, beginning}})});
  }
  return placed;
}

std::expected<std::unique_ptr<TopicConsumer>, std::string> TopicConsumer::make(ConsumerSettings settings) {
  auto conf = make_conf(consumer_properties(settings));
  if (!conf) return std::unexpected(conf.error());
  std::unique_ptr<TopicConsumer> consumer(new TopicConsumer(std::move(settings)));
  listen(conf->get(), consumer->line_);
  auto client = make_client(RD_KAFKA_CONSUMER, std::move(*conf));
  if (!client) return std::unexpected(client.error());
  consumer->client_ = std::move(*client);
  rd_kafka_poll_set_consumer(consumer->client_.get());
  return consumer;
}

std::expected<std::int32_t, std::string> TopicConsumer::count_partitions() {
  const Topic topic(rd_kafka_topic_new(client_.get(), settings_.topic.c_str(), nullptr));
  const struct rd_kafka_metadata* metadata = nullptr;
  const auto code = rd_kafka_metadata(client_.get(), 0, topic.get(), &metadata, whole_ms(settings_.limit));
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(describe("the brokers' metadata", code));
  auto count = count_in(*metadata, settings_.topic);
  rd_kafka_metadata_destroy(metadata);
  return count;
}

std::expected<stream::Offsets, std::string> TopicConsumer::find(Edge edge, std::int32_t partitions) {
  stream::Offsets asked;
  for (std::int32_t partition = 0; partition < partitions; ++partition)
    asked[partition] = edge == Edge::end ? latest : earliest;
  const auto list = list_of(settings_.topic, asked);
  const std::string what = "the offsets of " + settings_.topic;
  if (const auto code = rd_kafka_offsets_for_times(client_.get(), list.get(), whole_ms(settings_.limit));
      code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return std::unexpected(describe(what, code));
  stream::Offsets found;
  for (int i = 0; i < list->cnt; ++i) {
    const rd_kafka_topic_partition_t& one = list->elems[i];
    if (one.err != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(describe(what, one.err));
    if (one.offset < 0) return std::unexpected(what + ": the brokers do not say them");
    found[one.partition] = one.offset;
  }
  return found;
}

std::expected<void, std::string> TopicConsumer::assign(const stream::Offsets& from) {
  const auto list = list_of(settings_.topic, from);
  if (const auto code = rd_kafka_assign(client_.get(), list.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return std::unexpected(describe("assign", code));
  return {};
}

// What is asked does not matter, nor what is answered: a broker that is away is seen by what does not come.
void TopicConsumer::hurry(std::int32_t partitions) {
  stream::Offsets asked;
  for (std::int32_t partition = 0; partition < partitions; ++partition) asked[partition] = latest;
  const auto list = list_of(settings_.topic, asked);
  rd_kafka_offsets_for_times(client_.get(), list.get(), whole_ms(hurry_limit));
}

Polled TopicConsumer::poll(Milliseconds wait) {
  const Message message(rd_kafka_consumer_poll(client_.get(), whole_ms(wait)));
  if (!message || passes(message->err)) return Nothing{};
  if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
    return EndReached{.partition = message->partition, .next = message->offset};
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return PollFailed{
        .reason = describe("topic " + settings_.topic, message->err, rd_kafka_message_errstr(message.get())),
        .code = message->err};
  }
  return Fetched{.partition = message->partition, .offset = message->offset, .value = shown_value(*message)};
}

}  // namespace kafka
