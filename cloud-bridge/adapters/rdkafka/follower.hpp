// Follower: reads the end of the events topic while somebody watches, and keeps what came last, so that readers there
// share one consumer.
//
//   idle ──wanted──▶ starting ──ends found──▶ following ──unwanted for a while──▶ idle
//                       ▲ └─ failed: back-off ─┘ │ ▲
//                       └── more partitions, ────┘ └─ the brokers are away: said so; what was kept stays readable
//                           or offsets are gone
//
// Invariants:
//   (1) `changed` is called whenever read() may answer otherwise than before.
//   (2) What is kept is kept from the readable end on at which following began: no record behind it is missing.
//
// Its thread is its own. want() and read() may be called from any thread; `changed` is called on its own one.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "cloud-bridge/adapters/rdkafka/topic_consumer.hpp"
#include "cloud-bridge/stream/recent_records.hpp"

namespace kafka {

class Follower {
 public:
  using Page = base::Result<stream::ReadPage, stream::ReadFailure>;

  Follower(ConsumerSettings settings, std::function<void()> changed);
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;
  ~Follower();

  void want(bool wanted);
  // None: what is kept does not reach back so far.
  [[nodiscard]] std::optional<Page> read(const stream::Offsets& from, const stream::ReadLimits& limits) const;

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  void follow();
  [[nodiscard]] bool begin(TopicConsumer& consumer);
  // False: begin anew.
  [[nodiscard]] bool step(TopicConsumer& consumer);
  [[nodiscard]] bool look(TopicConsumer& consumer);
  [[nodiscard]] bool take(const Polled& polled);
  void fail(std::string reason);
  [[nodiscard]] bool is_wanted() const;

  const ConsumerSettings settings_;
  const std::function<void()> changed_;

  // The thread's own.
  std::int32_t partitions_ = 0;
  Clock::time_point look_at_;

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable wake_;
  stream::RecentRecords recent_;
  std::string failure_;
  bool wanted_ = false;
  Clock::time_point unwanted_at_;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace kafka
