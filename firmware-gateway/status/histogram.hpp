// Histogram: how long something took, counted in buckets as Prometheus wants them. For one thread: an observation is a
// search among a few bounds and two additions, no atomics and no lock.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <numeric>

namespace status {

class Histogram {
 public:
  // Upper bounds in seconds: from a disk that answers at once to a line that needs half a minute. A last bucket,
  // without a bound, follows.
  static constexpr std::array<double, 15> bounds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                 0.25,   0.5,   1,      2.5,   5,    10,    30};

  void observe(std::chrono::nanoseconds taken);

  // Each bucket by itself; the exposition adds them up.
  [[nodiscard]] const std::array<std::uint64_t, bounds.size() + 1>& buckets() const { return buckets_; }
  [[nodiscard]] std::uint64_t count() const { return std::reduce(buckets_.begin(), buckets_.end()); }
  [[nodiscard]] double sum_seconds() const { return std::chrono::duration<double>(sum_).count(); }

 private:
  std::array<std::uint64_t, bounds.size() + 1> buckets_{};
  std::chrono::nanoseconds sum_{0};
};

}  // namespace status
