// Backoff: how long to wait before the next attempt. Full jitter: uniform in [0, min(cap, base * 2^failures)], so that
// thousands of gateways that lost one broker at the same moment do not come back at the same moment.
//
// Invariants:
//   (1) A delay never exceeds cap.
//   (2) Only progress resets it. A connection that is accepted and then dropped, over and over, backs off like one that
//   is refused.
#pragma once

#include <chrono>

#include "proto/base/random.hpp"

namespace uplink {

struct BackoffLimits {
  std::chrono::milliseconds base{1'000};
  std::chrono::milliseconds cap{120'000};
};

class Backoff {
 public:
  explicit Backoff(BackoffLimits limits = {}) : ceiling_(limits.base), limits_(limits) {}

  // The delay after one more failure.
  [[nodiscard]] std::chrono::milliseconds next(base::Random& random);
  // Something was achieved: the next failure starts from base.
  void on_progress() { ceiling_ = limits_.base; }
  // The largest delay that next() can give now.
  [[nodiscard]] std::chrono::milliseconds ceiling() const { return ceiling_; }

 private:
  std::chrono::milliseconds ceiling_;
  BackoffLimits limits_;
};

}  // namespace uplink
