// Database, Statement: thin ownership over SQLite's handles. One thread at a time uses a Database and its statements.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "proto/base/result.hpp"

namespace sqlite {

// What SQLite said: an extended result code and its words. Never holds a bound value.
struct SqliteError {
  int code = SQLITE_OK;
  std::string text;
};

template <class T>
using SqliteResult = base::Result<T, SqliteError>;

class Database;

// A prepared statement. Bound texts and blobs must live until the next reset().
class Statement {
 public:
  Statement() = default;

  void bind(int index, std::int64_t value) { sqlite3_bind_int64(handle_.get(), index, value); }
  void bind(int index, std::string_view text) {
    sqlite3_bind_text64(handle_.get(), index, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  // Empty is NULL.
  void bind_or_null(int index, std::string_view text) { text.empty() ? bind_null(index) : bind(index, text); }
  void bind_blob(int index, std::string_view bytes) {
    sqlite3_bind_blob64(handle_.get(), index, bytes.data(), bytes.size(), SQLITE_STATIC);
  }
  void bind_null(int index) { sqlite3_bind_null(handle_.get(), index); }

  // SQLITE_ROW, SQLITE_DONE or an error code.
  [[nodiscard]] int step() { return sqlite3_step(handle_.get()); }
  void reset() { sqlite3_reset(handle_.get()); }

  [[nodiscard]] std::int64_t integer(int column) { return sqlite3_column_int64(handle_.get(), column); }
  [[nodiscard]] bool is_null(int column) { return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL; }
  // Valid until the next step or reset.
  [[nodiscard]] std::string_view text(int column);

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  explicit Statement(sqlite3_stmt* handle) : handle_(handle) {}

  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

class Database {
 public:
  static SqliteResult<Database> open(const std::string& path, int flags);

  [[nodiscard]] sqlite3* handle() const { return handle_.get(); }
  [[nodiscard]] SqliteError error() const;

  [[nodiscard]] SqliteResult<void> execute(const char* sql);
  [[nodiscard]] SqliteResult<Statement> prepare(const char* sql);
  // The first column of the first row, as text ("" for NULL or no row) and as an integer.
  [[nodiscard]] SqliteResult<std::string> text(const char* sql);
  [[nodiscard]] SqliteResult<std::int64_t> integer(const char* sql);
  // Whether the file or its WAL is not any more what stands under its name: removed, renamed or replaced by somebody
  // while it was open. What is committed then nobody finds again.
  [[nodiscard]] bool has_moved();
  // Writes the log's bytes over themselves and syncs them, through SQLite's own descriptor: what a failed sync has left
  // in the page cache alone is on the disk then. Only in a write transaction, where nobody else changes the log;
  // readers find the bytes that they knew.
  [[nodiscard]] SqliteResult<void> rewrite_log();

 private:
  std::optional<std::uint64_t> wal_inode_;  // once there is one
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  };
  explicit Database(sqlite3* handle) : handle_(handle) {}

  std::unique_ptr<sqlite3, Close> handle_;
};

}  // namespace sqlite
