// Backoff: when to connect again. Full jitter: uniform in [0, ceiling), the ceiling doubling from `base` to `cap`, so
// that many bridges that lost one broker do not come back together. Never below `floor`, so that a broker that accepts
// and drops at once is not hammered.
#pragma once

#include <algorithm>
#include <chrono>

#include "proto/base/random.hpp"

namespace bridge {

class Backoff {
 public:
  using Duration = std::chrono::milliseconds;
  static constexpr Duration floor{50};
  static constexpr Duration base{500};
  static constexpr Duration cap{15'000};

  [[nodiscard]] Duration next(base::Random& random) {
    const auto ceiling = static_cast<std::uint64_t>(ceiling_.count());
    ceiling_ = std::min(ceiling_ * 2, cap);
    return std::max(floor, Duration(static_cast<Duration::rep>(random.below(ceiling))));
  }
  // After progress, not after a mere connect.
  void reset() { ceiling_ = base; }

 private:
  Duration ceiling_ = base;
};

}  // namespace bridge
