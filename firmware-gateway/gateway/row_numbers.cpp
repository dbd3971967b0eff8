#include "firmware-gateway/gateway/row_numbers.hpp"

#include <algorithm>
#include <iterator>

namespace gateway {

namespace {

// The entry that a row belongs to; end(): none.
auto entry_of(const std::vector<handoff::Answered>& answered, handoff::Row row) {
  const auto after = std::ranges::upper_bound(answered, row, {}, &handoff::Answered::from);
  return after == answered.begin() ? answered.end() : std::prev(after);
}

}  // namespace

void RowNumbers::on_opened(const handoff::JournalState& state) { answered_ = state.answered; }

bool RowNumbers::on_epoch_stored(const handoff::EpochStart& start, handoff::Row next) {
  if (!answered_.empty() && answered_.back().epoch == start.epoch) return false;
  const handoff::Row from = std::max(next, start.first_row);
  std::erase_if(answered_, [from](const handoff::Answered& entry) { return entry.from >= from; });
  answered_.push_back({.from = from, .epoch = start.epoch, .seq = handoff::Seq(from - start.first_row + 1)});
  return true;
}

void RowNumbers::on_trimmed(handoff::Row oldest) {
  const auto first = entry_of(answered_, oldest);
  if (first != answered_.end()) answered_.erase(answered_.begin(), first);
}

std::optional<ingest::Numbering::Place> RowNumbers::place_of(handoff::Row row) const {
  const auto entry = entry_of(answered_, row);
  if (entry == answered_.end()) return std::nullopt;
  return Place{.epoch = entry->epoch, .seq = entry->seq + (row - entry->from)};
}

}  // namespace gateway
