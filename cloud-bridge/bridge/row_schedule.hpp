// RowSchedule: when each gateway's row in the public table is written again. There is news with every heartbeat and
// every commit; a row is written at once when it has rested for the interval, and else when it has.
//
// The interval grows with the number of gateways, so that rows never take more of the stream than rows_per_second.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <set>
#include <utility>

#include "cloud-bridge/progress/ledger.hpp"

namespace bridge {

class RowSchedule {
 public:
  static constexpr std::chrono::milliseconds interval_min{1'000};
  static constexpr std::size_t rows_per_second = 500;

  // There is news about this gateway.
  void note(progress::Gateway& gateway, std::size_t gateways, base::Instant now) {
    if (std::exchange(gateway.row_due, true)) return;
    const auto rest = std::max(interval_min, std::chrono::milliseconds(gateways * 1000 / rows_per_second));
    due_.emplace(gateway.row_written_at ? std::max(now, *gateway.row_written_at + rest) : now, &gateway);
  }
  // A gateway whose row is to be written now.
  [[nodiscard]] progress::Gateway* take(base::Instant now) {
    if (due_.empty() || due_.begin()->first > now) return nullptr;
    progress::Gateway* gateway = due_.begin()->second;
    due_.erase(due_.begin());
    gateway->row_due = false;
    gateway->row_written_at = now;
    return gateway;
  }
  [[nodiscard]] bool due(base::Instant now) const { return !due_.empty() && due_.begin()->first <= now; }
  [[nodiscard]] std::optional<base::Instant> next() const {
    return due_.empty() ? std::nullopt : std::optional(due_.begin()->first);
  }
  void clear() { due_.clear(); }

 private:
  std::set<std::pair<base::Instant, progress::Gateway*>> due_;
};

}  // namespace bridge
