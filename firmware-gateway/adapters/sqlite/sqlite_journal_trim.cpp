// SqliteJournal's room: trimming, the quota, and a disk that others have filled.
#include <algorithm>

#include "firmware-gateway/adapters/sqlite/sqlite_journal.hpp"
#include "firmware-gateway/journal/crc32c.hpp"
#include "firmware-gateway/journal/identity.hpp"
#include "proto/base/assert.hpp"

namespace sqlite {

using journal::Error;
using journal::Kind;
using journal::Row;

namespace {

// One step of trimming. Small while the disk is full: its commit must fit in the little that the ballast gave.
constexpr std::uint64_t kTrimRowsMax = 1024;
constexpr std::uint64_t kTrimRowsDiskFull = 64;
constexpr std::uint64_t kTrimBytesMax = 1U << 20U;
// Steps that one refusal may cause before it is one.
constexpr int kGiveWayStepsMax = 4;
// A clock that says less has not been set since power-on; ages cannot be told from it.
constexpr base::UtcTime kEarliestPlausible{std::chrono::milliseconds(1'700'000'000'000)};

}  // namespace

base::Result<journal::TrimOutcome, Error> SqliteJournal::trim(base::UtcTime now) {
  if (failed_) return base::fail(*failed_);
  latest_time_ = now;
  recover_disk();
  const auto through = trimmable_through(now);
  if (!through) return base::fail(through.error());
  journal::TrimOutcome outcome;
  if (*through >= oldest_) {
    const auto rows = trim_through(*through);
    if (!rows) return base::fail(rows.error());
    outcome.rows = *rows;
    outcome.more = true;
  }
  outcome.oldest = oldest_;
  outcome.base = base_;
  outcome.window_shrank_to = std::exchange(shrunk_to_, std::nullopt);
  return outcome;
}

bool SqliteJournal::pressed() {
  measure_room();
  return quota_.presses(room_.used_bytes) || index_.size() > index_.rows_max() - index_.rows_max() / 16;
}

// The last row that may go in this step; oldest_ - 1: none.
base::Result<Row, Error> SqliteJournal::trimmable_through(base::UtcTime now) {
  const std::uint64_t rows_max = disk_full_ ? kTrimRowsDiskFull : kTrimRowsMax;
  const Row last = std::min(acked_.row, oldest_ + (rows_max - 1));
  if (last < oldest_) return last;
  const auto expired = expired_through(now, last);
  if (!expired || *expired == last || !pressed()) return expired;
  int status = SQLITE_OK;
  const auto committed = time_of(Kind::committed, committed_, last, &status);
  if (status != SQLITE_OK) return base::fail(fail(status, "reading times"));
  if (committed) shrunk_to_ = std::chrono::floor<std::chrono::seconds>(now - committed->at);
  return last;
}

// The last row up to `last` that was committed longer ago than the retention.
base::Result<Row, Error> SqliteJournal::expired_through(base::UtcTime now, Row last) {
  Row through = oldest_ - 1;
  if (now < kEarliestPlausible) return through;
  while (through < last) {
    int status = SQLITE_OK;
    const auto committed = time_of(Kind::committed, committed_, through.next(), &status);
    if (status != SQLITE_OK) return base::fail(fail(status, "reading times"));
    if (!committed || committed->at < kEarliestPlausible) {
      // Committed, but nobody knows when: it counts from now on.
      const Row known = committed ? committed->through : acked_.row;
      Transaction transaction(database_);
      put(transaction, journal::time_entry(Kind::committed, known, now));
      if (status = transaction.commit(); status != SQLITE_OK) return base::fail(fail(status, "stamping"));
      std::erase_if(committed_, [known](const Timed& time) { return time.through <= known; });
      break;
    }
    if (now - committed->at < settings_.retention) break;
    through = std::min(committed->through, last);
  }
  return through;
}

base::Result<std::uint64_t, Error> SqliteJournal::trim_through(Row through) {
  ASSERT(through <= acked_.row);
  handoff::Mark base = base_;
  std::vector<std::uint64_t> hashes;
  std::uint64_t bytes = 0;
  Statement& select = statements_.select_rows.bind(1, oldest_.value()).bind(2, through - base.row);
  int status = select.step();
  for (; status == SQLITE_ROW && bytes < kTrimBytesMax; status = select.step()) {
    const Row row(select.number(0));
    const base::BytesView record = select.bytes(3);
    const bool missing = row != base.row.next() || row > through;
    if (missing || journal::row_crc(row.value(), select.number(1), record) != select.number(2)) {
      select.reset();
      return base::fail(fail_damaged(missing ? row_is_missing(base.row.next()) : crc_differs(row)));
    }
    base = journal::advance(needs_.hasher, base, epoch_, *journal::segment_at(segments_, row), record);
    hashes.push_back(select.number(1));
    bytes += record.size();
  }
  if (status == SQLITE_ROW) select.reset();
  if (status != SQLITE_ROW && status != SQLITE_DONE) return base::fail(fail(status, "reading rows to trim"));
  if (hashes.empty()) return base::fail(fail_damaged(row_is_missing(oldest_)));
  // The next row may be the epoch's first: its chain begins there.
  if (base.row.next() == epoch_.first_row) base.epoch_digest = handoff::chain_start(needs_.hasher, epoch_.epoch);

  const Row oldest = base.row.next();
  auto segments = segments_;
  auto answered = answered_;
  journal::prune(segments, oldest);
  journal::prune(answered, oldest);
  Transaction transaction(database_);
  write_progress(transaction);
  transaction.run(statements_.delete_rows.bind(1, oldest_.value()).bind(2, base.row.value()));
  put(transaction, journal::mark_entry(Kind::base, base));
  const auto drop_below = [&](Kind kind, Row row) {
    transaction.run(statements_.delete_entries_below.bind(1, static_cast<std::int64_t>(kind)).bind(2, row.value()));
  };
  drop_below(Kind::segment, segments.front().first_row);
  drop_below(Kind::answered, answered.front().from);
  drop_below(Kind::committed, oldest);
  drop_below(Kind::sent, oldest);
  if (status = transaction.commit(); status != SQLITE_OK) return base::fail(fail(status, "trim"));

  progress_written();
  for (std::size_t i = 0; i < hashes.size(); ++i) index_.erase(hashes[i], oldest_ + i);
  base_ = base;
  oldest_ = oldest;
  segments_ = std::move(segments);
  answered_ = std::move(answered);
  after_commit();
  return hashes.size();
}

// Committed rows go before an event is refused. False: none could.
bool SqliteJournal::give_way(std::uint64_t cost_bytes) {
  const std::uint64_t used_before = room_.used_bytes;
  bool gave = false;
  for (int step = 0; step < kGiveWayStepsMax && room_.used_bytes + cost_bytes > used_before; ++step) {
    const Row last = std::min(acked_.row, oldest_ + (kTrimRowsMax - 1));
    if (last < oldest_) break;
    int status = SQLITE_OK;
    const auto committed = time_of(Kind::committed, committed_, last, &status);
    if (status != SQLITE_OK || !trim_through(last)) break;
    if (committed) shrunk_to_ = std::chrono::floor<std::chrono::seconds>(latest_time_ - committed->at);
    gave = true;
    measure_room();
  }
  return gave && !failed_;
}

// The entry that covers `row`: on disk first, they are older.
std::optional<SqliteJournal::Timed> SqliteJournal::time_of(Kind kind, const std::vector<Timed>& pending, Row row,
                                                           int* status) {
  Statement& select = statements_.time_at.bind(1, static_cast<std::int64_t>(kind)).bind(2, row.value());
  const int step = select.step();
  if (step == SQLITE_ROW) {
    const journal::Entry entry{kind, select.number(0), select.text(2)};
    const auto time = journal::time_of(entry);
    const bool sound = time && select.number(1) == journal::entry_crc(entry);
    select.reset();
    if (sound) return Timed{Row(entry.at), *time};
    *status = SQLITE_CORRUPT;
    return std::nullopt;
  }
  if (step != SQLITE_DONE) *status = step;
  for (const Timed& time : pending) {
    if (time.through >= row) return time;
  }
  return std::nullopt;
}

// --- room ----------------------------------------------------------------------------------------

std::uint64_t SqliteJournal::pragma(Statement& statement) {
  const int status = statement.step();
  if (status != SQLITE_ROW) {
    static_cast<void>(fail(status, "page count"));
    return 0;
  }
  const std::uint64_t value = statement.number(0);
  statement.reset();
  return value;
}

// Pages on the freelist are free: the next rows go there. The file keeps its size, which the quota has granted it.
void SqliteJournal::measure_room() {
  const std::uint64_t free_pages = pragma(statements_.freelist_count);
  const std::uint64_t live_pages = pragma(statements_.page_count) - free_pages;
  const std::uint64_t wal_bytes = database_.wal_bytes();
  room_.used_bytes = live_pages * page_bytes_ + std::max(wal_bytes, overhead_.wal_bytes()) + overhead_.ballast_bytes;
  room_.free_disk_bytes = folder_.free_disk_bytes() + std::min(free_pages * page_bytes_, wal_bytes);
}

// Room on the disk for a commit and the checkpoint after it. Free pages and a WAL that is there already need none. What
// is smaller than the largest item is judged like it, so that usage() says what the next event will be told.
bool SqliteJournal::disk_allows(std::uint64_t cost_bytes) const {
  const std::uint64_t floor = disk_full_ ? 2 * kDiskFloorBytes : kDiskFloorBytes;
  return room_.free_disk_bytes >= 2 * std::max(cost_bytes, kLargestItemBytes) + floor;
}

bool SqliteJournal::disk_has_room(std::uint64_t cost_bytes) {
  if (disk_allows(cost_bytes)) return true;
  if (!disk_full_) relieve_disk();
  return false;
}

// A WAL database at a full disk refuses even DELETE. With the ballast's room: a checkpoint first, so that the WAL can
// be written from its beginning; then small deletes free pages for what comes.
void SqliteJournal::relieve_disk() {
  disk_full_ = true;
  folder_.free_ballast();
  const int status = checkpoint();
  if (status != SQLITE_OK && !is_disk_full(status, database_)) static_cast<void>(fail(status, "checkpoint"));
}

void SqliteJournal::recover_disk() {
  const bool whole = folder_.has_ballast(overhead_.ballast_bytes);
  if (whole && !disk_full_) return;
  const std::uint64_t room = folder_.free_disk_bytes();
  if (!whole &&
      (room < overhead_.ballast_bytes + 2 * kDiskFloorBytes || !folder_.make_ballast(overhead_.ballast_bytes)))
    return;
  if (folder_.free_disk_bytes() >= 2 * kDiskFloorBytes) disk_full_ = false;
}

journal::Usage SqliteJournal::usage() {
  journal::Usage usage;
  usage.rows = next_ - oldest_;
  measure_room();
  usage.bytes = room_.used_bytes;
  usage.quota_bytes = settings_.limits.quota_bytes;
  usage.free_disk_bytes = folder_.free_disk_bytes();
  int written = 0;
  int ignored = 0;
  sqlite3_db_status(database_.handle(), SQLITE_DBSTATUS_CACHE_WRITE, &written, &ignored, 1);
  written_pages_ += static_cast<std::uint64_t>(std::max(written, 0));
  usage.bytes_written_total = written_pages_ * (page_bytes_ + 24) + checkpointed_bytes_;
  usage.index_slots = index_.size();
  const bool disk_full = !disk_allows(0);
  usage.admission = disk_full ? journal::Admission::closed : quota_.admission(usage.bytes);
  usage.disk_full = disk_full || disk_full_;
  return usage;
}

}  // namespace sqlite
