#include "firmware-gateway/gateway/pending_ledger.hpp"

#include <algorithm>
#include <limits>

#include "proto/wire/event.pb.h"

namespace gateway {

using handoff::Row;

void PendingLedger::Total::add(std::int64_t amount_minor) {
  units_ += amount_minor / unit;
  rest_ += amount_minor % unit;
}

void PendingLedger::Total::subtract(std::int64_t amount_minor) {
  units_ -= amount_minor / unit;
  rest_ -= amount_minor % unit;
}

std::int64_t PendingLedger::Total::amount_minor() const {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const std::int64_t units = units_ + rest_ / unit;
  const std::int64_t rest = rest_ % unit;
  if (units >= most / unit) return most;
  if (units <= -(most / unit)) return -most;
  return units * unit + rest;
}

void PendingLedger::on_opened(Row acked, Row next) {
  acked_ = acked;
  counted_ = acked;
  next_ = next;
  totals_.clear();
  details_.clear();
  spans_.clear();
}

PendingLedger::Detail PendingLedger::read(const base::Bytes& record) {
  tillstream::v1::Event event;
  // A record that cannot be read counts as pending without an amount; the bridge says what is wrong with it.
  if (!event.ParseFromString(record)) return {};
  const std::chrono::milliseconds received(event.received_at_ms());
  return {.received = {.at = base::UtcTime(received), .clock_synced = event.clock_synced()},
          .currency = event.currency(),
          .amount_minor = event.effect_minor()};
}

void PendingLedger::on_rows(Row first, std::span<const base::Bytes> records, Row next) {
  next_ = std::max(next_, next);
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Row row = first + i;
    const bool counts = row == counted_.next();
    const bool details = row == detailed().next() && details_.size() < details_max;
    if (!counts && !details) continue;
    Detail detail = read(records[i]);
    if (counts) count(row, detail);
    if (details) details_.push_back(std::move(detail));
  }
  while (!spans_.empty() && spans_.front().last <= detailed()) spans_.pop_front();
}

void PendingLedger::count(Row row, const Detail& detail) {
  counted_ = row;
  if (!detail.currency.empty()) {
    auto& sum = totals_[detail.currency];
    sum.total.add(detail.amount_minor);
    ++sum.count;
  }
  if (!spans_.empty() && row.value() % span_rows != 0) {
    spans_.back().last = row;
    spans_.back().lowest = std::min(spans_.back().lowest, detail.received.at);
  } else {
    spans_.push_back({.last = row, .lowest = detail.received.at});
  }
}

void PendingLedger::subtract(const Detail& detail) {
  const auto sum = totals_.find(detail.currency);
  if (sum == totals_.end()) return;
  sum->second.total.subtract(detail.amount_minor);
  if (--sum->second.count == 0) totals_.erase(sum);
}

void PendingLedger::on_acked(Row acked) {
  // Elsewhere than what we know row by row: count anew.
  if (acked < acked_ || acked > detailed() || acked > counted_) return on_opened(acked, std::max(next_, acked.next()));
  while (acked_ < acked) {
    subtract(details_.front());
    details_.pop_front();
    ++acked_;
  }
  while (!spans_.empty() && spans_.front().last <= acked_) spans_.pop_front();
}

std::optional<Row> PendingLedger::scan_from() const {
  if (counted_.next() >= next_) return std::nullopt;
  return counted_.next();
}

std::vector<status::PendingAmount> PendingLedger::amounts() const {
  std::vector<status::PendingAmount> amounts;
  amounts.reserve(totals_.size());
  for (const auto& [currency, sum] : totals_) {
    amounts.push_back({.currency = currency, .amount_minor = sum.total.amount_minor(), .count = sum.count});
  }
  return amounts;
}

std::optional<PendingLedger::Received> PendingLedger::oldest() const {
  if (details_.empty()) return std::nullopt;
  return details_.front().received;
}

std::optional<base::UtcTime> PendingLedger::lowest_received() const {
  std::optional<base::UtcTime> lowest;
  const auto take = [&](base::UtcTime time) { lowest = lowest ? std::min(*lowest, time) : time; };
  for (const Detail& detail : details_) take(detail.received.at);
  for (const Span& span : spans_) {
    if (span.last > detailed()) take(span.lowest);
  }
  return lowest;
}

}  // namespace gateway
