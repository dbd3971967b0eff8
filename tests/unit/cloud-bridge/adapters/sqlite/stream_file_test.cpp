#include "cloud-bridge/adapters/sqlite/stream_file.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/support/stream/faulty_vfs.hpp"
#include "tests/support/stream/stream_db.hpp"
#include "tests/support/stream/stream_records.hpp"
#include "tests/support/temp_folder.hpp"

namespace {

using namespace test;
using sqlite::StreamFileFault;

struct Folder {
  support::TempFolder folder;
  std::string path = folder.file("stream.db");

  sqlite::FileResult<std::unique_ptr<sqlite::StreamFile>> try_open(sqlite::StreamFileLimits limits = {}) {
    return sqlite::StreamFile::open(path, limits);
  }
  std::unique_ptr<sqlite::StreamFile> open(sqlite::StreamFileLimits limits = {}) {
    auto file = try_open(limits);
    REQUIRE_MESSAGE(file.has_value(), (file ? "" : file.error().text));
    return std::move(*file);
  }
};

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct NoFaults {
  NoFaults() { clear(); }
  ~NoFaults() { clear(); }
  static void clear() {
    DiskFaults& faults = disk_faults();
    faults.fail_next_log_sync = faults.fail_next_log_write = faults.fail_next_database_sync = faults.disk_full = false;
  }
};

}  // namespace

TEST_CASE("stream file: what is committed into a file that somebody has removed or replaced is not called committed") {
  for (const std::string suffix : {"", "-wal"}) {
    for (const bool replaced : {false, true}) {
      CAPTURE(suffix);
      CAPTURE(replaced);
      Folder here;
      auto file = here.open();
      REQUIRE(file->commit(test::transaction("shop-1", 1, 1, 1)).has_value());
      std::filesystem::rename(here.path + suffix, here.path + suffix + ".backup");
      if (replaced) std::filesystem::copy(here.path + suffix + ".backup", here.path + suffix);
      const auto committed = file->commit(test::transaction("shop-1", 1, 2, 1));
      REQUIRE_FALSE(committed.has_value());
      CHECK(committed.error().fault == StreamFileFault::io);
      CHECK(committed.error().text.find("removed or replaced") != std::string::npos);
    }
  }
}

TEST_CASE("stream file: readers find the tables and columns that were promised") {
  Folder here;
  auto file = here.open();
  auto transaction = test::transaction("shop-1", 1, 1, 1);
  transaction.records.push_back(bridge_notice("shop-1", "n"));
  transaction.gateways.push_back({"shop-1", "{}"});
  REQUIRE(file->commit(transaction).has_value());
  ForeignConnection reader(here.path);
  std::string columns;
  reader.query("PRAGMA table_info(events)", [&columns](const auto& row) { columns += row[1] + " " + row[2] + ","; });
  CHECK(columns ==
        "position INTEGER,event_id TEXT,gateway_id TEXT,epoch TEXT,seq INTEGER,key TEXT,type TEXT,occurred_at TEXT,"
        "received_at TEXT,published_at TEXT,headers TEXT,value TEXT,");
  CHECK(reader.text("SELECT headers ->> 'ce_id' FROM events WHERE seq = 1") == "shop-1-1-1");
  CHECK(reader.text("SELECT count(*) FROM events WHERE seq IS NULL AND epoch IS NULL") == "1");
  CHECK(reader.text("SELECT seq FROM progress WHERE gateway_id = 'shop-1'") == "1");
  CHECK(reader.text("SELECT value FROM gateways") == "{}");
  CHECK(reader.text("SELECT count(*) FROM dead_letters") == "0");
  CHECK(reader.text("PRAGMA journal_mode") == "wal");
}

TEST_CASE("stream file: others may read it, not write it") {
  Folder here;
  auto file = here.open();
  REQUIRE(file->commit(transaction("shop-1", 1, 1, 1)).has_value());
  for (const char* suffix : {"", "-wal", "-shm"}) {
    struct stat status{};
    REQUIRE(::stat((here.path + suffix).c_str(), &status) == 0);
    CHECK((status.st_mode & 0027) == 0);
    CHECK((status.st_mode & 0600) == 0600);
  }
  ForeignConnection reader(here.path);
  CHECK(reader.execute("DELETE FROM events") != 0);
}

TEST_CASE("stream file: each commit is synced before it counts") {
  Folder here;
  DiskFaults& faults = disk_faults();
  const NoFaults calm;
  auto file = here.open();
  for (std::uint64_t seq = 1; seq <= 5; ++seq) {
    const int before = faults.log_syncs;
    REQUIRE(file->commit(transaction("shop-1", 1, seq, seq)).has_value());
    CHECK(faults.log_syncs == before + 1);
  }
}

