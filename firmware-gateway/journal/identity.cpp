#include "firmware-gateway/journal/identity.hpp"

#include <algorithm>

#include "proto/base/assert.hpp"

namespace journal {
namespace {

Row start(const handoff::Segment& segment) { return segment.first_row; }
Row start(const handoff::Answered& entry) { return entry.from; }

template <class Entry>
const Entry* entry_at(const std::vector<Entry>& entries, Row row) {
  const auto after = std::upper_bound(entries.begin(), entries.end(), row,
                                      [](Row at, const Entry& entry) { return at < start(entry); });
  return after == entries.begin() ? nullptr : &*(after - 1);
}

template <class Entry>
void replace_from(std::vector<Entry>& entries, const Entry& entry) {
  while (!entries.empty() && start(entries.back()) >= start(entry)) entries.pop_back();
  entries.push_back(entry);
}

template <class Entry>
void drop_before(std::vector<Entry>& entries, Row oldest) {
  const Entry* first = entry_at(entries, oldest);
  if (first != nullptr) entries.erase(entries.begin(), entries.begin() + (first - entries.data()));
}

}  // namespace

const handoff::Segment* segment_at(const std::vector<handoff::Segment>& segments, Row row) {
  return entry_at(segments, row);
}

std::optional<Identity> identity_of(const std::vector<handoff::Segment>& segments, Row row) {
  const handoff::Segment* segment = segment_at(segments, row);
  if (segment == nullptr) return std::nullopt;
  return Identity{segment->run, segment->first_index + (row - segment->first_row)};
}

std::optional<AnsweredPlace> answered_place(const std::vector<handoff::Answered>& answered, Row row) {
  const handoff::Answered* entry = entry_at(answered, row);
  if (entry == nullptr) return std::nullopt;
  return AnsweredPlace{entry->epoch, entry->seq + (row - entry->from)};
}

handoff::Answered answered_from(const handoff::EpochStart& epoch, Row next) {
  ASSERT(epoch.first_row <= next);
  return {next, epoch.epoch, handoff::Seq(next - epoch.first_row + 1)};
}

void put(std::vector<handoff::Segment>& segments, const handoff::Segment& segment) { replace_from(segments, segment); }
void put(std::vector<handoff::Answered>& answered, const handoff::Answered& entry) { replace_from(answered, entry); }
void prune(std::vector<handoff::Segment>& segments, Row oldest) { drop_before(segments, oldest); }
void prune(std::vector<handoff::Answered>& answered, Row oldest) { drop_before(answered, oldest); }

handoff::Mark advance(const base::Hasher& hasher, const handoff::Mark& mark, const handoff::EpochStart& epoch,
                      const handoff::Segment& segment, base::BytesView record) {
  const Row row = mark.row.next();
  const bool epoch_begins = row == epoch.first_row;
  const bool run_begins = row == segment.first_row && segment.first_index == handoff::RunIndex(0);
  const base::Digest epoch_before = epoch_begins ? handoff::chain_start(hasher, epoch.epoch) : mark.epoch_digest;
  const base::Digest run_before = run_begins ? handoff::chain_start(hasher, segment.run) : mark.run_digest;
  return {row, handoff::chain(hasher, epoch_before, record),
          segment.digest_void ? base::Digest{} : handoff::chain(hasher, run_before, record)};
}

}  // namespace journal
