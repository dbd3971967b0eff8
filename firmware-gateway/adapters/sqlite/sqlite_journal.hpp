// SqliteJournal: the journal in one SQLite file, by one connection on one thread.
//
//   append    admission ─▶ BEGIN ─▶ rows, the opening's segment, marks when due ─▶ COMMIT (fsync of the WAL) ─▶ index
//             └ full or disk_full: refused before BEGIN                    └ SQLITE_FULL: refused, relieve the disk
//                                                                          └ any other error: broken or damaged
//   after     1,000 pages in the WAL: checkpoint, so that the WAL is written from its beginning again
//
// Invariants, beside Journal's:
//   (1) Everything in memory (next row, marks, index, lists) changes only after the COMMIT that stores it.
//   (2) The file is touched by this connection alone, never by open(), copy or hash of our own: closing any other
//   descriptor of it
//       would drop SQLite's locks.
//   (3) used_bytes() never exceeds the quota: live pages, the WAL's whole allowance and the ballast are charged.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

#include "firmware-gateway/adapters/sqlite/database.hpp"
#include "firmware-gateway/adapters/sqlite/journal_file.hpp"
#include "firmware-gateway/adapters/sqlite/state_folder.hpp"
#include "firmware-gateway/journal/duplicate_index.hpp"
#include "firmware-gateway/journal/quota.hpp"
#include "firmware-gateway/journal/salvage_plan.hpp"
#include "proto/base/random.hpp"

namespace sqlite {

// The most events that one transaction takes; append() splits more.
inline constexpr std::size_t kGroupItemsMax = 1024;
// Smaller quotas are refused: there would be hardly room for an event beside WAL and ballast.
inline constexpr std::uint64_t kQuotaMinBytes = 4U << 20U;

// What a journal keeps beside its rows. A small quota gets a small share; from 64 MiB on the numbers are the largest.
struct Overhead {
  // A checkpoint follows when the WAL has so many pages.
  std::uint64_t checkpoint_pages = 0;
  // The most bytes of records that one transaction takes; append() splits more. Any single event fits.
  std::size_t group_bytes_max = 0;
  // Freed when others fill the disk: enough for a checkpoint.
  std::uint64_t ballast_bytes = 0;

  [[nodiscard]] static constexpr Overhead of(std::uint64_t quota_bytes) {
    const std::uint64_t share = std::clamp<std::uint64_t>(quota_bytes / 16, 256U << 10U, 4U << 20U);
    return {.checkpoint_pages = std::min<std::uint64_t>(share / kPageBytes, 1000),
            .group_bytes_max = share,
            .ballast_bytes = share};
  }
  // Charged for the WAL whatever its size: a checkpoint's worth and one group.
  [[nodiscard]] constexpr std::uint64_t wal_bytes() const {
    return (checkpoint_pages + 200) * (kPageBytes + 24ULL) + group_bytes_max;
  }
};
// Events are refused when the disk has less room than this, and taken again when it has twice as much and the ballast
// is whole.
inline constexpr std::uint64_t kDiskFloorBytes = 1U << 20U;
// What the largest event takes in the file, and some slack.
inline constexpr std::uint64_t kLargestItemBytes = 32U << 10U;

// What the configuration says.
struct JournalSettings {
  std::string gateway_id;
  journal::QuotaLimits limits;
  std::chrono::seconds retention{};
  std::size_t index_rows_max = journal::kIndexRowsMax;
  int page_bytes = kPageBytes;  // of a new file
  std::string vfs;              // for tests; "": the default one
};

// What the journal asks of others. All must outlive it; used on its thread only.
struct JournalNeeds {
  const base::Hasher& hasher;
  base::Random& random;
  journal::NoticeMaker make_notice;
  // For a journal whose key was lost; without them nothing is found again.
  journal::RecordKeyMaker record_key = [](const journal::HashKey&, base::BytesView) {
    return std::optional<journal::RecordKey>();
  };
  journal::ForgottenNoticeMaker make_forgotten_notice = [](const journal::Forgotten&) { return base::Bytes(); };
  // A salvage begins: it takes from moments to minutes. For people: what was found damaged.
  std::function<void(const std::string& damage)> on_salvage = [](const std::string&) {};
};

// In whose words damage is told.
[[nodiscard]] std::string crc_differs(journal::Row row);
[[nodiscard]] std::string row_is_missing(journal::Row row);

// A salvage that opening had to do.
struct Salvaged {
  std::string reason;
  std::string set_aside{};  // name of the damaged file
  std::uint64_t rows_kept = 0;
  std::uint64_t holes = 0;             // each one is an events_lost notice now
  bool history_dropped = false;        // committed rows were left out: there was no room for them
  bool hash_key_lost = false;          // its copy, too: every row was hashed anew
  std::uint64_t forgotten = 0;         // rows whose repeats are not recognised any more; a notice says so
  std::vector<std::string> removed{};  // older damaged files that had to go
};

class SqliteJournal final : public journal::Journal {
 public:
  struct OpenOptions {
    base::UtcTime now;
    // What was found damaged in use: salvage even when the file opens well. "": nothing was.
    std::string damage{};
    // Take sectors that cannot be read for damage, not for a passing fault.
    bool salvage_read_errors = false;
  };

