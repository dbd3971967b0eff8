#include "cloud-bridge/adapters/rdkafka/progress_reader.hpp"

#include <fmt/format.h>

#include <unordered_map>

#include "cloud-bridge/stream/topic_plan.hpp"

namespace kafka {
namespace {

using Clock = std::chrono::steady_clock;
using Latest = std::unordered_map<std::string, tillstream::v1::Progress>;

constexpr Milliseconds poll_wait{50};
constexpr Milliseconds held_up_after{500};

std::expected<Handle, std::string> make_reader(const ProgressPartition& partition, const char* isolation) {
  Properties properties = partition.properties;
  // A group is asked for by librdkafka, and never joined: the partition is assigned by hand, no offset is stored.
  properties.insert(properties.end(), {{"group.id", "tillstream-progress-reader"},
                                       {"isolation.level", isolation},
                                       {"enable.auto.commit", "false"},
                                       {"enable.partition.eof", "true"},
                                       {"auto.offset.reset", "error"},
                                       {"socket.nagle.disable", "true"},
                                       {"fetch.wait.max.ms", "100"}});
  auto conf = make_conf(properties);
  if (!conf) return std::unexpected(conf.error());
  return make_client(RD_KAFKA_CONSUMER, std::move(*conf));
}

// The offset behind the last record of any kind.
std::expected<std::int64_t, std::string> ask_end(const ProgressPartition& partition, Milliseconds limit) {
  const auto client = make_reader(partition, "read_uncommitted");
  if (!client) return std::unexpected(client.error());
  std::int64_t low = 0;
  std::int64_t high = 0;
  const auto code = rd_kafka_query_watermark_offsets(client->get(), partition.topic.c_str(), partition.partition, &low,
                                                     &high, whole_ms(limit));
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return std::unexpected(describe(fmt::format("the end of {} [{}]", partition.topic, partition.partition), code));
  return high;
}

std::string key_of(const rd_kafka_message_t& message) {
  return {static_cast<const char*>(message.key), message.key_len};
}

std::expected<void, std::string> take(Latest& latest, const rd_kafka_message_t& message) {
  std::string key = key_of(message);
  if (key == stream::kLayoutKey) return {};
  if (message.payload == nullptr) {
    latest.erase(key);
    return {};
  }
  tillstream::v1::Progress progress;
  if (!progress.ParseFromArray(message.payload, static_cast<int>(message.len)) || progress.gateway_id() != key)
    return std::unexpected(fmt::format("offset {} is no progress of ours", message.offset));
  latest.insert_or_assign(std::move(key), std::move(progress));
  return {};
}

class Reading {
 public:
  Reading(const ProgressPartition& partition, std::int64_t end) : partition_(partition), end_(end) {}

  // Whether the position has reached the end.
  std::expected<bool, std::string> step(rd_kafka_t* client) {
    const Message message(rd_kafka_consumer_poll(client, whole_ms(poll_wait)));
    if (!message) return position_ >= end_;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      position_ = std::max(position_, message->offset);
      at_stable_end_ = true;
    } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      if (passes(message->err)) return false;
      return std::unexpected(describe(what(), message->err, rd_kafka_message_errstr(message.get())));
    } else {
      if (auto taken = take(latest_, *message); !taken) return std::unexpected(what() + ": " + taken.error());
      position_ = std::max(position_, message->offset + 1);
      at_stable_end_ = false;
      ++records_;
    }
    return position_ >= end_;
  }

  // All that is stable now was read.
  [[nodiscard]] bool at_stable_end() const { return at_stable_end_; }
  [[nodiscard]] std::string what() const { return fmt::format("{} [{}]", partition_.topic, partition_.partition); }
  [[nodiscard]] std::string stuck() const {
    return fmt::format("{} is readable up to {} of {} only: an open transaction holds it up", what(), position_, end_);
  }
  [[nodiscard]] ProgressRead result() {
    ProgressRead read{.progress = {}, .records = records_};
    read.progress.reserve(latest_.size());
    for (auto& [key, progress] : latest_) read.progress.push_back(std::move(progress));
    return read;
  }

 private:
  // librdkafka goes on by itself after these.
  static bool passes(rd_kafka_resp_err_t code) {
    return is_of_no_group(code) || code == RD_KAFKA_RESP_ERR__TRANSPORT ||
           code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
           code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
  }

  const ProgressPartition& partition_;
  std::int64_t end_;
  std::int64_t position_ = 0;
  bool at_stable_end_ = false;
  Latest latest_;
  std::uint64_t records_ = 0;
};

}  // namespace

std::expected<ProgressRead, std::string> read_progress(const ProgressPartition& partition, Milliseconds limit,
                                                       const std::function<bool()>& stop,
                                                       const std::function<void(std::string why)>& held_up) {
  const auto begun = Clock::now();
  const auto until = begun + limit;
  bool said = false;
  const auto end = ask_end(partition, limit);
  if (!end) return std::unexpected(end.error());
  if (*end == 0) return ProgressRead{};
  const auto client = make_reader(partition, "read_committed");
  if (!client) return std::unexpected(client.error());
  const auto from = one_partition(partition.topic, partition.partition, RD_KAFKA_OFFSET_BEGINNING);
  if (const auto code = rd_kafka_assign(client->get(), from.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return std::unexpected(describe("assign", code));
  Reading reading(partition, *end);
  for (;;) {
    const auto reached = reading.step(client->get());
    if (!reached) return std::unexpected(reached.error());
    if (*reached) return reading.result();
    if (stop()) return std::unexpected(reading.what() + ": stopped");
    if (!said && reading.at_stable_end() && Clock::now() >= begun + held_up_after) {
      said = true;
      held_up(reading.stuck());
    }
    if (Clock::now() >= until) return std::unexpected(reading.stuck());
  }
}

}  // namespace kafka
