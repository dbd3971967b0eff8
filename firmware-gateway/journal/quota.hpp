// Quota: whether the next event may still be stored. Only arithmetic: the adapter says what is used.
//
//   open ──used > telemetry level──▶ money_only ──used > money level──▶ closed
//     ◀──used < that level − gap──        ◀──used < that level − gap──
//
// Invariants:
//   (1) What was admitted fits: used plus everything admitted never exceeds quota_bytes.
//   (2) Telemetry never takes what reserve_bytes keeps for money.
//   (3) A class that was closed opens again only when the gap is free (no flapping at the edge).
#pragma once

#include <cstdint>

#include "firmware-gateway/journal/journal.hpp"

namespace journal {

struct QuotaLimits {
  std::uint64_t quota_bytes = 0;
  std::uint64_t reserve_bytes = 0;
};

class Quota {
 public:
  explicit Quota(QuotaLimits limits);

  // Whether an event of `cost_bytes` may be stored when `used_bytes` are taken. Remembers what it closed.
  [[nodiscard]] bool admit(Priority priority, std::uint64_t used_bytes, std::uint64_t cost_bytes);
  // What the next event of either class would meet.
  [[nodiscard]] Admission admission(std::uint64_t used_bytes);
  // Committed rows should give way: well before anything has to be refused.
  [[nodiscard]] bool presses(std::uint64_t used_bytes) const;

 private:
  struct Gate {
    std::uint64_t closes_above = 0;
    bool closed = false;
  };
  [[nodiscard]] bool open(Gate& gate, std::uint64_t used_bytes, std::uint64_t cost_bytes) const;

  std::uint64_t gap_;
  Gate money_;
  Gate telemetry_;
};

}  // namespace journal
