// GatewayStory: what a gateway does to its journal, step by step, and what the journal must hold after each step: the
// books. Rows in groups, repeats, settlements, marks, trims, checkpoints, an epoch's acceptance, forks, a roll-back of
// the stream, kills and closings. A step that fails is done again after the journal was opened anew, as terminals
// repeat what got no answer.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "firmware-gateway/adapters/sqlite/sqlite_journal.hpp"
#include "firmware-gateway/journal/identity.hpp"
#include "tests/power/books.hpp"
#include "tests/support/power/recorded_disk.hpp"
#include "tests/support/seeded_random.hpp"

namespace power {

using journal::Row;

struct BookedRow {
  base::Bytes record;
  std::uint64_t key_hash = 0;
  journal::Identity identity;
  journal::AnsweredPlace answered;

  friend bool operator==(const BookedRow&, const BookedRow&) = default;
};

// What the journal must hold.
struct Books {
  bool made = false;  // else it may be another one's, with an epoch that nobody has heard of
  Row oldest{1};
  std::deque<BookedRow> rows;  // from the oldest on
  handoff::EpochStart epoch;
  journal::Tallies tallies;
  handoff::Segment appending;  // what the next row will be called, unless the journal is opened anew
  // The acked mark need not be on disk at once: it is one of these, or between them.
  Row acked_at_least;
  Row acked_at_most;

  [[nodiscard]] Row next() const { return oldest + rows.size(); }
  void append(const journal::AppendItem& item);
  void trim_to(Row first);
};

// A gateway's folder and the journal in it, opened and closed.
class Gateway {
 public:
  Gateway(std::filesystem::path state_dir, std::uint64_t seed);

  [[nodiscard]] std::optional<sqlite::OpenError> open(const std::string& damage = {}, bool salvage_read_errors = false);
  void close();
  [[nodiscard]] sqlite::SqliteJournal& journal() { return *journal_; }
  [[nodiscard]] bool is_open() const { return journal_ != nullptr; }
  // What opening it told as lost, or forgotten.
  [[nodiscard]] std::size_t notices() const { return notices_; }

 private:
  std::filesystem::path state_dir_;
  support::SeededRandom random_;
  std::size_t notices_ = 0;
  sqlite::JournalSettings settings_;
  sqlite::JournalNeeds needs_;
  std::unique_ptr<sqlite::StateFolder> folder_;
  std::unique_ptr<sqlite::SqliteJournal> journal_;
};

// How the journal as it was opened differs from the books; "": in nothing.
[[nodiscard]] std::string difference(sqlite::SqliteJournal& journal, const Books& books);

using Possible = PossibleOf<Books>;
using Moment = MomentOf<Books>;

class GatewayStory {
 public:
  // `disk` records the folder below which the state folder is made.
  GatewayStory(support::RecordedDisk& disk, std::filesystem::path state_dir, std::uint64_t seed);

  void run(int rounds);

  [[nodiscard]] const std::vector<Moment>& moments() const { return moments_; }
  // Every record that was ever to be appended, in the order of their numbers.
  [[nodiscard]] const std::vector<base::Bytes>& records() const { return records_; }
  // How often a step failed, and how often the journal had to be opened anew for it.
  [[nodiscard]] int failures() const { return failures_; }
  [[nodiscard]] int steps() const { return steps_; }

 private:
  using Step = std::function<base::Result<void, journal::Error>(Books& after)>;
  void round(int number);
  // `step` changes the books as if it succeeded, first.
  void do_step(const char* name, const Step& step);
  void append(std::size_t rows, std::size_t extra_bytes = 0, bool settles = false);
  void repeat(Row row);
  void remember(Row acked, bool flushed);
  void trim(std::int64_t seconds);
  void fork(Row first_row, bool with_run);
  void accept();
  void restart(bool killed);
  void open_until_it_is();
  // The books are one of these, whichever the journal holds.
  void settle_books(const Possible& possible);
  void tell(Possible books);
  [[nodiscard]] journal::AppendItem make_item(std::size_t extra_bytes);

  support::RecordedDisk& disk_;
  support::SeededRandom random_;
  Gateway gateway_;
  std::shared_ptr<const Books> books_ = std::make_shared<Books>();
  std::vector<Moment> moments_;
  std::vector<base::Bytes> records_;
  std::string damage_;
  int failures_ = 0;
  int steps_ = 0;
};

}  // namespace power
