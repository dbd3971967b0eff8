#include "firmware-gateway/adapters/sqlite/damaged_file.hpp"

#include <algorithm>

#include "firmware-gateway/adapters/sqlite/journal_file.hpp"
#include "firmware-gateway/adapters/sqlite/log_file.hpp"
#include "firmware-gateway/journal/crc32c.hpp"
#include "firmware-gateway/journal/duplicate_index.hpp"

namespace sqlite {

using journal::Row;
using journal::RowRange;

namespace {

// So many rows are sought one by one behind a damaged page; then the stride doubles, and the edge is found by
// bisection.
constexpr std::uint64_t kSingleSeeksMax = 4096;
// Beyond this nothing is sought: no journal ever had so many rows.
constexpr std::uint64_t kSeekSpanMax = 1ULL << 33U;
// More rows than any journal holds: a tree that seems to have them goes round in circles.
constexpr std::uint64_t kUnsoundMax = journal::kIndexRowsMax;

// 0: nothing is known of it.
Row last_sent(const Database& database) {
  Statement sent(database, "SELECT at, crc, value FROM catalog WHERE kind = ?1 ORDER BY at DESC");
  sent.bind(1, static_cast<std::int64_t>(journal::Kind::sent));
  while (sent.step() == SQLITE_ROW) {
    const journal::Entry entry{journal::Kind::sent, sent.number(0), sent.text(2)};
    if (sent.number(1) == journal::entry_crc(entry)) return Row(entry.at);
  }
  return Row(0);
}

}  // namespace

DamagedFile::DamagedFile(std::filesystem::path path, std::string vfs) : path_(std::move(path)), vfs_(std::move(vfs)) {}

journal::Readable DamagedFile::examine() {
  journal::Readable readable;
  bool sound = false;
  carver_.emplace(path_);
  const base::Bytes schema = schema_page(static_cast<int>(carver_->page_bytes()));
  const bool has_wal = std::filesystem::exists(wal_of(path_));
  const base::Bytes log_header = restored_log_header(wal_of(path_), carver_->page_bytes());
  layer_.emplace(vfs_, first_page(schema, has_wal), log_header);
  if (open_untouched(database_, path_, layer_->name()) == SQLITE_OK) {
    // Else SQLite refuses to look at a file that is shorter than its header says.
    static_cast<void>(database_.run("PRAGMA writable_schema = ON"));
    readable.catalog = read_catalog(database_, &sound);
    if (readable.catalog.base) base_ = readable.catalog.base->row;
    scan_ = Statement(database_, "SELECT row, key_hash, crc, record FROM rows WHERE row >= ?1 ORDER BY row");
    point_ = Statement(database_, "SELECT row, key_hash, crc, record FROM rows WHERE row = ?1");
    follow_tree();
  }
  // An empty table at the end of a broken path is no knowledge of an end.
  if (end_ && rows_.empty() && last_seen_ == Row(0) && !sound) end_.reset();
  // Then the tree ends at the damage, whatever stands behind it.
  const bool log_damaged = !judge_log_file(wal_of(path_), log_header).empty();
  if (log_damaged) end_.reset();
  // Behind a damaged log sums are older than the rows.
  if (log_damaged || !readable.catalog.tallies_count_every_row()) readable.catalog.tallies = journal::Tallies();
  if (end_) {
    const Row acked = readable.catalog.acked ? readable.catalog.acked->row : Row(0);
    const Row was_there = std::max({base_, acked, last_sent(database_)});
    holes_ = holes_ || was_there > *end_;
    end_ = std::max(*end_, was_there);
  }
  if (holes_ || !end_) carve();
  readable.rows = rows_;
  readable.end = end_;
  readable.begins_with_first = first_seen_ && !rows_.empty() && rows_.front().first == *first_seen_;
  return readable;
}

void DamagedFile::follow_tree() {
  std::optional<Row> from = Row(0);
  while (from) {
    const int status = scan(*from);
    if (status == SQLITE_DONE) {
      if (!astray_) end_ = last_seen_;
      return;
    }
    holes_ = true;
    if (unsound_ > kUnsoundMax) return;
    from = beyond(std::max(last_seen_.next(), *from));
  }
}

int DamagedFile::scan(Row from) {
  if (from > last_seen_) {
    astray_ = astray_ || from - last_seen_ > 2;  // one row that cannot be read is passed over, and no more
    last_seen_ = from - 1;
  }
  scan_.bind(1, from.value());
  int status = scan_.step();
  for (; status == SQLITE_ROW; status = scan_.step()) {
    const Row row(scan_.number(0));
    const bool sound = journal::row_crc(row.value(), scan_.number(1), scan_.bytes(3)) == scan_.number(2);
    if (!sound) {
      holes_ = true;
      last_seen_ = last_seen_.next();
      if (++unsound_ > kUnsoundMax) break;
      continue;
    }
    astray_ = row <= (rows_.empty() ? base_ : rows_.back().last);
    if (astray_) break;
    if (rows_.empty() && !holes_) first_seen_ = row;
    last_seen_ = row;
    add(row);
  }
  scan_.reset();
  return status == SQLITE_ROW ? SQLITE_CORRUPT : status;
}

bool DamagedFile::reaches(Row from) {
  const int status = scan_.bind(1, from.value()).step();
  scan_.reset();
  return status == SQLITE_ROW || status == SQLITE_DONE;
}

std::optional<Row> DamagedFile::beyond(Row failed) {
  Row low = failed;
  for (std::uint64_t i = 0; i < kSingleSeeksMax; ++i) {
    low = low.next();
    if (reaches(low)) return low;
  }
  std::uint64_t stride = 2;
  Row high = low + stride;
  while (!reaches(high)) {
    if (high - failed > kSeekSpanMax) return std::nullopt;
    low = high;
    stride *= 2;
    high = high + stride;
  }
  while (high - low > 1) {
    const Row middle = low + (high - low) / 2;
    (reaches(middle) ? high : low) = middle;
  }
  return high;
}

void DamagedFile::carve() {
  // Those that the tree gives, too: in a leaf that is damaged a scan may pass rows that a search then misses.
  std::vector<RowRange> found;
  for (const Row row : look_at_pages()) {
    if (!has(row)) found.push_back({row, row});
  }
  rows_.insert(rows_.end(), found.begin(), found.end());
  std::sort(rows_.begin(), rows_.end(), [](const RowRange& a, const RowRange& b) { return a.first < b.first; });
  const std::vector<RowRange> pieces = std::move(rows_);
  rows_.clear();
  for (const RowRange& piece : pieces) {
    if (!rows_.empty() && rows_.back().last.next() == piece.first) {
      rows_.back().last = piece.last;
    } else {
      rows_.push_back(piece);
    }
  }
  // Rows behind the end that the tree told were never committed.
  while (end_ && !rows_.empty() && rows_.back().first > *end_) rows_.pop_back();
  if (end_ && !rows_.empty()) rows_.back().last = std::min(rows_.back().last, *end_);
}

std::vector<Row> DamagedFile::look_at_pages() {
  carved_ = true;
  return carver_->carve([this](Row row) { return row > base_; });
}

void DamagedFile::add(Row row) {
  if (!rows_.empty() && rows_.back().last.next() == row) {
    rows_.back().last = row;
  } else {
    rows_.push_back({row, row});
  }
}

bool DamagedFile::has(Row row) const {
  const auto after =
      std::upper_bound(rows_.begin(), rows_.end(), row, [](Row at, const RowRange& range) { return at < range.first; });
  return after != rows_.begin() && (after - 1)->last >= row;
}

std::optional<FoundRow> DamagedFile::row(Row row) {
  const int status = point_.bind(1, row.value()).step();
  if (status == SQLITE_ROW) {
    FoundRow found{point_.number(1), point_.text(3)};
    const bool sound = journal::row_crc(row.value(), found.key_hash, found.record) == point_.number(2);
    point_.reset();
    if (sound) return found;
  }
  // A scan came past it, and a search does not: a number in an inner page is damaged.
  if (!carved_) static_cast<void>(look_at_pages());
  return carver_->row(row);
}

}  // namespace sqlite