  // `folder` must outlive the journal. Makes a new journal when there is none; salvages a damaged one.
  [[nodiscard]] static base::Result<std::unique_ptr<SqliteJournal>, OpenError> open(const StateFolder& folder,
                                                                                    const JournalSettings& settings,
                                                                                    const JournalNeeds& needs,
                                                                                    const OpenOptions& options);
  ~SqliteJournal() override;

  [[nodiscard]] const std::optional<Salvaged>& salvaged() const { return salvaged_; }
  // SQLite's words for the error that made this journal broken or damaged; "" while it is neither.
  [[nodiscard]] const std::string& failure() const { return failure_; }

  [[nodiscard]] const handoff::JournalState& opened() const override { return opened_; }
  [[nodiscard]] const journal::Tallies& opened_tallies() const override { return opened_tallies_; }
  [[nodiscard]] const journal::HashKey& hash_key() const override { return hash_key_; }
  [[nodiscard]] base::Result<std::vector<journal::AppendOutcome>, journal::Error> append(
      std::span<const journal::AppendItem> items) override;
  [[nodiscard]] base::Result<std::vector<journal::StoredRow>, journal::Error> read(journal::Row from,
                                                                                   std::size_t max_rows,
                                                                                   std::size_t max_bytes) override;
  [[nodiscard]] base::Result<void, journal::Error> start_epoch(const handoff::EpochStart& epoch,
                                                               const std::optional<handoff::Segment>& run) override;
  void remember_acked(const handoff::Mark& acked, base::UtcTime committed_at) override;
  void remember_sent(journal::Row through, base::UtcTime sent_at) override;
  [[nodiscard]] base::Result<void, journal::Error> flush() override;
  [[nodiscard]] base::Result<journal::TrimOutcome, journal::Error> trim(base::UtcTime now) override;
  [[nodiscard]] base::Result<std::vector<journal::History>, journal::Error> find(std::uint64_t key_hash,
                                                                                 std::size_t limit) override;
  [[nodiscard]] base::Result<journal::VerifyStep, journal::Error> verify(journal::Row from) override;
  [[nodiscard]] journal::Usage usage() override;

 private:
  // When rows up to `through` were sent, or committed.
  struct Timed {
    journal::Row through;
    base::UtcTime at;
  };
  struct Statements {
    Statement insert_row, select_rows, select_row, delete_rows, put_entry, delete_entries_from, delete_entries_below,
        time_at, page_count, freelist_count;
  };
  // What is taken and what is free, measured once a group: asking costs more than a row.
  struct Room {
    std::uint64_t used_bytes = 0;       // of the quota
    std::uint64_t free_disk_bytes = 0;  // with our own free pages, as far as the WAL can take them
  };
  // One item of a group on its way: its outcome, or the row that it will get.
  struct Planned {
    const journal::AppendItem* item;
    journal::AppendOutcome outcome;
  };

  SqliteJournal(const StateFolder& folder, const JournalSettings& settings, const JournalNeeds& needs);
  // One attempt, without salvage.
  [[nodiscard]] base::Result<void, OpenError> load();
  [[nodiscard]] base::Result<void, OpenError> settle_wal();
  [[nodiscard]] int prepare();
  [[nodiscard]] base::Result<void, OpenError> load_catalog();
  [[nodiscard]] base::Result<void, OpenError> load_rows();
  void set_opened();
  // What was found while opening: damage, unless a sector cannot be read.
  [[nodiscard]] OpenError damaged_or_unreadable(std::string what) const;

