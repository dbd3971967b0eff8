// Budget: ONE limit on the memory of events between broker and stream, for all partitions and gateways of this bridge.
//
// Invariants:
//   (1) Nothing is let in that does not fit, by a generous estimate; used() exceeds bytes_max() at most by what a
//   single batch
//       takes beyond its estimate.
//   (2) Credits are shares: together they are about what is free, as long as the gateways that are active stay the
//   same. What
//       comes beyond is dropped at the door, and the gateway sends it again.
#pragma once

#include <algorithm>
#include <cstdint>

#include "proto/base/assert.hpp"

namespace bridge {

class Budget {
 public:
  // No gateway's share is larger: a window beyond it brings nothing.
  static constexpr std::uint64_t share_max = 1024 * 1024;
  // Nor smaller: room for one largest record.
  static constexpr std::uint64_t share_min = 64 * 1024;
  // A record in memory, as what consumers see, against the bytes that the gateway sent.
  static constexpr std::uint64_t growth = 4;

  explicit Budget(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // Whether this many bytes, as a gateway sends them, may come in.
  [[nodiscard]] bool fits(std::uint64_t sent_bytes) const { return used_ + sent_bytes * growth <= bytes_max_; }
  void charge(std::uint64_t bytes) { used_ += bytes; }
  void give_back(std::uint64_t bytes) {
    ASSERT(bytes <= used_);
    used_ -= bytes;
  }
  // What one of `active` gateways may have under way, in bytes as it sends them.
  [[nodiscard]] std::uint64_t share(std::uint64_t active) const {
    const std::uint64_t free = bytes_max_ - std::min(used_, bytes_max_);
    return std::clamp(free / growth / std::max<std::uint64_t>(active, 1), share_min, share_max);
  }
  [[nodiscard]] std::uint64_t used() const { return used_; }
  [[nodiscard]] std::uint64_t bytes_max() const { return bytes_max_; }

 private:
  std::uint64_t bytes_max_;
  std::uint64_t used_ = 0;
};

}  // namespace bridge
