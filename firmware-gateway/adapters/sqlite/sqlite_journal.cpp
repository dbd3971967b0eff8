#include "firmware-gateway/adapters/sqlite/sqlite_journal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "firmware-gateway/adapters/sqlite/log_file.hpp"
#include "firmware-gateway/adapters/sqlite/salvage.hpp"
#include "firmware-gateway/journal/crc32c.hpp"
#include "firmware-gateway/journal/identity.hpp"
#include "proto/base/assert.hpp"

namespace sqlite {

using journal::Entry;
using journal::Error;
using journal::Kind;
using journal::Row;

namespace {

// Marks and times travel with an append at most so often: each adds a page to its commit.
constexpr std::chrono::seconds kProgressInterval{1};
// Times that wait to be written; when there are more, the last one covers for those that follow.
constexpr std::size_t kPendingTimesMax = 256;
// Go into the index together at opening.
constexpr std::size_t kKeysAtATime = 64;
// A row's share of its page beside the record: number, key hash, CRC, cell header and pointer.
constexpr std::uint64_t kRowOverheadBytes = 48;
// A sum that is new, with its share of a page that splits.
constexpr std::uint64_t kTallyCostBytes = 512;

std::int64_t kind_number(Kind kind) { return static_cast<std::int64_t>(kind); }

}  // namespace

std::string crc_differs(Row row) { return fmt::format("row {}: its CRC differs", row.value()); }
std::string row_is_missing(Row row) { return fmt::format("row {} is missing", row.value()); }

// --- opening -------------------------------------------------------------------------------------

SqliteJournal::SqliteJournal(const StateFolder& folder, const JournalSettings& settings, const JournalNeeds& needs)
    : folder_(folder),
      settings_(settings),
      needs_(needs),
      index_(settings.index_rows_max),
      overhead_(Overhead::of(settings.limits.quota_bytes)),
      quota_(settings.limits) {}

SqliteJournal::~SqliteJournal() = default;

base::Result<std::unique_ptr<SqliteJournal>, OpenError> SqliteJournal::open(const StateFolder& folder,
                                                                            const JournalSettings& settings,
                                                                            const JournalNeeds& needs,
                                                                            const OpenOptions& options) try {
  ASSERT(settings.limits.quota_bytes >= kQuotaMinBytes);
  ASSERT(settings.limits.reserve_bytes < settings.limits.quota_bytes);
  std::optional<Salvaged> salvaged;
  auto made = ensure_journal(folder, settings, needs, options.now);
  if (!made) return base::fail(made.error());
  salvaged = std::move(*made);
  std::string reason = options.damage;
  for (bool last_try = false;; last_try = true) {
    if (!reason.empty()) {
      auto done = salvage_journal(folder, settings, needs, options.now, reason);
      if (!done) return base::fail(done.error());
      salvaged = std::move(*done);
    }
    std::unique_ptr<SqliteJournal> journal(new SqliteJournal(folder, settings, needs));
    const auto loaded = journal->load();
    if (loaded) {
      journal->salvaged_ = std::move(salvaged);
      return journal;
    }
    const OpenFault fault = loaded.error().fault;
    const bool salvageable =
        fault == OpenFault::damaged || (fault == OpenFault::unreadable && options.salvage_read_errors);
    if (!salvageable || last_try) return base::fail(loaded.error());
    reason = loaded.error().detail;
  }
} catch (const std::filesystem::filesystem_error& failure) {
  // The folder cannot be looked at: not a word about what is in it.
  return base::fail(OpenError{OpenFault::storage, failure.what()});
}

base::Result<void, OpenError> SqliteJournal::load() {
  const LogDamage log = judge_log_file(wal_of(folder_.journal()));
  auto opened = open_journal(folder_.journal(), settings_.vfs);
  if (!opened && opened.error().fault == OpenFault::disk_full && folder_.has_ballast()) {
    folder_.free_ballast();
    disk_full_ = true;
    opened = open_journal(folder_.journal(), settings_.vfs);
  }
  if (!opened) return base::fail(opened.error());
  database_ = std::move(*opened);
  // Not earlier: a file that is none of ours stays as it is. Not later: settling would drop what stands behind.
  if (!log.empty()) return base::fail(OpenError{OpenFault::damaged, "the log: " + log});
  if (auto settled = settle_wal(); !settled) return settled;
  sqlite3_wal_hook(database_.handle(), &SqliteJournal::on_wal, this);
  if (prepare() != SQLITE_OK) return base::fail(damaged_or_unreadable("the schema is damaged"));
  int status = SQLITE_OK;
  page_bytes_ = std::stoull("0" + database_.value("PRAGMA page_size", &status));
  if (status != SQLITE_OK) return base::fail(open_error(status, database_, "page_size"));
  if (auto loaded = load_catalog(); !loaded) return loaded;
  last_sent_ = Row(std::stoull("0" + database_.value("SELECT max(at) FROM catalog WHERE kind = 9", &status)));
  if (status != SQLITE_OK) return base::fail(open_error(status, database_, "reading times"));
  if (auto loaded = load_rows(); !loaded) return loaded;
  set_opened();
  recover_disk();
  return {};
}

// After a failed fsync and a crash, valid frames may stand in the page cache that the disk never had, and no later sync
// takes them there: neither a terminal nor the stream may hear of them. Writing them over themselves does it, first: a
// checkpoint would take them into the database page by page, and a power cut in between leave some there and none in
// the log. Where the database finds no room to grow, they stay in the log. The log's name is synced, too: SQLite tries,
// and passes over an error.
base::Result<void, OpenError> SqliteJournal::settle_wal() {
  if (!folder_.sync()) return base::fail(OpenError{OpenFault::storage, "the folder cannot be synced"});
  int status = database_.rewrite_wal();
  if (status == SQLITE_OK) status = checkpoint_all(database_);
  if (is_disk_full(status, database_)) {
    disk_full_ = true;
    folder_.free_ballast();
    status = database_.rewrite_wal();
    if (status == SQLITE_OK) status = checkpoint_all(database_);
    if (is_disk_full(status, database_)) status = SQLITE_OK;
  }
  if (status != SQLITE_OK) return base::fail(open_error(status, database_, "settling the WAL at opening"));
  checkpoint_on_close(database_, true);
  return {};
}

int SqliteJournal::prepare() {
  statements_.insert_row = Statement(database_, kInsertRowSql);
  statements_.select_rows =
      Statement(database_, "SELECT row, key_hash, crc, record FROM rows WHERE row >= ?1 ORDER BY row LIMIT ?2");
  statements_.select_row = Statement(database_, "SELECT row, key_hash, crc, record FROM rows WHERE row = ?1");
  statements_.delete_rows = Statement(database_, "DELETE FROM rows WHERE row BETWEEN ?1 AND ?2");
  statements_.put_entry = Statement(database_, kPutEntrySql);
  statements_.delete_entries_from = Statement(database_, "DELETE FROM catalog WHERE kind = ?1 AND at >= ?2");
  statements_.delete_entries_below = Statement(database_, "DELETE FROM catalog WHERE kind = ?1 AND at < ?2");
  statements_.time_at =
      Statement(database_, "SELECT at, crc, value FROM catalog WHERE kind = ?1 AND at >= ?2 ORDER BY kind, at LIMIT 1");
  statements_.page_count = Statement(database_, "PRAGMA page_count");
  statements_.freelist_count = Statement(database_, "PRAGMA freelist_count");
  for (const Statement* statement :
       {&statements_.insert_row, &statements_.select_rows, &statements_.select_row, &statements_.delete_rows,
        &statements_.put_entry, &statements_.delete_entries_from, &statements_.delete_entries_below,
        &statements_.time_at, &statements_.page_count, &statements_.freelist_count}) {
    if (statement->status() != SQLITE_OK) return statement->status();
  }
  return SQLITE_OK;
}

base::Result<void, OpenError> SqliteJournal::load_catalog() {
  bool sound = false;
  journal::Catalog catalog = read_catalog(database_, &sound);
  if (!sound) return base::fail(damaged_or_unreadable("the catalog is damaged"));
  if (*catalog.gateway_id != settings_.gateway_id) {
    return base::fail(OpenError{OpenFault::foreign_gateway,
                                fmt::format("{}: the journal of gateway '{}', not of '{}'", folder_.journal().string(),
                                            *catalog.gateway_id, settings_.gateway_id)});
  }
  hash_key_ = *catalog.hash_key;
  // Without room for the copy the next opening tries again: it counts only when the catalog is lost.
  if (folder_.hash_key() != hash_key_) static_cast<void>(folder_.keep_hash_key(hash_key_));
  epoch_ = *catalog.epoch;
  base_ = *catalog.base;
  acked_ = *catalog.acked;
  tallies_outdated_ = !catalog.tallies_count_every_row();
  if (!tallies_outdated_) tallies_ = std::move(catalog.tallies);
  segments_ = std::move(catalog.segments);
  answered_ = std::move(catalog.answered);
  return {};
}

// Every row is looked at: that they follow each other, and their CRC, also of those that are in the stream: the
// duplicate index is made of them, and a wrong hash would hide a row from it. The record lies on the page that is read
// anyway.
base::Result<void, OpenError> SqliteJournal::load_rows() {
  const auto damaged = [](std::string what) { return base::fail(OpenError{OpenFault::damaged, std::move(what)}); };
  oldest_ = base_.row.next();
  next_ = oldest_;
  Statement last(database_, "SELECT row FROM rows ORDER BY row DESC LIMIT 1");
  // Only a guess: whether the rows between are there is seen below.
  if (last.step() == SQLITE_ROW && last.number(0) >= oldest_.value()) {
    index_.reserve(last.number(0) - oldest_.value() + 1);
  }
  std::vector<journal::DuplicateIndex::Key> keys;
  keys.reserve(kKeysAtATime);
  const auto index_all = [&] {
    index_.insert(keys);
    keys.clear();
  };
  Statement scan(database_, "SELECT row, key_hash, crc, record FROM rows ORDER BY row");
  int status = scan.step();
  for (; status == SQLITE_ROW; status = scan.step()) {
    const Row row(scan.number(0));
    if (row != next_) return damaged(row_is_missing(next_));
    if (journal::row_crc(row.value(), scan.number(1), scan.bytes(3)) != scan.number(2)) {
      return damaged(crc_differs(row));
    }
    if (index_.size() + keys.size() == index_.rows_max()) break;
    keys.push_back({scan.number(1), row});
    if (keys.size() == kKeysAtATime) index_all();
    ++next_;
  }
  index_all();
  if (status == SQLITE_ROW) {
    return base::fail(OpenError{OpenFault::storage, "more rows than the duplicate index may hold"});
  }
  if (status != SQLITE_DONE) return base::fail(open_error(status, database_, "reading the rows"));
  const bool named = next_ == oldest_ || journal::segment_at(segments_, oldest_) != nullptr;
  if (!named) return damaged("the catalog does not fit the rows");
  if (const Row was_there = std::max(acked_.row, last_sent_); was_there >= next_)
    return damaged(row_is_missing(was_there));
  return {};
}

OpenError SqliteJournal::damaged_or_unreadable(std::string what) const {
  if (!database_.has_unreadable_sector()) return {OpenFault::damaged, std::move(what)};
  return {OpenFault::unreadable, "a sector cannot be read, and it seems that " + what};
}

void SqliteJournal::set_opened() {
  opening_ = needs_.random.id<handoff::Run>();
  // A segment that never got a row of its own is none.
  while (!segments_.empty() && segments_.back().first_row >= next_) segments_.pop_back();
  opened_ = {opening_, oldest_, next_, base_, acked_, epoch_, segments_, answered_};
  if (next_ == oldest_) opened_.segments.clear();
  opened_tallies_ = tallies_;
}

// --- appending -----------------------------------------------------------------------------------

base::Result<std::vector<journal::AppendOutcome>, Error> SqliteJournal::append(
    std::span<const journal::AppendItem> items) {
  std::vector<journal::AppendOutcome> outcomes;
  outcomes.reserve(items.size());
  while (!items.empty()) {
    std::size_t count = 0;
    for (std::size_t bytes = 0; count < std::min(items.size(), kGroupItemsMax); ++count) {
      bytes += items[count].record.size();
      if (count > 0 && bytes > overhead_.group_bytes_max) break;
    }
    if (const auto done = append_group(items.first(count), outcomes); !done) return base::fail(done.error());
    items = items.subspan(count);
  }
  return outcomes;
}

base::Result<void, Error> SqliteJournal::append_group(std::span<const journal::AppendItem> items,
                                                      std::vector<journal::AppendOutcome>& outcomes) {
  if (failed_) return base::fail(*failed_);
  auto planned = plan_group(items);
  if (!planned) return base::fail(planned.error());
  const auto stored = [](const Planned& one) { return std::holds_alternative<journal::Appended>(one.outcome); };
  if (std::any_of(planned->begin(), planned->end(), stored)) {
    const int status = store_group(*planned);
    if (status == SQLITE_OK) {
      index_group(*planned);
      after_commit();
    } else if (const Error error = fail(status, "append"); error != Error::disk_full) {
      return base::fail(error);
    } else {
      // None was stored, and with them went what the others were candidates of.
      for (Planned& one : *planned) {
        const auto* candidates = std::get_if<journal::Candidates>(&one.outcome);
        const bool of_this_group = candidates != nullptr && candidates->rows.front().row >= next_;
        if (stored(one) || of_this_group) one.outcome = journal::Refused{error};
      }
    }
  }
  for (Planned& one : *planned) outcomes.push_back(std::move(one.outcome));
  return {};
}

base::Result<std::vector<SqliteJournal::Planned>, Error> SqliteJournal::plan_group(
    std::span<const journal::AppendItem> items) {
  recover_disk();
  measure_room();
  std::vector<Planned> planned;
  planned.reserve(items.size());
  std::uint64_t bytes = 0;
  std::size_t rows = 0;
  for (const journal::AppendItem& item : items) {
    auto known = candidates(item, planned);
    if (!known) return base::fail(known.error());
    if (!known->empty()) {
      planned.push_back({&item, journal::Candidates{std::move(*known)}});
      continue;
    }
    const std::uint64_t cost = bytes + cost_bytes(item);
    const auto error = refusal(item.priority, cost, rows);
    if (failed_) return base::fail(*failed_);
    if (error) {
      planned.push_back({&item, journal::Refused{*error}});
      continue;
    }
    planned.push_back({&item, journal::Appended{next_ + rows}});
    bytes = cost;
    ++rows;
  }
  return planned;
}

// What may be the same event: the oldest rows not yet seen, of the index, then of this group; told newest first.
base::Result<std::vector<journal::Candidate>, Error> SqliteJournal::candidates(const journal::AppendItem& item,
                                                                               std::span<const Planned> before) {
  std::vector<journal::Candidate> found;
  const std::vector<Row> indexed = index_.find(item.key_hash, item.seen_through);
  for (auto row = indexed.rbegin(); row != indexed.rend() && found.size() < journal::kCandidatesMax; ++row) {
    auto record = row_with(*row, item.key_hash);
    if (!record) return base::fail(record.error());
    if (*record) found.push_back({*row, std::move(**record)});
  }
  for (const Planned& one : before) {
    const auto* appended = std::get_if<journal::Appended>(&one.outcome);
    if (appended == nullptr || one.item->key_hash != item.key_hash || appended->row <= item.seen_through) continue;
    if (found.size() < journal::kCandidatesMax) found.push_back({appended->row, one.item->record});
  }
  std::reverse(found.begin(), found.end());
  return found;
}

base::Result<std::optional<base::Bytes>, Error> SqliteJournal::row_with(Row row, std::uint64_t key_hash) {
  Statement& select = statements_.select_row.bind(1, row.value());
  const int status = select.step();
  if (status == SQLITE_DONE) return base::fail(fail_damaged(row_is_missing(row)));
  if (status != SQLITE_ROW) return base::fail(fail(status, "reading a row"));
  const base::BytesView record = select.bytes(3);
  const bool sound = journal::row_crc(row.value(), select.number(1), record) == select.number(2);
  std::optional<base::Bytes> found;
  if (select.number(1) == key_hash) found = base::Bytes(record);
  select.reset();
  if (!sound) return base::fail(fail_damaged(crc_differs(row)));
  return found;
}

std::uint64_t SqliteJournal::cost_bytes(const journal::AppendItem& item) const {
  // A record that spills into overflow pages takes whole ones.
  const std::uint64_t spill = item.record.size() > page_bytes_ / 8 ? page_bytes_ : 0;
  return item.record.size() + kRowOverheadBytes + spill + (item.tally ? kTallyCostBytes : 0);
}

std::optional<Error> SqliteJournal::refusal(journal::Priority priority, std::uint64_t cost, std::size_t planned_rows) {
  if (!disk_has_room(cost)) return Error::disk_full;
  const auto fits = [&] {
    return index_.size() + planned_rows < index_.rows_max() && quota_.admit(priority, room_.used_bytes, cost);
  };
  while (!fits()) {
    if (!give_way(cost)) return Error::full;
  }
  return std::nullopt;
}

int SqliteJournal::store_group(const std::vector<Planned>& planned) {
  Transaction transaction(database_);
  if (!opening_has_segment_) put(transaction, journal::segment_entry({opening_, next_, handoff::RunIndex(0)}));
  if (progress_due()) write_progress(transaction);
  journal::Tallies tallies = put_tallies(transaction, planned);
  for (const Planned& one : planned) {
    const auto* appended = std::get_if<journal::Appended>(&one.outcome);
    if (appended == nullptr) continue;
    const journal::AppendItem& item = *one.item;
    statements_.insert_row.bind(1, appended->row.value()).bind(2, item.key_hash);
    statements_.insert_row.bind(
        3, static_cast<std::int64_t>(journal::row_crc(appended->row.value(), item.key_hash, item.record)));
    transaction.run(statements_.insert_row.bind(4, item.record));
  }
  const int status = transaction.commit();
  if (status == SQLITE_OK) tallies_ = std::move(tallies);
  // Committed into a file that is not there any more: answered as a disk that failed, and opened again.
  return status == SQLITE_OK && database_.has_moved() ? SQLITE_IOERR_DELETE_NOENT : status;
}

journal::Tallies SqliteJournal::put_tallies(Transaction& transaction, const std::vector<Planned>& planned) {
  journal::Tallies tallies = tallies_;
  std::set<std::size_t> changed;
  for (const Planned& one : planned) {
    if (!one.item->tally || !std::holds_alternative<journal::Appended>(one.outcome)) continue;
    if (const auto place = tallies.add(*one.item->tally)) changed.insert(*place);
  }
  if (!opening_has_segment_ || tallies.whole() != tallies_.whole())
    put_tally_mark(transaction, tallies.whole(), opening_);
  for (const std::size_t place : changed) put(transaction, journal::tally_entry(place, tallies.sums()[place]));
  return tallies;
}

void SqliteJournal::put_tally_mark(Transaction& transaction, bool whole, const handoff::Run& run) {
  if (tallies_outdated_) drop_tallies(transaction);
  put(transaction, journal::tally_mark_entry(whole, run));
}

void SqliteJournal::drop_tallies(Transaction& transaction) {
  transaction.run(statements_.delete_entries_from.bind(1, kind_number(Kind::tally)).bind(2, std::uint64_t{0}));
}

void SqliteJournal::index_group(const std::vector<Planned>& planned) {
  if (!opening_has_segment_) journal::put(segments_, {opening_, next_, handoff::RunIndex(0)});
  opening_has_segment_ = true;
  tallies_outdated_ = false;
  if (progress_due()) progress_written();
  for (const Planned& one : planned) {
    if (!std::holds_alternative<journal::Appended>(one.outcome)) continue;
    index_.insert(one.item->key_hash, next_);
    ++next_;
  }
}

// --- reading -------------------------------------------------------------------------------------

base::Result<std::vector<journal::StoredRow>, Error> SqliteJournal::read(Row from, std::size_t max_rows,
                                                                         std::size_t max_bytes) {
  if (failed_) return base::fail(*failed_);
  Row expected = std::max(from, oldest_);
  std::vector<journal::StoredRow> rows;
  Statement& select = statements_.select_rows.bind(1, expected.value()).bind(2, static_cast<std::uint64_t>(max_rows));
  std::size_t bytes = 0;
  int status = select.step();
  for (; status == SQLITE_ROW; status = select.step()) {
    const base::BytesView record = select.bytes(3);
    bytes += record.size();
    if (!rows.empty() && bytes > max_bytes) break;
    const bool missing = select.number(0) != expected.value();
    if (missing || journal::row_crc(expected.value(), select.number(1), record) != select.number(2)) {
      select.reset();
      return base::fail(fail_damaged(missing ? row_is_missing(expected) : crc_differs(expected)));
    }
    rows.push_back({expected, base::Bytes(record)});
    ++expected;
  }
  if (status == SQLITE_ROW) select.reset();
  if (status != SQLITE_ROW && status != SQLITE_DONE) return base::fail(fail(status, "reading rows"));
  const bool ends_early = status == SQLITE_DONE && rows.size() < max_rows && expected < next_;
  if (ends_early) return base::fail(fail_damaged(row_is_missing(expected)));
  return rows;
}

base::Result<std::vector<journal::History>, Error> SqliteJournal::find(std::uint64_t key_hash, std::size_t limit) {
  if (failed_) return base::fail(*failed_);
  std::vector<journal::History> found;
  for (const Row row : index_.find(key_hash, Row(0))) {
    if (found.size() == limit) break;
    auto record = row_with(row, key_hash);
    if (!record) return base::fail(record.error());
    if (!*record) continue;
    int status = SQLITE_OK;
    journal::History history{row, std::move(**record), std::nullopt, std::nullopt};
    if (const auto sent = time_of(Kind::sent, sent_, row, &status)) history.sent_at = sent->at;
    if (row <= acked_.row) {
      if (const auto committed = time_of(Kind::committed, committed_, row, &status))
        history.committed_at = committed->at;
    }
    if (status != SQLITE_OK) return base::fail(fail(status, "reading times"));
    found.push_back(std::move(history));
  }
  return found;
}

base::Result<journal::VerifyStep, Error> SqliteJournal::verify(Row from) {
  if (failed_) return base::fail(*failed_);
  journal::VerifyStep step;
  Row row = std::max(from, oldest_);
  for (; row < next_ && step.rows < journal::kVerifyRowsMax; ++row, ++step.rows) {
    Statement& select = statements_.select_row.bind(1, row.value());
    const bool sound = select.step() == SQLITE_ROW &&
                       journal::row_crc(row.value(), select.number(1), select.bytes(3)) == select.number(2);
    select.reset();
    if (!sound) step.bad.push_back(row);
  }
  if (row < next_) step.next = row;
  return step;
}

// --- marks and epochs ----------------------------------------------------------------------------

base::Result<void, Error> SqliteJournal::start_epoch(const handoff::EpochStart& epoch,
                                                     const std::optional<handoff::Segment>& run) {
  if (failed_) return base::fail(*failed_);
  const bool same = epoch.epoch == epoch_.epoch;
  // Its first rows may be trimmed before its acceptance is stored.
  ASSERT((same || epoch.first_row >= oldest_) && epoch.first_row <= next_);
  handoff::Mark base = base_;
  handoff::Mark acked = acked_;
  auto segments = segments_;
  auto answered = answered_;
  if (!same) journal::put(answered, journal::answered_from(epoch, next_));
  if (!same && base.row.next() == epoch.first_row) base.epoch_digest = handoff::chain_start(needs_.hasher, epoch.epoch);
  const bool rolled_back = acked.row >= epoch.first_row && !same;
  if (rolled_back || acked.row == base.row) acked = base;
  if (!same && acked.row.next() == epoch.first_row)
    acked.epoch_digest = handoff::chain_start(needs_.hasher, epoch.epoch);
  if (run) journal::put(segments, *run);

  Transaction transaction(database_);
  write_progress(transaction);
  put(transaction, journal::epoch_entry(epoch));
  put(transaction, journal::mark_entry(Kind::base, base));
  put(transaction, journal::mark_entry(Kind::acked, acked));
  if (!same) {
    transaction.run(statements_.delete_entries_from.bind(1, kind_number(Kind::answered)).bind(2, next_.value()));
    put(transaction, journal::answered_entry(answered.back()));
    drop_tallies(transaction);
    if (opening_has_segment_) put(transaction, journal::tally_mark_entry(false, opening_));
  }
  if (run) {
    transaction.run(
        statements_.delete_entries_from.bind(1, kind_number(Kind::segment)).bind(2, run->first_row.value()));
    put(transaction, journal::segment_entry(*run));
    put_tally_mark(transaction, same && tallies_.whole(), run->run);
  }
  if (rolled_back) shorten_committed(transaction, acked.row);
  if (const int status = transaction.commit(); status != SQLITE_OK)
    return base::fail(fail(status, "starting an epoch"));
  progress_written();
  epoch_ = epoch;
  base_ = base;
  acked_ = acked;
  segments_ = std::move(segments);
  answered_ = std::move(answered);
  if (!same) tallies_ = journal::Tallies();
  if (run) {
    opening_ = run->run;
    opening_has_segment_ = true;
    tallies_outdated_ = false;
  }
  after_commit();
  return {};
}

// Rows after `last` are not in the stream any more.
void SqliteJournal::shorten_committed(Transaction& transaction, Row last) {
  int status = SQLITE_OK;
  const auto covering = time_of(Kind::committed, {}, last, &status);
  transaction.run(statements_.delete_entries_from.bind(1, kind_number(Kind::committed)).bind(2, last.next().value()));
  if (covering && last >= oldest_) put(transaction, journal::time_entry(Kind::committed, last, covering->at));
}

void SqliteJournal::remember_acked(const handoff::Mark& acked, base::UtcTime committed_at) {
  ASSERT(acked.row < next_);
  if (acked == acked_) return;
  if (acked.row < acked_.row) return roll_back_acked(acked);
  const bool further = acked.row > acked_.row;
  acked_ = acked;
  acked_changed_ = true;
  if (further) note_time(committed_, acked.row, committed_at);
  latest_time_ = std::max(latest_time_, committed_at);
}

// At once: a trim after a crash must not go by the higher mark.
void SqliteJournal::roll_back_acked(const handoff::Mark& acked) {
  if (failed_) return;
  Transaction transaction(database_);
  write_progress(transaction);
  put(transaction, journal::mark_entry(Kind::acked, acked));
  shorten_committed(transaction, acked.row);
  acked_ = acked;
  if (const int status = transaction.commit(); status == SQLITE_OK) {
    progress_written();
  } else {
    // In memory it counts in any case; a full disk takes it with a later write, any other error shows at the next call.
    acked_changed_ = true;
    committed_.clear();
    static_cast<void>(fail(status, "marks"));
  }
}

void SqliteJournal::remember_sent(Row through, base::UtcTime sent_at) {
  ASSERT(through < next_);
  if (through <= last_sent_) return;
  last_sent_ = through;
  note_time(sent_, through, sent_at);
  latest_time_ = std::max(latest_time_, sent_at);
}

// One entry a second: the later time covers for the earlier rows.
void SqliteJournal::note_time(std::vector<Timed>& times, Row through, base::UtcTime at) {
  const auto second = [](base::UtcTime time) { return std::chrono::floor<std::chrono::seconds>(time); };
  const bool joins = !times.empty() && (second(times.back().at) == second(at) || times.size() == kPendingTimesMax);
  if (joins) {
    times.back() = {through, at};
  } else {
    times.push_back({through, at});
  }
}

bool SqliteJournal::progress_due() const {
  if (!acked_changed_ && committed_.empty() && sent_.empty()) return false;
  if (!progress_written_at_) return true;
  const auto since = latest_time_ - *progress_written_at_;
  return since >= kProgressInterval || since < -kProgressInterval;
}

void SqliteJournal::write_progress(Transaction& transaction) {
  if (acked_changed_) put(transaction, journal::mark_entry(Kind::acked, acked_));
  for (const Timed& time : committed_) put(transaction, journal::time_entry(Kind::committed, time.through, time.at));
  for (const Timed& time : sent_) put(transaction, journal::time_entry(Kind::sent, time.through, time.at));
}

void SqliteJournal::progress_written() {
  acked_changed_ = false;
  committed_.clear();
  sent_.clear();
  progress_written_at_ = latest_time_;
}

base::Result<void, Error> SqliteJournal::flush() {
  if (failed_) return base::fail(*failed_);
  if (!acked_changed_ && committed_.empty() && sent_.empty()) return {};
  Transaction transaction(database_);
  write_progress(transaction);
  if (const int status = transaction.commit(); status != SQLITE_OK) return base::fail(fail(status, "flush"));
  progress_written();
  after_commit();
  return {};
}

void SqliteJournal::put(Transaction& transaction, const Entry& entry) {
  Statement& put = statements_.put_entry.bind(1, kind_number(entry.kind)).bind(2, entry.at);
  transaction.run(put.bind(3, static_cast<std::int64_t>(journal::entry_crc(entry))).bind(4, entry.value));
}

// --- errors and the WAL --------------------------------------------------------------------------

Error SqliteJournal::fail(int status, std::string_view what) {
  if (is_disk_full(status, database_)) {
    relieve_disk();
    return failed_.value_or(Error::disk_full);
  }
  failed_ = is_damage(status, database_) ? Error::damaged : Error::broken;
  failure_ = fmt::format("{}: {}", what, sqlite3_errstr(status));
  return *failed_;
}

Error SqliteJournal::fail_damaged(std::string_view what) {
  failed_ = Error::damaged;
  failure_ = what;
  return Error::damaged;
}

int SqliteJournal::on_wal(void* self, sqlite3* /*database*/, const char* /*name*/, int pages) {
  static_cast<SqliteJournal*>(self)->wal_pages_ = pages;
  return SQLITE_OK;
}

// The commit is on disk: whatever the checkpoint meets concerns only what comes after.
void SqliteJournal::after_commit() {
  if (static_cast<std::uint64_t>(wal_pages_) < overhead_.checkpoint_pages) return;
  if (const int status = checkpoint(); status != SQLITE_OK) static_cast<void>(fail(status, "checkpoint"));
}

int SqliteJournal::checkpoint() {
  int pages_done = 0;
  const int status =
      sqlite3_wal_checkpoint_v2(database_.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, &pages_done);
  if (pages_done > 0) checkpointed_bytes_ += static_cast<std::uint64_t>(pages_done) * page_bytes_;
  if (status == SQLITE_OK) wal_pages_ = 0;
  return status;
}

}  // namespace sqlite
