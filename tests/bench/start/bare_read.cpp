// The floor of a gateway's start: the rows of its journal, read once by SQLite alone, with the journal's own settings.
//
//   bare_read JOURNAL
//
// The journal must be closed. One line of JSON.
#include <fmt/format.h>
#include <sqlite3.h>

#include <cstdint>

#include "proto/base/assert.hpp"

int main(int argc, char** argv) {
  ASSERT(argc == 2);
  sqlite3* database = nullptr;
  ASSERT(sqlite3_open(argv[1], &database) == SQLITE_OK);
  for (const char* sql : {"PRAGMA locking_mode = EXCLUSIVE", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL",
                          "PRAGMA cell_size_check = ON", "PRAGMA mmap_size = 0", "PRAGMA cache_size = -2048"}) {
    ASSERT(sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  }
  sqlite3_stmt* scan = nullptr;
  ASSERT(sqlite3_prepare_v2(database, "SELECT row, key_hash, crc, record FROM rows ORDER BY row", -1, &scan, nullptr) ==
         SQLITE_OK);
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  std::uint64_t sum = 0;  // so that each byte's page is read
  int status = SQLITE_ROW;
  for (; (status = sqlite3_step(scan)) == SQLITE_ROW; ++rows) {
    const auto* record = static_cast<const unsigned char*>(sqlite3_column_blob(scan, 3));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(scan, 3));
    bytes += size;
    sum += static_cast<std::uint64_t>(sqlite3_column_int64(scan, 1) ^ sqlite3_column_int64(scan, 2)) + record[size - 1];
  }
  ASSERT(status == SQLITE_DONE);
  sqlite3_finalize(scan);
  sqlite3_close(database);
  fmt::print(R"({{"rows": {}, "bytes": {}, "sum": {}}})"
             "\n",
             rows, bytes, sum);
}