TEST_CASE("stream file: a newer schema and a stranger's database are refused and stay untouched") {
  Folder here;
  StreamFileFault fault = StreamFileFault::refused;
  std::string word;
  SUBCASE("newer schema") {
    here.open()->finish();
    ForeignConnection writer(here.path, true);
    REQUIRE(writer.execute("PRAGMA user_version = 2") == 0);
    REQUIRE(writer.execute("PRAGMA wal_checkpoint(TRUNCATE)") == 0);
    word = "newer version";
  }
  SUBCASE("another program's file") {
    std::ofstream(here.path).close();
    ForeignConnection writer(here.path, true);
    REQUIRE(writer.execute("CREATE TABLE t(x)") == 0);
    word = "something else";
  }
  SUBCASE("no database at all") {
    std::ofstream(here.path) << std::string(8192, 'x');
    word = "not a database";
  }
  const std::string before = contents(here.path);
  const auto opened = here.try_open();
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().fault == fault);
  CHECK(opened.error().text.find(word) != std::string::npos);
  CHECK(contents(here.path) == before);
}

TEST_CASE("stream file: a foreign writer's lock is an error, and nothing of the transaction is in") {
  Folder here;
  auto file = here.open();
  ForeignConnection writer(here.path, true);
  REQUIRE(writer.execute("BEGIN IMMEDIATE") == 0);
  const auto committed = file->commit(transaction("shop-1", 1, 1, 3));
  REQUIRE_FALSE(committed.has_value());
  CHECK(committed.error().fault == StreamFileFault::busy);
  REQUIRE(writer.execute("ROLLBACK") == 0);
  file.reset();
  CHECK(here.open()->progress()->empty());
  CHECK(committed_view(here.path).records.empty());
}

TEST_CASE("stream file: a disk without room is an error that passes") {
  Folder here;
  DiskFaults& faults = disk_faults();
  const NoFaults calm;
  auto file = here.open();
  REQUIRE(file->commit(transaction("shop-1", 1, 1, 3)).has_value());
  faults.disk_full = true;
  const auto committed = file->commit(transaction("shop-1", 1, 4, 40));
  REQUIRE_FALSE(committed.has_value());
  CHECK(committed.error().fault == StreamFileFault::full);
  file.reset();
  // Opening commits: a disk that takes nothing is noticed before anything is owned.
  const auto opened = here.try_open();
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().fault == StreamFileFault::full);
  faults.disk_full = false;
  file = here.open();
  REQUIRE(file->progress()->size() == 1);
  CHECK(file->progress()->front().seq() == 3);
  CHECK(committed_view(here.path).records.size() == 3);
}

// That it is on the disk then: tests/power.
TEST_CASE("stream file: after a failed sync the log is written again before anything is shown, whoever reads it") {
  Folder here;
  DiskFaults& faults = disk_faults();
  const NoFaults calm;
  auto file = here.open();
  REQUIRE(file->commit(transaction("shop-1", 1, 1, 3)).has_value());
  ForeignConnection reader(here.path);
  reader.hold_snapshot();
  faults.fail_next_log_sync = true;
  const auto committed = file->commit(transaction("shop-1", 1, 4, 6));
  REQUIRE_FALSE(committed.has_value());
  CHECK(committed.error().fault == StreamFileFault::io);
  file.reset();
  std::string word;
  SUBCASE("it cannot be written") {
    faults.fail_next_log_write = true;
    word = "writing the log again";
  }
  SUBCASE("it cannot be synced") {
    faults.fail_next_log_sync = true;
    word = "writing the log again";
  }
  SUBCASE("the disk is well") {}
  if (!word.empty()) {
    const auto opened = here.try_open();
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().fault == StreamFileFault::io);
    CHECK(opened.error().text.find(word) != std::string::npos);
  }
  file = here.open();
  const std::uint64_t through = file->progress()->front().seq();
  CHECK((through == 3 || through == 6));
  CHECK(committed_view(here.path).records.size() == through);
  CHECK(reader.text("SELECT count(*) FROM events") == "3");
  CHECK(reader.text("SELECT group_concat(seq) FROM (SELECT seq FROM events ORDER BY position)") == "1,2,3");
}

