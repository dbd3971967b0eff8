// JournalThread: the journal on its own thread, as the gateway's loop meets it.
#include <doctest/doctest.h>

#include <condition_variable>
#include <deque>
#include <fstream>
#include <mutex>

#include "firmware-gateway/adapters/sqlite/journal_thread.hpp"
#include "tests/contract/journal/fixtures.hpp"
#include "tests/support/journal_disk.hpp"

using namespace support;
using namespace std::chrono_literals;
using journal::Error;
using journal::Row;

namespace {

// The loop's side: what was posted runs here, on the test's thread.
class Loop {
 public:
  void post(std::function<void()> act) {
    const std::scoped_lock lock(mutex_);
    posted_.push_back(std::move(act));
    wake_.notify_one();
  }
  template <class Condition>
  void run_until(Condition reached) {
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (!reached()) {
      std::unique_lock lock(mutex_);
      REQUIRE(wake_.wait_until(lock, deadline, [this] { return !posted_.empty(); }));
      auto act = std::move(posted_.front());
      posted_.pop_front();
      lock.unlock();
      act();
    }
  }
  [[nodiscard]] bool empty() {
    const std::scoped_lock lock(mutex_);
    return posted_.empty();
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> posted_;
};

class ThreadFixture {
 public:
  ThreadFixture() : ThreadFixture(Unstarted{}) { start(); }
  // start() is the test's.
  struct Unstarted {};
  explicit ThreadFixture(Unstarted /*unstarted*/) {
    settings_.gateway_id = "shop-0017";
    settings_.limits = {512U << 20U, 16U << 20U};
    settings_.retention = 1000s;
    settings_.vfs = JournalDisk::name();
    journal_disk().heal();
  }
  ~ThreadFixture() { journal_disk().heal(); }

