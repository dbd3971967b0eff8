#include "firmware-gateway/journal/quota.hpp"

#include <algorithm>

namespace journal {
namespace {

constexpr std::uint64_t kGapMin = 256U << 10U;
constexpr std::uint64_t kGapMax = 8U << 20U;
constexpr std::uint64_t kGapDivisor = 32;

std::uint64_t minus(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; }

}  // namespace

Quota::Quota(QuotaLimits limits)
    : gap_(std::clamp(limits.quota_bytes / kGapDivisor, kGapMin, kGapMax)),
      money_{limits.quota_bytes},
      telemetry_{minus(limits.quota_bytes, limits.reserve_bytes)} {}

bool Quota::open(Gate& gate, std::uint64_t used_bytes, std::uint64_t cost_bytes) const {
  if (gate.closed) gate.closed = used_bytes + cost_bytes > minus(gate.closes_above, gap_);
  if (used_bytes + cost_bytes > gate.closes_above) gate.closed = true;
  return !gate.closed;
}

bool Quota::admit(Priority priority, std::uint64_t used_bytes, std::uint64_t cost_bytes) {
  return open(priority == Priority::money ? money_ : telemetry_, used_bytes, cost_bytes);
}

Admission Quota::admission(std::uint64_t used_bytes) {
  if (!open(money_, used_bytes, 0)) return Admission::closed;
  return open(telemetry_, used_bytes, 0) ? Admission::open : Admission::money_only;
}

bool Quota::presses(std::uint64_t used_bytes) const { return used_bytes > minus(telemetry_.closes_above, 2 * gap_); }

}  // namespace journal
