// The floor of durable intake: the rows of a gateway's journal, committed by SQLite alone, so many a transaction, into
// a database beside it with the journal's own settings.
//
//   bare_commit JOURNAL GROUP SECONDS [PER_SECOND]
//
// PER_SECOND: so many transactions a second, at a steady pace; else one after the other.
// The journal must be closed. One line of JSON: rows a second, a commit's microseconds, bytes handed to the disk a row.
#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "proto/base/assert.hpp"

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t rows_max = 200'000;

struct Row {
  std::int64_t key_hash = 0;
  std::int64_t crc = 0;
  std::string record;
};

class Sqlite {
 public:
  explicit Sqlite(const std::string& path) { ASSERT(sqlite3_open(path.c_str(), &db_) == SQLITE_OK); }
  ~Sqlite() { sqlite3_close(db_); }
  Sqlite(const Sqlite&) = delete;
  Sqlite& operator=(const Sqlite&) = delete;

  void run(const char* sql) { ASSERT(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) == SQLITE_OK); }
  [[nodiscard]] sqlite3_stmt* prepare(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    ASSERT(sqlite3_prepare_v2(db_, sql, -1, &statement, nullptr) == SQLITE_OK);
    return statement;
  }

 private:
  sqlite3* db_ = nullptr;
};

std::vector<Row> rows_of(const std::string& path) {
  Sqlite journal(path);
  std::vector<Row> rows;
  sqlite3_stmt* scan = journal.prepare("SELECT key_hash, crc, record FROM rows ORDER BY row");
  while (rows.size() < rows_max && sqlite3_step(scan) == SQLITE_ROW) {
    const auto* record = static_cast<const char*>(sqlite3_column_blob(scan, 2));
    rows.push_back({sqlite3_column_int64(scan, 0), sqlite3_column_int64(scan, 1),
                    std::string(record, static_cast<std::size_t>(sqlite3_column_bytes(scan, 2)))});
  }
  sqlite3_finalize(scan);
  return rows;
}

std::uint64_t bytes_written() {
  std::ifstream io("/proc/self/io");
  for (std::string name; io >> name;) {
    std::uint64_t value = 0;
    io >> value;
    if (name == "write_bytes:") return value;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  ASSERT(argc == 4 || argc == 5);
  const std::filesystem::path journal = argv[1];
  const auto group = static_cast<std::size_t>(std::atoll(argv[2]));
  const std::chrono::duration<double> how_long(std::atof(argv[3]));
  const std::chrono::duration<double> pause(argc == 5 ? 1.0 / std::atof(argv[4]) : 0.0);
  const std::vector<Row> rows = rows_of(journal);
  ASSERT(group > 0 && !rows.empty());

  const std::filesystem::path file = journal.parent_path() / "bare.db";
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(file.string() + suffix);
  Sqlite bare(file);
  static constexpr const char* kTable =
      "CREATE TABLE rows (row INTEGER PRIMARY KEY, key_hash INTEGER NOT NULL, crc INTEGER NOT NULL,"
      " record BLOB NOT NULL)";
  for (const char* sql : {"PRAGMA page_size = 4096", "PRAGMA locking_mode = EXCLUSIVE", "PRAGMA journal_mode = WAL",
                          "PRAGMA synchronous = FULL", "PRAGMA cache_size = -2048", kTable}) {
    bare.run(sql);
  }
  sqlite3_stmt* insert = bare.prepare("INSERT INTO rows VALUES (NULL, ?1, ?2, ?3)");
  std::vector<double> commits;
  std::size_t at = 0;
  const std::uint64_t written = bytes_written();
  const auto begun = Clock::now();
  while (Clock::now() - begun < how_long) {
    std::this_thread::sleep_until(begun + static_cast<double>(commits.size()) * pause);
    const auto asked = Clock::now();
    bare.run("BEGIN IMMEDIATE");
    for (std::size_t i = 0; i < group; ++i) {
      const Row& row = rows[at++ % rows.size()];
      sqlite3_bind_int64(insert, 1, row.key_hash);
      sqlite3_bind_int64(insert, 2, row.crc);
      sqlite3_bind_blob(insert, 3, row.record.data(), static_cast<int>(row.record.size()), SQLITE_STATIC);
      ASSERT(sqlite3_step(insert) == SQLITE_DONE);
      sqlite3_reset(insert);
    }
    bare.run("COMMIT");
    commits.push_back(std::chrono::duration<double, std::micro>(Clock::now() - asked).count());
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  sqlite3_finalize(insert);
  const auto stored = static_cast<double>(commits.size() * group);
  std::ranges::sort(commits);
  const auto quantile = [&](double part) {
    return commits[static_cast<std::size_t>(static_cast<double>(commits.size() - 1) * part)];
  };
  fmt::print(R"({{"per_second": {:.0f}, "p50": {:.1f}, "p99": {:.1f}, "disk_bytes": {:.0f}}})"
             "\n",
             stored / seconds, quantile(0.5), quantile(0.99), static_cast<double>(bytes_written() - written) / stored);
}
