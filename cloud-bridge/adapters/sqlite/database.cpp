#include "cloud-bridge/adapters/sqlite/database.hpp"

#include <sys/stat.h>

#include <algorithm>

namespace sqlite {
namespace {

constexpr sqlite3_int64 kRewriteBytes = 65'536;

}  // namespace

std::string_view Statement::text(int column) {
  // SQLite asks for the value first and its length afterwards.
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(handle_.get(), column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column));
  return bytes == nullptr ? std::string_view() : std::string_view(bytes, size);
}

SqliteResult<Database> Database::open(const std::string& path, int flags) {
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  Database database(handle);
  if (code != SQLITE_OK)
    return base::fail(SqliteError{code, handle == nullptr ? "out of memory" : sqlite3_errmsg(handle)});
  return database;
}

SqliteError Database::error() const { return {sqlite3_extended_errcode(handle()), sqlite3_errmsg(handle())}; }

bool Database::has_moved() {
  int moved = 0;
  if (sqlite3_file_control(handle(), "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved != 0) return true;
  struct stat wal{};
  const bool there = ::stat(sqlite3_filename_wal(sqlite3_db_filename(handle(), "main")), &wal) == 0;
  if (!wal_inode_) {
    if (there) wal_inode_ = wal.st_ino;
    return false;
  }
  return !there || wal.st_ino != *wal_inode_;
}

SqliteResult<void> Database::rewrite_log() {
  sqlite3_file* log = nullptr;
  int code = sqlite3_file_control(handle(), "main", SQLITE_FCNTL_JOURNAL_POINTER, static_cast<void*>(&log));
  sqlite3_int64 size = 0;
  if (code == SQLITE_OK) code = log->pMethods->xFileSize(log, &size);
  std::string bytes;
  for (sqlite3_int64 at = 0; code == SQLITE_OK && at < size; at += static_cast<sqlite3_int64>(bytes.size())) {
    bytes.resize(static_cast<std::size_t>(std::min(size - at, kRewriteBytes)));
    const int count = static_cast<int>(bytes.size());
    code = log->pMethods->xRead(log, bytes.data(), count, at);
    if (code == SQLITE_OK) code = log->pMethods->xWrite(log, bytes.data(), count, at);
  }
  if (code == SQLITE_OK) code = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
  if (code != SQLITE_OK)
    return base::fail(SqliteError{code, std::string("writing the log again: ") + sqlite3_errstr(code)});
  return {};
}

SqliteResult<void> Database::execute(const char* sql) {
  if (sqlite3_exec(handle(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) return base::fail(error());
  return {};
}

SqliteResult<Statement> Database::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(handle(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) {
    return base::fail(error());
  }
  return Statement(statement);
}

SqliteResult<std::string> Database::text(const char* sql) {
  auto statement = prepare(sql);
  if (!statement) return base::fail(statement.error());
  const int code = statement->step();
  if (code == SQLITE_DONE) return std::string();
  if (code != SQLITE_ROW) return base::fail(error());
  return std::string(statement->text(0));
}

SqliteResult<std::int64_t> Database::integer(const char* sql) {
  auto statement = prepare(sql);
  if (!statement) return base::fail(statement.error());
  const int code = statement->step();
  if (code == SQLITE_DONE) return 0;
  if (code != SQLITE_ROW) return base::fail(error());
  return statement->integer(0);
}

}  // namespace sqlite
