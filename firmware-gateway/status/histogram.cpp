#include "firmware-gateway/status/histogram.hpp"

#include <algorithm>

namespace status {

void Histogram::observe(std::chrono::nanoseconds taken) {
  const auto known = std::max(taken, std::chrono::nanoseconds(0));
  const double seconds = std::chrono::duration<double>(known).count();
  const auto bucket = std::ranges::lower_bound(bounds, seconds) - bounds.begin();
  ++buckets_.at(static_cast<std::size_t>(bucket));
  sum_ += known;
}

}  // namespace status
