#include "firmware-gateway/uplink/backoff.hpp"

#include <algorithm>
#include <cstdint>

namespace uplink {

std::chrono::milliseconds Backoff::next(base::Random& random) {
  const auto ceiling = std::min(ceiling_, limits_.cap);
  ceiling_ = std::min(ceiling * 2, limits_.cap);
  const std::uint64_t delay = random.below(static_cast<std::uint64_t>(ceiling.count()) + 1);
  return std::chrono::milliseconds{static_cast<std::int64_t>(delay)};
}

}  // namespace uplink
