#include "cloud-bridge/adapters/rdkafka/tail.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

#include "cloud-bridge/adapters/rdkafka/topic_consumer.hpp"

namespace kafka {
namespace {

constexpr Milliseconds poll_wait{20};
constexpr Milliseconds fetch_wait{100};
// How often the brokers are asked for a place that is beyond a partition's end.
constexpr Milliseconds look_every{1'000};

using Clock = std::chrono::steady_clock;

// {"position":"3:120","schema_version":1,…}
std::string line_of(const Fetched& fetched) {
  return fmt::format(R"({{"position":"{}:{}"{}{})"
                     "\n",
                     fetched.partition, fetched.offset, fetched.value.size() > 2 ? "," : "",
                     std::string_view(fetched.value).substr(1));
}

// Where each partition is read on, and which of them are.
class Reading {
 public:
  Reading(const TailSettings& settings, TopicConsumer& consumer, std::int32_t partitions)
      : follow_(settings.follow), consumer_(consumer), partitions_(partitions), next_(settings.from) {}

  // Asks the brokers what there is, and goes there.
  std::expected<void, std::string> place(const std::function<void(const stream::Removed&)>& removed) {
    const auto beginnings = consumer_.find(Edge::beginning, partitions_);
    if (!beginnings) return std::unexpected(beginnings.error());
    const auto ends = consumer_.find(Edge::end, partitions_);
    if (!ends) return std::unexpected(ends.error());
    auto placed = place_at(next_, *beginnings);
    for (const stream::Removed& gone : placed.removed) removed(gone);
    next_ = std::move(placed.next);
    ends_ = *ends;
    open_.clear();
    for (const auto& [partition, offset] : next_) {
      const std::int64_t end = ends_.at(partition);
      if (offset < end || (follow_ && offset == end)) open_.emplace(partition, offset);
    }
    look_at_ = Clock::now() + look_every;
    return consumer_.assign(open_);
  }

  // Whether a partition has come to where it was waited for. Brokers that are away are waited for, too.
  bool has_come() {
    if (!follow_ || open_.size() == next_.size() || Clock::now() < look_at_) return false;
    look_at_ = Clock::now() + look_every;
    const auto ends = consumer_.find(Edge::end, partitions_);
    return ends && std::ranges::any_of(next_, [&](const auto& one) {
             return !open_.contains(one.first) && one.second <= ends->at(one.first);
           });
  }

  void take(const Fetched& fetched) { next_[fetched.partition] = fetched.offset + 1; }
  void take(const EndReached& end) {
    next_[end.partition] = std::max(next_[end.partition], end.next);
    if (!follow_) open_.erase(end.partition);
  }
  // What was there when the brokers were asked last is to come yet.
  void hurry() {
    const auto is_behind = [this](const auto& one) { return one.second < ends_.at(one.first); };
    if (std::ranges::any_of(next_, is_behind)) consumer_.hurry(partitions_);
  }
  [[nodiscard]] bool is_done() const { return !follow_ && open_.empty(); }

 private:
  const bool follow_;
  TopicConsumer& consumer_;
  const std::int32_t partitions_;
  stream::Offsets next_;
  stream::Offsets ends_;  // when the brokers were asked last
  stream::Offsets open_;  // those that are read: beyond its end nothing can be asked for
  Clock::time_point look_at_{};
};

}  // namespace

base::Result<void, stream::ReadFailure> tail(const TailSettings& settings,
                                             const std::function<bool(std::string_view lines)>& write,
                                             const std::function<void(const stream::Removed&)>& removed,
                                             const std::function<bool()>& stopped) {
  const auto consumer = TopicConsumer::make(
      {.properties = settings.properties, .topic = settings.topic, .fetch_wait = fetch_wait, .limit = settings.limit});
  if (!consumer) return down(consumer.error());
  const auto partitions = (*consumer)->count_partitions();
  if (!partitions) return down(partitions.error());
  if (auto refusal = refuse_place(settings.from, *partitions)) return base::fail(std::move(*refusal));
  Reading reading(settings, **consumer, *partitions);
  bool placed = false;
  while (!stopped() && !(placed && reading.is_done())) {
    if (!placed || reading.has_come()) {
      if (const auto done = reading.place(removed); !done) return down(done.error());
      placed = true;
      continue;
    }
    const Polled polled = (*consumer)->poll(poll_wait);
    if (const auto* failed = std::get_if<PollFailed>(&polled)) {
      if (!failed->out_of_range()) return down(failed->reason);
      placed = false;  // removed while it was read
    } else if (const auto* end = std::get_if<EndReached>(&polled)) {
      reading.take(*end);
    } else if (const auto* fetched = std::get_if<Fetched>(&polled)) {
      reading.take(*fetched);
      if (!write(line_of(*fetched))) return {};
    } else {
      reading.hurry();
    }
  }
  return {};
}

}  // namespace kafka
