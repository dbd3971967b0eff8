// Clock: simulated time, and what is due. What is due at the same moment happens in the order in which it was asked
// for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "proto/base/instant.hpp"

namespace sim {

class Clock {
 public:
  using Act = std::function<void()>;

  [[nodiscard]] base::Instant at() const { return at_; }
  [[nodiscard]] base::Now now() const {
    return {at_,
            base::UtcTime(std::chrono::duration_cast<std::chrono::milliseconds>(at_.time_since_epoch() + utc_start))};
  }
  void after(base::Instant::duration delay, Act act) {
    due_.push_back({at_ + delay, ++order_, std::move(act)});
    std::push_heap(due_.begin(), due_.end(), later);
  }
  // Does what is due next, but nothing beyond `end`. False: nothing was, and it is `end`.
  bool step(base::Instant end) {
    if (due_.empty() || due_.front().at > end) {
      at_ = std::max(at_, end);
      return false;
    }
    std::pop_heap(due_.begin(), due_.end(), later);
    Due due = std::move(due_.back());
    due_.pop_back();
    at_ = std::max(at_, due.at);
    ++steps_;
    due.act();
    return true;
  }
  [[nodiscard]] std::uint64_t steps() const { return steps_; }

 private:
  static constexpr std::chrono::seconds utc_start{1'764'000'000};

  struct Due {
    base::Instant at;
    std::uint64_t order;
    Act act;
  };
  static bool later(const Due& one, const Due& other) {
    return one.at != other.at ? one.at > other.at : one.order > other.order;
  }

  base::Instant at_{std::chrono::seconds(1)};
  std::uint64_t order_ = 0;
  std::uint64_t steps_ = 0;
  std::vector<Due> due_;
};

}  // namespace sim