  void start() {
    const auto error = try_start();
    REQUIRE_MESSAGE(!error, (error ? error->detail : ""));
  }
  [[nodiscard]] std::optional<sqlite::OpenError> try_start() {
    thread.reset();
    auto started = sqlite::JournalThread::start(
        temp_.path() / "state", settings_,
        {platform::hasher(), random_, [](const journal::Loss&) { return base::Bytes("notice: events lost"); }},
        {.post = [this](std::function<void()> act) { loop.post(std::move(act)); },
         .on_failed = [this](Error error, const std::string&) { failures.push_back(error); },
         .on_salvage = [this](const std::string& damage) { damages.push_back(damage); },
         .on_reopen_failed = [this](const sqlite::OpenError&) { ++reopen_failures; },
         .on_reopened =
             [this](const handoff::JournalState& state, const std::optional<sqlite::Salvaged>& salvaged) {
               reopened.push_back(state);
               if (salvaged) salvages.push_back(*salvaged);
             }});
    if (!started) return started.error();
    thread = std::move(*started);
    return std::nullopt;
  }
  // Appends one event and waits; the error, if any.
  std::optional<Error> append(std::uint64_t n) {
    std::optional<Error> error;
    bool done = false;
    REQUIRE(thread->append({item_of(n)}, [&](const auto& outcomes) {
      if (!outcomes) error = outcomes.error();
      done = true;
    }));
    loop.run_until([&] { return done; });
    return error;
  }
  std::vector<journal::StoredRow> rows() {
    std::optional<std::vector<journal::StoredRow>> found;
    REQUIRE(thread->read(Row(0), 10'000, 1U << 24U, [&](auto result) { found = result.value(); }));
    loop.run_until([&] { return found.has_value(); });
    return *found;
  }
  [[nodiscard]] std::filesystem::path state_dir() const { return temp_.path() / "state"; }

  Loop loop;
  std::vector<Error> failures;
  int reopen_failures = 0;
  std::vector<handoff::JournalState> reopened;
  std::vector<sqlite::Salvaged> salvages;
  std::vector<std::string> damages;
  std::unique_ptr<sqlite::JournalThread> thread;

 private:
  TempFolder temp_;
  SeededRandom random_{5};
  sqlite::JournalSettings settings_;
};

}  // namespace

TEST_CASE("journal thread: does everything in the order in which it was asked, and says so in that order") {
  ThreadFixture fixture;
  std::vector<int> said;
  for (int i = 0; i < 100; ++i) {
    REQUIRE(fixture.thread->append({item_of(static_cast<std::uint64_t>(i) + 1)}, [&said, i](const auto& outcomes) {
      REQUIRE(outcomes.has_value());
      CHECK(std::get<journal::Appended>(outcomes->front()).row == Row(static_cast<std::uint64_t>(i) + 1));
      said.push_back(i);
    }));
  }
  fixture.loop.run_until([&] { return said.size() == 100; });
  CHECK(std::is_sorted(said.begin(), said.end()));
  CHECK(fixture.rows().size() == 100);
}

TEST_CASE("journal thread: marks, epochs, trims, history and usage pass through") {
  ThreadFixture fixture;
  for (std::uint64_t n = 1; n <= 5; ++n) REQUIRE(!fixture.append(n));
  fixture.thread->remember_sent(Row(4), at_second(1));
  fixture.thread->remember_acked(plain_mark(3), at_second(2));
  std::optional<journal::History> history;
  std::optional<journal::TrimOutcome> trimmed;
  std::optional<journal::Usage> usage;
  std::optional<journal::VerifyStep> verified;
  bool epoch = false;
  bool flushed = false;
  REQUIRE(fixture.thread->find(item_of(2).key_hash, 5, [&](auto found) { history = found->front(); }));
  REQUIRE(fixture.thread->trim(at_second(5000), [&](auto outcome) { trimmed = *outcome; }));
  handoff::EpochStart start{{}, Row(4), false, std::nullopt, std::nullopt};
  start.epoch.bytes[0] = 1;
  REQUIRE(fixture.thread->start_epoch(start, std::nullopt, [&](auto result) { epoch = result.has_value(); }));
  REQUIRE(fixture.thread->flush([&](auto result) { flushed = result.has_value(); }));
  REQUIRE(fixture.thread->verify(Row(0), [&](auto step) { verified = *step; }));
  REQUIRE(fixture.thread->usage([&](auto result) { usage = *result; }));
  fixture.loop.run_until([&] { return usage.has_value(); });
  CHECK(history->committed_at == at_second(2));
  CHECK(history->sent_at == at_second(1));
  CHECK(trimmed->rows == 3);
  CHECK(epoch);
  CHECK(flushed);
  CHECK(verified->rows == 2);
  CHECK(usage->rows == 2);
  fixture.start();
  CHECK(fixture.thread->opened()->epoch == start);
  CHECK(fixture.thread->opened()->oldest == Row(4));
}

TEST_CASE("journal thread: a full queue is refused, and nothing that was taken is lost") {
  ThreadFixture fixture;
  journal_disk().hold();
  std::uint64_t taken = 0;
  std::uint64_t done = 0;
  while (fixture.thread->append({item_of(taken + 1)}, [&](const auto& outcomes) {
    CHECK(outcomes.has_value());
    ++done;
  })) {
    ++taken;
    REQUIRE(taken < 10'000);
  }
  CHECK(taken >= sqlite::kRequestsMax);
  // Marks always find a place, and need no memory for it.
  for (int i = 0; i < 10'000; ++i) fixture.thread->remember_sent(Row(0), at_second(i));
  journal_disk().release();
  fixture.loop.run_until([&] { return done == taken; });
  CHECK(fixture.rows().size() == taken);
}

TEST_CASE(
    "journal thread: after a failed fsync nothing is claimed, the journal is opened anew, and what was told is there") {
  ThreadFixture fixture;
  for (std::uint64_t n = 1; n <= 10; ++n) REQUIRE(!fixture.append(n));
  journal_disk().fail_syncs(1);
  CHECK(fixture.append(11) == Error::broken);
  fixture.loop.run_until([&] { return fixture.reopened.size() == 1; });
  CHECK(fixture.failures == std::vector{Error::broken});
  CHECK(fixture.salvages.empty());
  const std::uint64_t next = fixture.reopened[0].next.value();
  CHECK((next == 11 || next == 12));
  // The terminal repeats: it is there once.
  CHECK(!fixture.append(11));
  CHECK(fixture.rows().size() == 11);
}

TEST_CASE("journal thread: while the disk fails it answers at once, keeps trying, and recovers by itself") {
  ThreadFixture fixture;
  REQUIRE(!fixture.append(1));
  journal_disk().fail_all(true);
  CHECK(fixture.append(2) == Error::broken);
  CHECK(fixture.append(3) == Error::broken);
  fixture.loop.run_until([&] { return fixture.reopen_failures >= 2; });
  CHECK(fixture.append(4) == Error::broken);
  journal_disk().fail_all(false);
  fixture.loop.run_until([&] { return !fixture.reopened.empty(); });
  CHECK(!fixture.append(2));
  CHECK(fixture.rows().size() == 2);
}

TEST_CASE(
    "journal thread: a disk that fails or is full at start is no end: it answers, keeps trying, and opens by itself") {
  ThreadFixture fixture{ThreadFixture::Unstarted{}};
  SUBCASE("full") { journal_disk().fill(true); }
  SUBCASE("failing") { journal_disk().fail_all(true); }
  fixture.start();
  CHECK(!fixture.thread->opened());
  CHECK(fixture.append(1) == Error::broken);
  fixture.loop.run_until([&] { return fixture.reopen_failures >= 3; });
  CHECK(fixture.append(1) == Error::broken);
  CHECK(fixture.failures.empty());
  journal_disk().heal();
  fixture.loop.run_until([&] { return fixture.reopened.size() == 1; });
  CHECK(fixture.reopened[0].next == Row(1));
  CHECK(fixture.salvages.empty());
  CHECK(!fixture.append(1));
  CHECK(fixture.rows().size() == 1);
}

TEST_CASE("journal thread: what waiting does not cure ends the start") {
  ThreadFixture fixture;
  const auto file = fixture.state_dir() / "journal.db";
  fixture.thread->stop();
  SUBCASE("a newer schema") {
    fixture.thread.reset();
    sqlite::Database database;
    REQUIRE(database.open(file.string(), SQLITE_OPEN_READWRITE, "") == SQLITE_OK);
    REQUIRE(database.run("PRAGMA user_version = 2") == SQLITE_OK);
    database.close();
    CHECK(fixture.try_start()->fault == sqlite::OpenFault::newer_schema);
  }
  SUBCASE("a second gateway") {
    fixture.thread.reset();
    const auto folder = sqlite::StateFolder::open(fixture.state_dir());
    REQUIRE(folder.has_value());
    CHECK(fixture.try_start()->fault == sqlite::OpenFault::in_use);
  }
  SUBCASE("a folder that is none") {
    fixture.thread.reset();
    std::filesystem::remove_all(fixture.state_dir());
    std::ofstream(fixture.state_dir()) << "";
    CHECK(fixture.try_start()->fault == sqlite::OpenFault::forbidden);
  }
}

TEST_CASE("journal thread: what was asked of the old journal never reaches the new one") {
  ThreadFixture fixture;
  for (std::uint64_t n = 1; n <= 5; ++n) REQUIRE(!fixture.append(n));
  journal_disk().fail_syncs(1);
  int answered = 0;
  const auto broken = [&](const auto& result) {
    CHECK(result.error() == Error::broken);
    ++answered;
  };
  REQUIRE(fixture.thread->append({item_of(6)}, broken));
  REQUIRE(fixture.thread->append({item_of(7)}, broken));
  fixture.thread->remember_acked(plain_mark(5), at_second(0));
  // The loop has not heard of the failure yet, however long it takes.
  while (journal_disk().opens() < 2) std::this_thread::yield();
  REQUIRE(fixture.thread->append({item_of(8)}, broken));
  fixture.thread->remember_acked(plain_mark(5), at_second(0));
  fixture.loop.run_until([&] { return fixture.reopened.size() == 1 && answered == 3; });
  std::optional<journal::TrimOutcome> trimmed;
  REQUIRE(fixture.thread->trim(at_second(1'000'000), [&](auto outcome) { trimmed = *outcome; }));
  fixture.loop.run_until([&] { return trimmed.has_value(); });
  CHECK(trimmed->rows == 0);
  CHECK(!fixture.append(9));
}

TEST_CASE("journal thread: damage found in use is salvaged while the gateway runs") {
  ThreadFixture fixture;
  for (std::uint64_t n = 1; n <= 20; ++n) REQUIRE(!fixture.append(n));
  journal_disk().corrupt_reads(true);
  // A duplicate is confirmed by reading its row. Pages in the cache are not read again, so the cache is emptied by
  // opening anew.
  journal_disk().fail_syncs(1);
  CHECK(fixture.append(21) == Error::broken);
  fixture.loop.run_until([&] { return !fixture.reopened.empty() || fixture.reopen_failures > 0; });
  journal_disk().corrupt_reads(false);
  fixture.loop.run_until([&] { return !fixture.reopened.empty(); });
  CHECK(!fixture.append(22));
}

TEST_CASE("journal thread: a salvage is told when it begins, with what was found, and when it is done") {
  ThreadFixture fixture;
  // More than SQLite keeps in memory: the first rows are read from the file again.
  bool stored = false;
  for (std::uint64_t n = 1; n <= 20'000; n += 500) {
    std::vector<journal::AppendItem> items;
    for (std::uint64_t i = n; i < n + 500; ++i) items.push_back(item_of(i));
    REQUIRE(
        fixture.thread->append(std::move(items), [&, n](const auto& outcomes) { stored = outcomes && n == 19'501; }));
  }
  fixture.loop.run_until([&] { return stored; });
  fixture.thread->stop();
  fixture.start();
  {
    std::fstream file(fixture.state_dir() / "journal.db", std::ios::binary | std::ios::in | std::ios::out);
    const base::Bytes bytes{std::istreambuf_iterator<char>(file), {}};
    file.seekp(static_cast<std::streamoff>(bytes.find("record 5.") + 8));
    file << '!';
  }
  std::optional<Error> error;
  REQUIRE(fixture.thread->read(Row(1), 100, 1U << 20U, [&](const auto& rows) { error = rows.error(); }));
  fixture.loop.run_until([&] { return !fixture.reopened.empty(); });
  CHECK(error == Error::damaged);
  CHECK(fixture.failures == std::vector{Error::damaged});
  CHECK(fixture.damages == std::vector<std::string>{"row 5: its CRC differs"});
  REQUIRE(fixture.salvages.size() == 1);
  CHECK(fixture.salvages[0].reason == "row 5: its CRC differs");
}

TEST_CASE("journal thread: stop does what waits, writes the marks, and posts nothing afterwards") {
  ThreadFixture fixture;
  int done = 0;
  for (std::uint64_t n = 1; n <= 50; ++n) REQUIRE(fixture.thread->append({item_of(n)}, [&](const auto&) { ++done; }));
  fixture.thread->remember_acked(plain_mark(0), at_second(0));
  fixture.thread->stop();
  CHECK(!fixture.thread->append({item_of(51)}, [&](const auto&) { ++done; }));
  fixture.loop.run_until([&] { return done == 50; });
  CHECK(fixture.loop.empty());
  fixture.start();
  CHECK(fixture.thread->opened()->next == Row(51));
}
