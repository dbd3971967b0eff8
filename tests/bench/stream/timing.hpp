// Events at a steady pace, and when each of them arrived.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "proto/base/assert.hpp"

namespace bench {

using Clock = std::chrono::steady_clock;

inline double microseconds(Clock::duration time) { return std::chrono::duration<double, std::micro>(time).count(); }

// "p50": …, "p99": …
inline std::string quantiles(std::vector<double> times) {
  ASSERT(!times.empty());
  std::ranges::sort(times);
  const auto at = [&](double part) {
    return times[static_cast<std::size_t>(static_cast<double>(times.size() - 1) * part)];
  };
  return fmt::format(R"("count": {}, "p50": {:.1f}, "p99": {:.1f})", times.size(), at(0.5), at(0.99));
}

// Calls send(n) for n = 1, 2, 3 …, so often a second; an event that takes longer delays no later one's moment.
template <class Send>
void at_pace(double seconds, double per_second, Send&& send) {
  const auto begun = Clock::now();
  const auto count = static_cast<unsigned>(seconds * per_second);
  for (unsigned number = 1; number <= count; ++number) {
    std::this_thread::sleep_until(
        begun + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(number / per_second)));
    send(number);
  }
}

// One thread says what has arrived, another waits for it.
class Arrivals {
 public:
  void note(unsigned number) {
    const auto now = Clock::now();
    const std::lock_guard lock(mutex_);
    times_.emplace(number, now);
    changed_.notify_all();
  }
  [[nodiscard]] Clock::time_point wait(unsigned number) {
    std::unique_lock lock(mutex_);
    ASSERT(changed_.wait_for(lock, std::chrono::seconds(60), [&] { return times_.contains(number); }));
    return times_.at(number);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<unsigned, Clock::time_point> times_;
};

}  // namespace bench