TEST_CASE("stream file: while a foreign writer is at work the log is not touched") {
  Folder here;
  REQUIRE(here.open()->commit(transaction("shop-1", 1, 1, 3)).has_value());
  ForeignConnection writer(here.path, true);
  REQUIRE(writer.execute("BEGIN IMMEDIATE") == 0);
  REQUIRE(writer.execute("INSERT INTO gateways VALUES('x', '{}')") == 0);
  const std::string before = contents(here.path + "-wal");
  DiskFaults& faults = disk_faults();
  const int syncs = faults.log_syncs;
  const auto opened = here.try_open();
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().fault == StreamFileFault::busy);
  CHECK(faults.log_syncs == syncs);
  REQUIRE(writer.execute("COMMIT") == 0);
  CHECK(here.open()->progress()->front().seq() == 3);
  CHECK(committed_view(here.path).gateways.size() == 1);
}

TEST_CASE("stream file: a reader's snapshot does not stop a sound stream from opening") {
  Folder here;
  REQUIRE(here.open()->commit(transaction("shop-1", 1, 1, 3)).has_value());
  ForeignConnection reader(here.path);
  reader.hold_snapshot();
  {
    auto file = here.open();
    REQUIRE(file->commit(transaction("shop-1", 1, 4, 4)).has_value());
  }
  auto file = here.open();
  CHECK(file->progress()->front().seq() == 4);
  CHECK(reader.text("SELECT count(*) FROM events") == "3");
  reader.release();
  CHECK(reader.text("SELECT count(*) FROM events") == "4");
}

TEST_CASE("stream file: a failed checkpoint is an error, and loses nothing") {
  Folder here;
  DiskFaults& faults = disk_faults();
  const NoFaults calm;
  auto file = here.open({.wal_bytes_max = 256 * 1024});
  REQUIRE(file->commit(transaction("shop-1", 1, 1, 500)).has_value());
  faults.fail_next_database_sync = true;
  const auto done = file->checkpoint_when_due();
  REQUIRE_FALSE(done.has_value());
  CHECK(done.error().fault == StreamFileFault::io);
  file.reset();
  file = here.open();
  CHECK(committed_view(here.path).records.size() == 500);
}

TEST_CASE("stream file: the log is reused while no reader holds it") {
  Folder here;
  constexpr std::uint64_t kLogMax = 1 << 20;
  auto file = here.open({.wal_bytes_max = kLogMax});
  for (std::uint64_t round = 0; round < 60; ++round) {
    REQUIRE(file->commit(transaction("shop-1", 1, round * 100 + 1, round * 100 + 100)).has_value());
    REQUIRE(file->checkpoint_when_due().has_value());
    CHECK(file->blocked().empty());
  }
  struct stat status{};
  REQUIRE(::stat((here.path + "-wal").c_str(), &status) == 0);
  CHECK(static_cast<std::uint64_t>(status.st_size) < kLogMax);
}

TEST_CASE("stream file: at its limit it is full") {
  Folder here;
  auto file = here.open({.bytes_max = 512 * 1024});
  std::uint64_t seq = 0;
  for (; file->blocked().empty() && seq < 100'000; seq += 100) {
    REQUIRE(file->commit(transaction("shop-1", 1, seq + 1, seq + 100)).has_value());
  }
  CHECK(file->blocked() == "full");
  CHECK(file->usage().bytes >= 512 * 1024);
  CHECK(file->usage().bytes < 2 * 512 * 1024);
  REQUIRE(file->shrink_log().has_value());
  file.reset();
  // The limit is a setting: with more room it goes on.
  CHECK(here.open({.bytes_max = 64 << 20})->blocked().empty());
}

TEST_CASE("stream file: foreign dead letters are bounded, a gateway's own are all kept") {
  Folder here;
  const sqlite::StreamFileLimits limits{.foreign_dead_letters_max = 3};
  auto file = here.open(limits);
  for (int i = 0; i < 10; ++i) {
    if (i == 5) file.reset(), file = here.open(limits);
    stream::Transaction letters;
    letters.dead_letters.push_back(dead_letter("shop-1", "", "d" + std::to_string(i)));
    letters.dead_letters.push_back(dead_letter("shop-1", epoch_hex(1), "d" + std::to_string(i)));
    REQUIRE(file->commit(letters).has_value());
  }
  CHECK(committed_view(here.path).dead_letters.size() == 13);
  CHECK(file->usage().dead_letters == 13);
  CHECK(file->usage().dead_letters_dropped_total == 5);
}

TEST_CASE("stream file: an unreadable row of progress is damage, not a gateway without progress") {
  Folder here;
  REQUIRE(here.open()->commit(transaction("shop-1", 1, 1, 1)).has_value());
  ForeignConnection writer(here.path, true);
  REQUIRE(writer.execute("UPDATE progress SET state = x'ff'") == 0);
  const auto found = here.open()->progress();
  REQUIRE_FALSE(found.has_value());
  CHECK(found.error().fault == StreamFileFault::damaged);
}
