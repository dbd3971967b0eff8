// What becomes of tallies in files that are damaged, or that an older program has written: a sum is exact or unknown.
#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include "firmware-gateway/adapters/sqlite/journal_file.hpp"
#include "firmware-gateway/journal/crc32c.hpp"
#include "tests/contract/journal/fixtures.hpp"

using namespace support;

namespace {

namespace fs = std::filesystem;

base::Bytes contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

void overwrite(const fs::path& path, std::size_t offset, const base::Bytes& bytes) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(offset));
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// One row, 1,250 for T1 or any other.
void append_tallied(SqliteFixture& fixture, std::uint64_t n, const std::string& key, bool reset = false) {
  journal::AppendItem item = item_of(n);
  item.tally = {.key = key, .add = {1, 1250}, .reset = reset};
  const auto outcomes = fixture.journal().append({&item, 1});
  REQUIRE(outcomes.has_value());
  REQUIRE(std::holds_alternative<journal::Appended>(outcomes->front()));
}

std::optional<std::int64_t> counted(SqliteFixture& fixture, std::string_view key) {
  const auto sum = fixture.journal().opened_tallies().find(key);
  return sum ? std::optional(sum->numbers->front()) : std::nullopt;
}

void run_sql(const SqliteFixture& fixture, const char* sql) {
  sqlite::Database database;
  REQUIRE(database.open(fixture.file().string(), SQLITE_OPEN_READWRITE, "") == SQLITE_OK);
  REQUIRE(database.run(sql) == SQLITE_OK);
}

}  // namespace

TEST_CASE("tallies: a salvage keeps them, marked, and what has none is unknown") {
  SqliteFixture fixture;
  append_tallied(fixture, 1, "T1");
  append_tallied(fixture, 2, "T1");
  append_tallied(fixture, 3, "T2");
  append_rows(fixture.journal(), 4, 100);
  fixture.close();
  const base::Bytes file = contents(fixture.file());
  for (std::size_t at = file.find("record 50."); at != base::Bytes::npos; at = file.find("record 50.", at + 1))
    overwrite(fixture.file(), at, "R");
  fixture.reopen();
  REQUIRE(fixture.journal().salvaged().has_value());
  CHECK(counted(fixture, "T1") == 2);
  CHECK(fixture.journal().opened_tallies().find("T1")->salvaged);
  CHECK(counted(fixture, "T2") == 1);
  CHECK(!counted(fixture, "T3"));
  append_tallied(fixture, 101, "T1", true);
  append_tallied(fixture, 102, "T3");
  append_tallied(fixture, 103, "T4", true);
  fixture.reopen();
  CHECK(!fixture.journal().salvaged());
  CHECK(counted(fixture, "T1") == 1);
  CHECK(!fixture.journal().opened_tallies().find("T1")->salvaged);
  CHECK(fixture.journal().opened_tallies().find("T2")->salvaged);
  CHECK(!counted(fixture, "T3"));
  CHECK(counted(fixture, "T4") == 1);
}

TEST_CASE("tallies: a flipped bit in a sum is seen, and that sum is unknown, not wrong") {
  SqliteFixture fixture;
  append_tallied(fixture, 1, "first till");
  append_tallied(fixture, 2, "second till");
  fixture.close();
  const std::string name = "first till";
  const base::Bytes file = contents(fixture.file());
  for (std::size_t at = file.find(name); at != base::Bytes::npos; at = file.find(name, at + 1)) {
    // Behind the key stand the flags, then the numbers.
    overwrite(fixture.file(), at + name.size() + 8, "\x07");
  }
  fixture.reopen();
  REQUIRE(fixture.journal().salvaged().has_value());
  CHECK(read_all(fixture.journal()).size() == 2);
  CHECK(!counted(fixture, "first till"));
  CHECK(counted(fixture, "second till") == 1);
}

