// Real processes: bridges that are killed, and a reader that stays.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "cloud-bridge/adapters/sqlite/sqlite_stream.hpp"
#include "tests/support/stream/recording_owner.hpp"
#include "tests/support/stream/stream_db.hpp"
#include "tests/support/stream/stream_records.hpp"
#include "tests/support/stream/test_loop.hpp"
#include "tests/support/temp_folder.hpp"

namespace {

using namespace test;

// A bridge in a process of its own: goes on where progress says, and tells through a pipe how far commits were
// answered.
class BridgeProcess {
 public:
  explicit BridgeProcess(const std::string& path) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(ends[0]);
      run(path, ends[1]);
    }
    ::close(ends[1]);
    answers_ = ends[0];
  }
  BridgeProcess(const BridgeProcess&) = delete;
  BridgeProcess& operator=(const BridgeProcess&) = delete;
  ~BridgeProcess() {
    if (pid_ > 0) kill_now();
    ::close(answers_);
  }

  // The next seq up to which a commit was answered; 0 when the process is gone.
  std::uint64_t next_answer() {
    std::uint64_t seq = 0;
    return ::read(answers_, &seq, sizeof seq) == sizeof seq ? seq : 0;
  }
  // The last one answered before it died.
  std::uint64_t kill_now() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
    std::uint64_t last = 0;
    while (const std::uint64_t seq = next_answer()) last = seq;
    return last;
  }

 private:
  [[noreturn]] static void run(const std::string& path, int answers) {
    TestLoop loop;
    RecordingOwner owner;
    auto started = sqlite::SqliteStream::start({.path = path, .limits = {.wal_bytes_max = 1 << 20}}, loop.post());
    if (!started) ::_exit(3);
    (*started)->open(owner);
    if (!loop.run_until([&] { return owner.owned; })) ::_exit(4);
    std::uint64_t seq = owner.progress_found.empty() ? 0 : owner.progress_found.front().seq();
    for (std::uint64_t n = 1;; ++n, seq += 7) {
      if (!loop.run_until([&] { return (*started)->may_begin(stream::Partition(0)); })) ::_exit(5);
      (*started)->begin(stream::Partition(0), stream::TransactionId(n), transaction("shop-1", 1, seq + 1, seq + 7));
      if (!loop.run_until([&] { return owner.committed.size() == n; })) ::_exit(6);
      const std::uint64_t through = seq + 7;
      if (::write(answers, &through, sizeof through) != sizeof through) ::_exit(7);
    }
  }

  pid_t pid_ = -1;
  int answers_ = -1;
};

}  // namespace

TEST_CASE("sqlite stream: kill -9 loses nothing that was answered, and a reader stays open through it all") {
  support::TempFolder folder;
  const std::string path = folder.file("stream.db");
  std::uint64_t answered = 0;
  {
    BridgeProcess first(path);
    REQUIRE(first.next_answer() == 7);
    answered = first.kill_now();
  }
  ForeignConnection reader(path);
  for (int round = 0; round < 8; ++round) {
    BridgeProcess bridge(path);
    // Long enough for several laps of the log.
    for (int i = 0; i < 40 + round * 7; ++i) REQUIRE(bridge.next_answer() > answered);
    const std::uint64_t seen_alive = std::stoull(reader.text("SELECT count(*) FROM events"));
    CHECK(seen_alive >= answered + 7 * 40);
    if (round % 2 == 1) reader.hold_snapshot();
    answered = std::max(bridge.kill_now(), answered);
    if (round % 2 == 1) reader.release();
    const std::uint64_t rows = std::stoull(reader.text("SELECT count(*) FROM events"));
    CHECK(rows >= answered);
    CHECK(std::stoull(reader.text("SELECT max(seq) FROM events")) == rows);
    CHECK(std::stoull(reader.text("SELECT seq FROM progress")) == rows);
    answered = rows;
  }
  CHECK(reader.text("PRAGMA integrity_check") == "ok");
}

TEST_CASE("sqlite stream: a bridge in another process is refused while the first one lives, not afterwards") {
  support::TempFolder folder;
  const std::string path = folder.file("stream.db");
  BridgeProcess bridge(path);
  REQUIRE(bridge.next_answer() == 7);
  TestLoop loop;
  CHECK_FALSE(sqlite::SqliteStream::start({.path = path, .limits = {}}, loop.post()).has_value());
  bridge.kill_now();
  CHECK(sqlite::SqliteStream::start({.path = path, .limits = {}}, loop.post()).has_value());
}
