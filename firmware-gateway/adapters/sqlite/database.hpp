// Database, Statement: SQLite's two handles, closed by themselves. Result codes pass through as SQLite has them
// (extended).
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "proto/base/bytes.hpp"

namespace sqlite {

class Database;

// One prepared statement. Not thread-safe.
class Statement {
 public:
  Statement() = default;
  // SQL that does not compile against our own schema is damage or a bug: status() says which.
  Statement(const Database& database, const char* sql);

  [[nodiscard]] int status() const { return status_; }

  Statement& bind(int index, std::int64_t value);
  Statement& bind(int index, std::uint64_t value);
  // The bytes must stay where they are until the next reset().
  Statement& bind(int index, base::BytesView bytes);

  // SQLITE_ROW, SQLITE_DONE or an error; resets itself unless there is a row.
  [[nodiscard]] int step();
  // To its end, for statements that give no rows: SQLITE_OK or an error.
  [[nodiscard]] int run();
  void reset();

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::uint64_t number(int column) const { return static_cast<std::uint64_t>(integer(column)); }
  // Valid until the next step() or reset().
  [[nodiscard]] base::BytesView bytes(int column) const;
  [[nodiscard]] std::string text(int column) const { return std::string(bytes(column)); }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int status_ = SQLITE_MISUSE;
};

// One connection. Statements must be gone before it closes; declare them after it.
class Database {
 public:
  Database() = default;

  // `vfs` "": the default one.
  [[nodiscard]] int open(const std::string& path, int flags, const std::string& vfs);
  [[nodiscard]] bool is_open() const { return handle_ != nullptr; }
  // Result of closing: a checkpoint that it entails may fail.
  int close();

  [[nodiscard]] int run(const char* sql) const;
  // First column of the first row; empty when there is none or an error, which goes to *status.
  [[nodiscard]] std::string value(const char* sql, int* status) const;
  [[nodiscard]] sqlite3* handle() const { return handle_.get(); }
  // Bytes of the WAL file, as SQLite has it open.
  [[nodiscard]] std::uint64_t wal_bytes() const;
  // Writes the WAL's bytes over themselves and syncs them: an SQLite code. What a failed fsync has left in the page
  // cache alone is on disk then, and no room is needed, as for a checkpoint.
  [[nodiscard]] int rewrite_wal() const;
  // Whether the file or its WAL is not any more what stands under its name: removed, renamed or replaced by somebody
  // while it was open. What is committed then nobody finds again.
  [[nodiscard]] bool has_moved();
  // Byte 18 of the file: which version of SQLite it takes to write it; 0: it cannot be read.
  [[nodiscard]] int write_version() const;
  // Whether a sector of the file or its WAL could not be read: Linux says EIO, and SQLite answers SQLITE_CORRUPT.
  [[nodiscard]] bool has_unreadable_sector() const;
  // errno of the last failed system call.
  [[nodiscard]] int system_error() const { return sqlite3_system_errno(handle_.get()); }

 private:
  std::optional<std::uint64_t> wal_inode_;  // once there is one
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  // The WAL's file as SQLite has it open; nullptr: there is none.
  [[nodiscard]] sqlite3_file* wal() const;

  std::unique_ptr<sqlite3, Close> handle_;
};

// BEGIN … COMMIT, or ROLLBACK when it goes out of scope.
class Transaction {
 public:
  explicit Transaction(const Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  // What went wrong first, if anything: later statements need not be checked one by one.
  [[nodiscard]] int status() const { return status_; }
  // Runs it unless something failed before.
  Transaction& run(Statement& statement);
  // SQLITE_OK: it is on disk.
  [[nodiscard]] int commit();

 private:
  const Database& database_;
  int status_;
};

}  // namespace sqlite