TEST_CASE("tallies: behind a damaged log they are unknown, as they may be older than the rows") {
  SqliteFixture fixture;
  append_tallied(fixture, 1, "T1");
  fixture.reopen();
  for (std::uint64_t n = 2; n <= 40; ++n) append_tallied(fixture, n, "T1");
  // As a kill leaves them.
  const base::Bytes file = contents(fixture.file());
  base::Bytes log = contents(fixture.file().string() + "-wal");
  fixture.close();
  REQUIRE(log.size() > 20'000);
  log[log.size() / 3] = static_cast<char>(log[log.size() / 3] + 1);
  std::ofstream(fixture.file(), std::ios::binary) << file;
  std::ofstream(fixture.file().string() + "-wal", std::ios::binary) << log;
  fixture.reopen();
  REQUIRE(fixture.journal().salvaged().has_value());
  CHECK(!counted(fixture, "T1"));
  append_tallied(fixture, 100, "T1", true);
  fixture.reopen();
  CHECK(counted(fixture, "T1") == 1);
}

TEST_CASE("tallies: a file of an older program, which has none, opens as it is, and every sum is unknown") {
  SqliteFixture fixture;
  append_rows(fixture.journal(), 1, 10);
  fixture.close();
  run_sql(fixture, "DELETE FROM catalog WHERE kind = 10");
  fixture.reopen();
  CHECK(!fixture.journal().salvaged());
  CHECK(fixture.journal().opened().next == journal::Row(11));
  CHECK(!fixture.journal().opened_tallies().whole());
  append_tallied(fixture, 11, "T1");
  append_tallied(fixture, 12, "T2", true);
  fixture.reopen();
  CHECK(!counted(fixture, "T1"));
  CHECK(counted(fixture, "T2") == 1);
}

TEST_CASE("journal: what a newer program keeps in the catalog is passed over, and stays") {
  SqliteFixture fixture;
  append_rows(fixture.journal(), 1, 10);
  fixture.close();
  const journal::Entry newer{static_cast<journal::Kind>(200), 7, "of a newer program"};
  {
    sqlite::Database database;
    REQUIRE(database.open(fixture.file().string(), SQLITE_OPEN_READWRITE, "") == SQLITE_OK);
    sqlite::Statement put(database, sqlite::kPutEntrySql);
    REQUIRE(sqlite::put_entry(put, newer) == SQLITE_OK);
  }
  fixture.reopen();
  CHECK_FALSE(fixture.journal().salvaged());
  append_rows(fixture.journal(), 11, 12);
  fixture.close();
  sqlite::Database database;
  REQUIRE(database.open(fixture.file().string(), SQLITE_OPEN_READWRITE, "") == SQLITE_OK);
  sqlite::Statement kept(database, "SELECT value FROM catalog WHERE kind = 200 AND at = 7");
  REQUIRE(kept.step() == SQLITE_ROW);
  CHECK(kept.text(0) == newer.value);
}

TEST_CASE("tallies: rows that an older program has appended make every sum unknown") {
  SqliteFixture fixture;
  append_tallied(fixture, 1, "T1");
  append_tallied(fixture, 2, "T2");
  fixture.close();
  {
    // It writes a row with its opening's segment, and leaves alone what it does not know.
    sqlite::Database database;
    REQUIRE(database.open(fixture.file().string(), SQLITE_OPEN_READWRITE, "") == SQLITE_OK);
    handoff::Run run;
    run.bytes[0] = 77;
    sqlite::Statement put(database, sqlite::kPutEntrySql);
    const auto segment = journal::segment_entry({run, journal::Row(3), handoff::RunIndex(0)});
    REQUIRE(sqlite::put_entry(put, segment) == SQLITE_OK);
    sqlite::Statement insert(database, sqlite::kInsertRowSql);
    const base::Bytes record = record_of(3);
    insert.bind(1, std::uint64_t{3}).bind(2, std::uint64_t{7});
    insert.bind(3, static_cast<std::int64_t>(journal::row_crc(3, 7, record)));
    REQUIRE(insert.bind(4, base::BytesView(record)).run() == SQLITE_OK);
  }
  fixture.reopen();
  CHECK(!fixture.journal().salvaged());
  CHECK(fixture.journal().opened().next == journal::Row(4));
  CHECK(!counted(fixture, "T1"));
  append_tallied(fixture, 4, "T2", true);
  fixture.reopen();
  CHECK(!fixture.journal().salvaged());
  CHECK(!counted(fixture, "T1"));
  CHECK(counted(fixture, "T2") == 1);
}
