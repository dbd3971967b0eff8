#include "tests/power/gateway_story.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "proto/platform/system.hpp"

namespace power {

namespace {

using journal::Error;

// Openings after a failure before the story gives up: three that cannot read are taken for damage.
constexpr int kOpeningsMax = 6;
constexpr int kTriesMax = 12;
constexpr std::chrono::seconds kRetention{1000};

// 2026-11-24, 12:00 UTC, and seconds after it.
base::UtcTime at_second(std::int64_t seconds) {
  return base::UtcTime(std::chrono::milliseconds(1'795'521'600'000 + seconds * 1000));
}

std::vector<journal::StoredRow> read_all(sqlite::SqliteJournal& journal, std::string& trouble) {
  std::vector<journal::StoredRow> rows;
  while (true) {
    auto step = journal.read(rows.empty() ? Row(0) : rows.back().row.next(), 1000, 1U << 20U);
    if (!step) trouble = "it cannot be read: " + journal.failure();
    if (!step || step->empty()) return rows;
    for (auto& row : *step) rows.push_back(std::move(row));
  }
}

}  // namespace

void Books::append(const journal::AppendItem& item) {
  const Row row = next();
  rows.push_back({.record = item.record,
                  .key_hash = item.key_hash,
                  .identity = {appending.run, appending.first_index + (row - appending.first_row)},
                  .answered = {epoch.epoch, handoff::Seq(row - epoch.first_row + 1)}});
  if (item.tally) tallies.add(*item.tally);
}

void Books::trim_to(Row first) {
  if (first > oldest) acked_at_least = acked_at_most;
  for (; oldest < first; ++oldest) rows.pop_front();
}

// --- the gateway ---------------------------------------------------------------------------------

Gateway::Gateway(std::filesystem::path state_dir, std::uint64_t seed)
    : state_dir_(std::move(state_dir)),
      random_(seed),
      needs_{platform::hasher(), random_,
             [this](const journal::Loss& /*loss*/) {
               ++notices_;
               return base::Bytes("notice: events lost");
             },
             [](const journal::HashKey& /*key*/, base::BytesView /*record*/) {
               return std::optional<journal::RecordKey>();
             },
             [this](const journal::Forgotten& /*forgotten*/) {
               ++notices_;
               return base::Bytes("notice: repeats unknown");
             }} {
  settings_.gateway_id = "shop-0017";
  // The smallest, so that checkpoints are frequent: after 64 pages.
  settings_.limits = {sqlite::kQuotaMinBytes, sqlite::kQuotaMinBytes / 8};
  settings_.retention = kRetention;
}

std::optional<sqlite::OpenError> Gateway::open(const std::string& damage, bool salvage_read_errors) {
  close();
  auto folder = sqlite::StateFolder::open(state_dir_);
  if (!folder) return folder.error();
  folder_ = std::make_unique<sqlite::StateFolder>(std::move(*folder));
  auto opened = sqlite::SqliteJournal::open(
      *folder_, settings_, needs_, {.now = at_second(0), .damage = damage, .salvage_read_errors = salvage_read_errors});
  if (!opened) {
    folder_.reset();
    return opened.error();
  }
  journal_ = std::move(*opened);
  return std::nullopt;
}

void Gateway::close() {
  journal_.reset();
  folder_.reset();
}

// --- the books -----------------------------------------------------------------------------------

std::string difference(sqlite::SqliteJournal& journal, const Books& books) {
  const handoff::JournalState& opened = journal.opened();
  if (journal.salvaged()) return "it was salvaged: " + journal.salvaged()->reason;
  if (opened.oldest != books.oldest)
    return fmt::format("the oldest row is {}, not {}", opened.oldest.value(), books.oldest.value());
  if (opened.next != books.next())
    return fmt::format("the next row is {}, not {}", opened.next.value(), books.next().value());
  std::string trouble;
  const auto rows = read_all(journal, trouble);
  if (!trouble.empty()) return trouble;
  if (rows.size() != books.rows.size()) return fmt::format("{} rows, not {}", rows.size(), books.rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row row = books.oldest + i;
    const BookedRow& booked = books.rows[i];
    if (rows[i].row != row)
      return fmt::format("row {} stands in the place of row {}", rows[i].row.value(), row.value());
    if (rows[i].record != booked.record) return fmt::format("row {} has other bytes", row.value());
    if (journal::identity_of(opened.segments, row) != booked.identity)
      return fmt::format("row {} has another identity", row.value());
    if (journal::answered_place(opened.answered, row) != booked.answered)
      return fmt::format("row {} was answered as another", row.value());
  }
  if (!books.made) return {};
  if (opened.epoch != books.epoch) return "another epoch";
  if (journal.opened_tallies() != books.tallies) return "other tallies";
  if (opened.acked.row < books.acked_at_least || opened.acked.row > books.acked_at_most) {
    return fmt::format("acked is {}, not between {} and {}", opened.acked.row.value(), books.acked_at_least.value(),
                       books.acked_at_most.value());
  }
  for (const std::size_t i : {std::size_t{0}, rows.size() / 2, rows.size() - 1}) {
    if (i >= rows.size()) continue;
    const auto found = journal.find(books.rows[i].key_hash, 1);
    if (!found || found->empty() || found->front().row != books.oldest + i)
      return fmt::format("row {} is not found by its key", (books.oldest + i).value());
  }
  const auto verified = journal.verify(Row(0));
  if (!verified || !verified->bad.empty()) return "it does not verify";
  return {};
}

// --- the story -----------------------------------------------------------------------------------

GatewayStory::GatewayStory(support::RecordedDisk& disk, std::filesystem::path state_dir, std::uint64_t seed)
    : disk_(disk), random_(seed), gateway_(std::move(state_dir), random_.next()) {}

void GatewayStory::tell(Possible books) { moments_.push_back({disk_.position(), std::move(books)}); }

void GatewayStory::run(int rounds) {
  tell({books_});
  open_until_it_is();
  Books made;
  made.made = true;
  made.epoch = gateway_.journal().opened().epoch;
  made.tallies = gateway_.journal().opened_tallies();
  books_ = std::make_shared<Books>(made);
  settle_books({books_});
  for (int number = 0; number < rounds; ++number) round(number);
  gateway_.close();
}

void GatewayStory::round(int number) {
  append(1);
  append(3);
  append(40);
  if (number == 0) accept();
  remember(books_->oldest + 30, number % 2 == 0);
  append(9, 2000);
  repeat(books_->oldest + 2);
  append(1, 0, true);
  append(60);
  restart(number % 2 == 0);
  append(17);
  trim(number % 2 == 0 ? 5000 : 500);
  append(1, 9000);
  append(50);
  trim(5000);
  const Row middle = books_->oldest + books_->rows.size() / 2;
  fork(number % 2 == 0 ? middle : books_->next(), number % 2 == 0);
  append(12);
  accept();
  remember(books_->next() - 1, false);
  append(2);
  remember(books_->next() - 40, true);
  append(25, 300);
  restart(number % 2 == 1);
  trim(6000);
  append(4);
}

void GatewayStory::do_step(const char* name, const Step& step) {
  ++steps_;
  for (int tries = 0;; ++tries) {
    REQUIRE_MESSAGE(tries < kTriesMax, name << " does not come to an end");
    auto after = std::make_shared<Books>(*books_);
    const std::size_t begin = disk_.position();
    const auto done = step(*after);
    moments_.push_back({begin, {books_, after}});
    if (done) {
      books_ = after;
      tell({books_});
      return;
    }
    ++failures_;
    // Nothing was stored.
    if (done.error() == Error::disk_full || done.error() == Error::full) {
      tell({books_});
      continue;
    }
    damage_ = done.error() == Error::damaged ? gateway_.journal().failure() : "";
    open_until_it_is();
    const bool was_done = held_by(gateway_.journal(), Possible{books_, after}) == after;
    settle_books({was_done ? after : books_});
    if (was_done) return;
  }
}

void GatewayStory::open_until_it_is() {
  int unreadable = 0;
  for (int openings = 0;; ++openings) {
    const auto error = gateway_.open(damage_, unreadable >= 3);
    if (!error) break;
    ++failures_;
    unreadable = error->fault == sqlite::OpenFault::storage ? unreadable + 1 : 0;
    REQUIRE_MESSAGE(!sqlite::is_refusal(error->fault), error->detail);
    REQUIRE_MESSAGE(openings < kOpeningsMax, error->detail);
  }
  damage_.clear();
}

void GatewayStory::settle_books(const Possible& possible) {
  auto settled = std::make_shared<Books>(*held_by(gateway_.journal(), possible));
  CHECK(gateway_.notices() == 0);
  settled->appending = {gateway_.journal().opened().opening, settled->next(), handoff::RunIndex(0)};
  settled->acked_at_least = settled->acked_at_most = gateway_.journal().opened().acked.row;
  books_ = settled;
  tell({books_});
}

journal::AppendItem GatewayStory::make_item(std::size_t extra_bytes) {
  const std::uint64_t number = records_.size() + 1;
  records_.push_back(fmt::format("record {}", number) + std::string(number % 300 + extra_bytes, '.'));
  journal::AppendItem item{
      .key_hash = number * 7919, .priority = journal::Priority::money, .record = records_.back(), .seen_through = {}};
  if (number % 3 == 0) item.tally = {.key = "T1", .add = {1, 10}};
  if (number % 7 == 0) item.tally = {.key = "T2", .add = {1, 20}};
  return item;
}

void GatewayStory::append(std::size_t rows, std::size_t extra_bytes, bool settles) {
  std::vector<journal::AppendItem> items;
  for (std::size_t i = 0; i < rows; ++i) items.push_back(make_item(extra_bytes));
  if (settles) items.back().tally = {.key = "T1", .add = {}, .reset = true};
  do_step("append", [&](Books& after) -> base::Result<void, Error> {
    for (const auto& item : items) after.append(item);
    const auto outcomes = gateway_.journal().append(items);
    if (!outcomes) return base::fail(outcomes.error());
    const auto refused = [](const auto& one) { return std::holds_alternative<journal::Refused>(one); };
    const auto count = std::count_if(outcomes->begin(), outcomes->end(), refused);
    if (count != 0) {
      // The group as a whole, or nothing of it: there is room, or there is none.
      REQUIRE(count == static_cast<std::ptrdiff_t>(items.size()));
      return base::fail(std::get<journal::Refused>(outcomes->front()).error);
    }
    Row row = after.next() - items.size();
    for (const auto& outcome : *outcomes) {
      REQUIRE(std::holds_alternative<journal::Appended>(outcome));
      CHECK(std::get<journal::Appended>(outcome).row == row);
      ++row;
    }
    return {};
  });
}

void GatewayStory::repeat(Row row) {
  const BookedRow& booked = books_->rows[row - books_->oldest];
  const journal::AppendItem item{
      .key_hash = booked.key_hash, .priority = journal::Priority::money, .record = booked.record, .seen_through = {}};
  do_step("repeat", [&](Books& /*after*/) -> base::Result<void, Error> {
    const auto outcomes = gateway_.journal().append({&item, 1});
    if (!outcomes) return base::fail(outcomes.error());
    const auto* candidates = std::get_if<journal::Candidates>(&outcomes->front());
    REQUIRE(candidates != nullptr);
    CHECK(candidates->rows.front().row == row);
    return {};
  });
}

void GatewayStory::remember(Row acked, bool flushed) {
  do_step("remember", [&](Books& after) -> base::Result<void, Error> {
    // A lower mark is on disk at once.
    if (flushed || acked < after.acked_at_most) after.acked_at_least = acked;
    after.acked_at_most = acked;
    auto& journal = gateway_.journal();
    journal.remember_sent(after.next() - 1, at_second(1));
    journal.remember_acked({acked, {}, {}}, at_second(2));
    return flushed ? journal.flush() : base::Result<void, Error>();
  });
}

void GatewayStory::trim(std::int64_t seconds) {
  const bool old_enough = at_second(seconds) - at_second(2) >= kRetention;
  const Row wanted = old_enough ? books_->acked_at_most.next() : books_->oldest;
  Row before;
  do {
    before = books_->oldest;
    do_step("trim", [&](Books& after) -> base::Result<void, Error> {
      const Books untrimmed = after;
      after.trim_to(wanted);
      const auto trimmed = gateway_.journal().trim(at_second(seconds));
      if (!trimmed) return base::fail(trimmed.error());
      if (trimmed->oldest == wanted) return {};
      // On a disk that is full in smaller steps; and where it took no times, what was committed counts from now on.
      CHECK(disk_.failed_at().has_value());
      after = untrimmed;
      after.trim_to(trimmed->oldest);
      return {};
    });
  } while (books_->oldest < wanted && books_->oldest > before);
}

void GatewayStory::fork(Row first_row, bool with_run) {
  handoff::EpochStart epoch;
  epoch.epoch = random_.id<handoff::Epoch>();
  epoch.first_row = first_row;
  epoch.supersedes = handoff::Place{books_->epoch.epoch, handoff::Seq(3), {}};
  std::optional<handoff::Segment> run;
  if (with_run) run = handoff::Segment{random_.id<handoff::Run>(), first_row, handoff::RunIndex(0), false, true};
  do_step("fork", [&](Books& after) -> base::Result<void, Error> {
    after.epoch = epoch;
    after.tallies = journal::Tallies();
    if (after.acked_at_most >= first_row) after.acked_at_most = after.oldest - 1;
    after.acked_at_least = after.acked_at_most;
    if (run) {
      after.appending = *run;
      for (Row row = first_row; row < after.next(); ++row)
        after.rows[row - after.oldest].identity = {run->run, run->first_index + (row - first_row)};
    }
    return gateway_.journal().start_epoch(epoch, run);
  });
}

void GatewayStory::accept() {
  do_step("accept", [&](Books& after) -> base::Result<void, Error> {
    after.epoch.accepted = true;
    after.acked_at_least = after.acked_at_most;
    return gateway_.journal().start_epoch(after.epoch, std::nullopt);
  });
}

void GatewayStory::restart(bool killed) {
  if (killed) {
    disk_.kill([this] { gateway_.close(); });
  } else {
    gateway_.close();
  }
  open_until_it_is();
  settle_books({books_});
}

}  // namespace power