  [[nodiscard]] base::Result<void, journal::Error> append_group(std::span<const journal::AppendItem> items,
                                                                std::vector<journal::AppendOutcome>& outcomes);
  [[nodiscard]] base::Result<std::vector<Planned>, journal::Error> plan_group(
      std::span<const journal::AppendItem> items);
  [[nodiscard]] base::Result<std::vector<journal::Candidate>, journal::Error> candidates(
      const journal::AppendItem& item, std::span<const Planned> before);
  [[nodiscard]] std::uint64_t cost_bytes(const journal::AppendItem& item) const;
  // `cost` is the group's so far, with the item's own.
  [[nodiscard]] std::optional<journal::Error> refusal(journal::Priority priority, std::uint64_t cost,
                                                      std::size_t planned_rows);
  [[nodiscard]] int store_group(const std::vector<Planned>& planned);
  void index_group(const std::vector<Planned>& planned);
  // The sums after this group; writes those that change.
  [[nodiscard]] journal::Tallies put_tallies(Transaction& transaction, const std::vector<Planned>& planned);
  void put_tally_mark(Transaction& transaction, bool whole, const handoff::Run& run);
  void drop_tallies(Transaction& transaction);
  // The row itself, confirmed: its key hash is this.
  [[nodiscard]] base::Result<std::optional<base::Bytes>, journal::Error> row_with(journal::Row row,
                                                                                  std::uint64_t key_hash);

  void write_progress(Transaction& transaction);
  void progress_written();
  [[nodiscard]] bool progress_due() const;
  void put(Transaction& transaction, const journal::Entry& entry);
  static void note_time(std::vector<Timed>& times, journal::Row through, base::UtcTime at);
  void roll_back_acked(const handoff::Mark& acked);
  void shorten_committed(Transaction& transaction, journal::Row last);

  // The step is as far as `through`, and no further than its limits.
  [[nodiscard]] base::Result<std::uint64_t, journal::Error> trim_through(journal::Row through);
  [[nodiscard]] base::Result<journal::Row, journal::Error> expired_through(base::UtcTime now, journal::Row last);
  [[nodiscard]] base::Result<journal::Row, journal::Error> trimmable_through(base::UtcTime now);
  [[nodiscard]] bool pressed();
  [[nodiscard]] bool give_way(std::uint64_t cost_bytes);
  [[nodiscard]] std::optional<Timed> time_of(journal::Kind kind, const std::vector<Timed>& pending, journal::Row row,
                                             int* status);

  void measure_room();
  [[nodiscard]] bool disk_allows(std::uint64_t cost_bytes) const;
  [[nodiscard]] std::uint64_t pragma(Statement& statement);
  [[nodiscard]] bool disk_has_room(std::uint64_t cost_bytes);
  void relieve_disk();
  void recover_disk();
  [[nodiscard]] int checkpoint();
  void after_commit();
  [[nodiscard]] journal::Error fail(int status, std::string_view what);
  [[nodiscard]] journal::Error fail_damaged(std::string_view what);
  static int on_wal(void* self, sqlite3* database, const char* name, int pages);

  const StateFolder& folder_;
  JournalSettings settings_;
  JournalNeeds needs_;
  std::optional<Salvaged> salvaged_;
  std::string failure_;
  std::optional<journal::Error> failed_;

  Database database_;
  Statements statements_;
  std::uint64_t page_bytes_ = kPageBytes;
  int wal_pages_ = 0;
  std::uint64_t checkpointed_bytes_ = 0;
  std::uint64_t written_pages_ = 0;

  journal::HashKey hash_key_{};
  handoff::JournalState opened_;
  handoff::Run opening_;
  bool opening_has_segment_ = false;
  journal::Row oldest_{1};
  journal::Row next_{1};
  handoff::Mark base_;
  handoff::Mark acked_;
  handoff::EpochStart epoch_;
  std::vector<handoff::Segment> segments_;
  std::vector<handoff::Answered> answered_;
  journal::Tallies opened_tallies_;
  journal::Tallies tallies_;
  // Sums on disk that do not count every row; they go with the first write.
  bool tallies_outdated_ = false;

  // Not on disk yet.
  bool acked_changed_ = false;
  std::vector<Timed> committed_;
  std::vector<Timed> sent_;
  journal::Row last_sent_;
  std::optional<base::UtcTime> progress_written_at_;
  base::UtcTime latest_time_;

  journal::DuplicateIndex index_;
  Overhead overhead_;
  journal::Quota quota_;
  bool disk_full_ = false;
  Room room_;
  std::optional<std::chrono::seconds> shrunk_to_;
};

}  // namespace sqlite
