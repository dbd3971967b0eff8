// The two kinds of time. Pure code never reads a clock: the shell hands it the time with each input.
#pragma once

#include <chrono>

namespace base {

// A clock that nobody can read: it only gives Instant its type. Shells fill Instants from std::chrono::steady_clock.
struct MonotonicClock {
  using duration = std::chrono::microseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
};

// Monotonic time: for timers, timeouts and ages. Its zero means nothing.
using Instant = MonotonicClock::time_point;

// Wall-clock time, UTC, in milliseconds since 1970 (64 bits: good beyond 2038): for what people and other systems read.
// It may jump; nothing is ever ordered by it.
using UtcTime = std::chrono::sys_time<std::chrono::milliseconds>;

// Both at once, for inputs that need both.
struct Now {
  Instant instant;
  UtcTime utc;
};

}  // namespace base
