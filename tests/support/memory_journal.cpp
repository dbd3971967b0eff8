#include "tests/support/memory_journal.hpp"

#include <algorithm>
#include <utility>

#include "proto/base/assert.hpp"

namespace support {

using journal::Error;
using journal::Row;

namespace {

// What the real one charges beside its rows.
constexpr std::uint64_t kFixedBytes = 13U << 20U;
constexpr std::size_t kTrimRowsMax = 1024;

}  // namespace

MemoryJournal::MemoryJournal(Disk& disk, const Settings& settings, const base::Hasher& hasher, base::Random& random)
    : disk_(disk), settings_(settings), hasher_(hasher), quota_(settings.limits) {
  if (!disk.made) {
    const auto key = random.id<base::Id<struct HashKeyTag>>().bytes;
    disk.catalog = journal::new_catalog("test", key, random.id<handoff::Epoch>(), hasher);
    disk.made = true;
  }
  next_ = oldest() + disk.rows.size();
  for (const auto& [row, stored] : disk.rows) stored_bytes_ += stored.record.size() + settings_.row_overhead_bytes;
  const journal::Catalog& catalog = disk.catalog;
  opening_ = random.id<handoff::Run>();
  while (!disk.catalog.segments.empty() && disk.catalog.segments.back().first_row >= next_) {
    disk.catalog.segments.pop_back();
  }
  opened_ = {opening_,       oldest(),         next_,           *catalog.base, *catalog.acked,
             *catalog.epoch, catalog.segments, catalog.answered};
  if (disk.rows.empty()) opened_.segments.clear();
  opened_tallies_ = catalog.tallies;
}

std::optional<Error> MemoryJournal::failure() {
  if (failed_) return failed_;
  const auto error = std::exchange(fail_next_, std::nullopt);
  if (error == Error::broken || error == Error::damaged) failed_ = error;
  return error;
}

base::Result<std::vector<journal::AppendOutcome>, Error> MemoryJournal::append(
    std::span<const journal::AppendItem> items) {
  if (const auto error = failure()) {
    if (*error != Error::disk_full) return base::fail(*error);
    return std::vector<journal::AppendOutcome>(items.size(), journal::Refused{*error});
  }
  std::vector<journal::AppendOutcome> outcomes;
  for (const journal::AppendItem& item : items) {
    if (auto found = candidates(item); !found.empty()) {
      outcomes.emplace_back(journal::Candidates{std::move(found)});
    } else if (!admits(item)) {
      outcomes.emplace_back(journal::Refused{Error::full});
    } else {
      outcomes.emplace_back(journal::Appended{next_});
      store(item);
    }
  }
  return outcomes;
}

std::vector<journal::Candidate> MemoryJournal::candidates(const journal::AppendItem& item) const {
  std::vector<journal::Candidate> found;
  for (auto at = disk_.rows.upper_bound(item.seen_through); at != disk_.rows.end(); ++at) {
    if (at->second.key_hash == item.key_hash) found.push_back({at->first, at->second.record});
    if (found.size() == journal::kCandidatesMax) break;
  }
  std::reverse(found.begin(), found.end());
  return found;
}

bool MemoryJournal::admits(const journal::AppendItem& item) {
  const std::uint64_t cost = item.record.size() + settings_.row_overhead_bytes;
  while (!quota_.admit(item.priority, used_bytes(), cost)) {
    if (disk_.catalog.acked->row < oldest()) return false;
    if (const auto at = covering(disk_.committed, oldest())) {
      shrunk_to_ = std::chrono::floor<std::chrono::seconds>(latest_time_ - *at);
    }
    drop_oldest();
  }
  return true;
}

void MemoryJournal::store(const journal::AppendItem& item) {
  if (!opening_has_segment_)
    journal::put(disk_.catalog.segments, {opening_, next_, handoff::RunIndex(0), false, false});
  opening_has_segment_ = true;
  disk_.rows[next_] = {item.key_hash, item.record};
  if (item.tally) disk_.catalog.tallies.add(*item.tally);
  stored_bytes_ += item.record.size() + settings_.row_overhead_bytes;
  ++next_;
}

base::Result<std::vector<journal::StoredRow>, Error> MemoryJournal::read(Row from, std::size_t max_rows,
                                                                         std::size_t max_bytes) {
  if (failed_) return base::fail(*failed_);
  std::vector<journal::StoredRow> rows;
  std::size_t bytes = 0;
  for (auto at = disk_.rows.lower_bound(from); at != disk_.rows.end() && rows.size() < max_rows; ++at) {
    bytes += at->second.record.size();
    if (!rows.empty() && bytes > max_bytes) break;
    rows.push_back({at->first, at->second.record});
  }
  return rows;
}

base::Result<void, Error> MemoryJournal::start_epoch(const handoff::EpochStart& epoch,
                                                     const std::optional<handoff::Segment>& run) {
  if (const auto error = failure()) return base::fail(*error);
  journal::Catalog& catalog = disk_.catalog;
  const bool same = epoch.epoch == catalog.epoch->epoch;
  ASSERT((same || epoch.first_row >= oldest()) && epoch.first_row <= next_);
  if (!same) {
    catalog.tallies = journal::Tallies();
    const base::Digest start = handoff::chain_start(hasher_, epoch.epoch);
    journal::put(catalog.answered, journal::answered_from(epoch, next_));
    if (catalog.base->row.next() == epoch.first_row) catalog.base->epoch_digest = start;
    if (catalog.acked->row >= epoch.first_row) {
      catalog.acked = catalog.base;
      shorten_committed(catalog.acked->row);
    }
    if (catalog.acked->row.next() == epoch.first_row) catalog.acked->epoch_digest = start;
  }
  catalog.epoch = epoch;
  if (run) {
    journal::put(catalog.segments, *run);
    opening_ = run->run;
    opening_has_segment_ = true;
  }
  return {};
}

void MemoryJournal::remember_acked(const handoff::Mark& acked, base::UtcTime committed_at) {
  ASSERT(acked.row < next_);
  if (acked.row < disk_.catalog.acked->row) {
    disk_.catalog.acked = acked;
    return shorten_committed(acked.row);
  }
  if (acked.row > disk_.catalog.acked->row) disk_.committed[acked.row] = committed_at;
  disk_.catalog.acked = acked;
  latest_time_ = std::max(latest_time_, committed_at);
}

// Rows after `last` are not in the stream any more.
void MemoryJournal::shorten_committed(Row last) {
  const auto at = covering(disk_.committed, last);
  disk_.committed.erase(disk_.committed.lower_bound(last.next()), disk_.committed.end());
  if (at) disk_.committed[last] = *at;
}

void MemoryJournal::remember_sent(Row through, base::UtcTime sent_at) {
  ASSERT(through < next_);
  if (disk_.sent.empty() || disk_.sent.rbegin()->first < through) disk_.sent[through] = sent_at;
}

base::Result<void, Error> MemoryJournal::flush() {
  if (const auto error = failure()) return base::fail(*error);
  return {};
}

base::Result<journal::TrimOutcome, Error> MemoryJournal::trim(base::UtcTime now) {
  if (const auto error = failure()) return base::fail(*error);
  latest_time_ = now;
  journal::TrimOutcome outcome;
  while (oldest() <= disk_.catalog.acked->row && outcome.rows < kTrimRowsMax) {
    const auto at = covering(disk_.committed, oldest());
    const bool expired = at && now - *at >= settings_.retention;
    if (!expired && !quota_.presses(used_bytes())) break;
    if (!expired && at) shrunk_to_ = std::chrono::floor<std::chrono::seconds>(now - *at);
    drop_oldest();
    ++outcome.rows;
  }
  outcome.more = outcome.rows > 0;
  outcome.oldest = oldest();
  outcome.base = *disk_.catalog.base;
  outcome.window_shrank_to = std::exchange(shrunk_to_, std::nullopt);
  return outcome;
}

void MemoryJournal::drop_oldest() {
  journal::Catalog& catalog = disk_.catalog;
  const auto at = disk_.rows.begin();
  ASSERT(at != disk_.rows.end() && at->first <= catalog.acked->row);
  stored_bytes_ -= at->second.record.size() + settings_.row_overhead_bytes;
  catalog.base = journal::advance(hasher_, *catalog.base, *catalog.epoch,
                                  *journal::segment_at(catalog.segments, at->first), at->second.record);
  if (catalog.base->row.next() == catalog.epoch->first_row) {
    catalog.base->epoch_digest = handoff::chain_start(hasher_, catalog.epoch->epoch);
  }
  disk_.rows.erase(at);
  journal::prune(catalog.segments, oldest());
  journal::prune(catalog.answered, oldest());
}

base::Result<std::vector<journal::History>, Error> MemoryJournal::find(std::uint64_t key_hash, std::size_t limit) {
  if (failed_) return base::fail(*failed_);
  std::vector<journal::History> found;
  for (auto at = disk_.rows.rbegin(); at != disk_.rows.rend() && found.size() < limit; ++at) {
    if (at->second.key_hash != key_hash) continue;
    journal::History history{at->first, at->second.record, covering(disk_.sent, at->first), std::nullopt};
    if (at->first <= disk_.catalog.acked->row) history.committed_at = covering(disk_.committed, at->first);
    found.push_back(std::move(history));
  }
  return found;
}

base::Result<journal::VerifyStep, Error> MemoryJournal::verify(Row from) {
  if (failed_) return base::fail(*failed_);
  journal::VerifyStep step;
  const Row first = std::max(from, oldest());
  step.rows = first < next_ ? std::min<std::uint64_t>(next_ - first, journal::kVerifyRowsMax) : 0;
  if (first + step.rows < next_) step.next = first + step.rows;
  return step;
}

std::uint64_t MemoryJournal::used_bytes() const { return kFixedBytes + stored_bytes_; }

std::optional<base::UtcTime> MemoryJournal::covering(const std::map<Row, base::UtcTime>& times, Row row) {
  const auto at = times.lower_bound(row);
  if (at == times.end()) return std::nullopt;
  return at->second;
}

journal::Usage MemoryJournal::usage() {
  journal::Usage usage;
  usage.rows = disk_.rows.size();
  usage.bytes = used_bytes();
  usage.quota_bytes = settings_.limits.quota_bytes;
  usage.free_disk_bytes = 1ULL << 40U;
  usage.index_slots = disk_.rows.size();
  usage.admission = quota_.admission(usage.bytes);
  return usage;
}

}  // namespace support
