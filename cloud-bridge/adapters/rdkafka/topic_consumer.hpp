// TopicConsumer: reads one topic's committed records, in no group; where it begins is said by hand.
//
// One thread uses it. Its memory is bounded: librdkafka holds no more than kQueuedKbytes of records that were fetched
// and not asked for yet, and no answer of a broker is larger than kFetchBytes (or one batch of records, where a topic
// takes larger ones).
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cloud-bridge/adapters/rdkafka/client.hpp"
#include "cloud-bridge/stream/offsets.hpp"
#include "cloud-bridge/stream/stream.hpp"

namespace kafka {

inline constexpr int kQueuedKbytes = 2 * 1024;
inline constexpr int kFetchBytes = 1024 * 1024;
inline constexpr int kPartitionFetchBytes = 256 * 1024;

struct ConsumerSettings {
  Properties properties;  // the operator's
  std::string topic;
  Milliseconds fetch_wait{500};  // that a broker waits for something to answer with
  Milliseconds limit{3'000};     // for each question
};

struct Nothing {};
struct Fetched {
  std::int32_t partition;
  std::int64_t offset;
  std::string value;  // JSON, whatever the format that it was written in
};
// The partition's readable end is reached; nothing is before `next` any more.
struct EndReached {
  std::int32_t partition;
  std::int64_t next;
};
struct PollFailed {
  std::string reason;
  rd_kafka_resp_err_t code;
  // No record is kept there, or none was written yet; nothing more comes of the partition until it is assigned again.
  [[nodiscard]] bool out_of_range() const { return code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET; }
};
using Polled = std::variant<Nothing, Fetched, EndReached, PollFailed>;

enum class Edge { beginning, end };

[[nodiscard]] std::unexpected<stream::ReadFailure> down(std::string reason);
// Why a place is none of a topic with so many partitions.
[[nodiscard]] std::optional<stream::ReadFailure> refuse_place(const stream::Offsets& place, std::int32_t partitions);

// Each partition is read from where it is named to be, one that is not named from its beginning. What was asked for and
// is kept no longer is told.
struct Placed {
  stream::Offsets next;
  std::vector<stream::Removed> removed;
};
[[nodiscard]] Placed place_at(const stream::Offsets& from, const stream::Offsets& beginnings);

class TopicConsumer {
 public:
  [[nodiscard]] static std::expected<std::unique_ptr<TopicConsumer>, std::string> make(ConsumerSettings settings);

  // Asks the brokers. Fails, too, when a partition has no leader.
  [[nodiscard]] std::expected<std::int32_t, std::string> count_partitions();
  // The first offset that is kept, or the one behind the last that can be read, of each partition.
  [[nodiscard]] std::expected<stream::Offsets, std::string> find(Edge edge, std::int32_t partitions);
  // What is read from now on; logical offsets of librdkafka are taken. Nothing named: nothing is fetched.
  [[nodiscard]] std::expected<void, std::string> assign(const stream::Offsets& from);
  [[nodiscard]] Polled poll(Milliseconds wait);
  // For whoever knows that there is more than poll() gives. librdkafka's thread of a broker that had nothing to fetch,
  // as when enough was fetched ahead, looks again after up to a second, or when something else is asked of that broker.
  void hurry(std::int32_t partitions);
  // Whether the line to the brokers has shown trouble since this was asked last.
  [[nodiscard]] bool take_trouble() { return line_.take_shaken(); }

 private:
  explicit TopicConsumer(ConsumerSettings settings) : settings_(std::move(settings)) {}

  const ConsumerSettings settings_;
  Line line_;
  Handle client_;
};

}  // namespace kafka
