#include "firmware-gateway/adapters/sqlite/database.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace sqlite {

namespace {

constexpr sqlite3_int64 kRewriteBytes = 65'536;

}  // namespace

Statement::Statement(const Database& database, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  status_ = sqlite3_prepare_v3(database.handle(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  statement_.reset(statement);
}

Statement& Statement::bind(int index, std::int64_t value) {
  sqlite3_bind_int64(statement_.get(), index, value);
  return *this;
}

Statement& Statement::bind(int index, std::uint64_t value) { return bind(index, static_cast<std::int64_t>(value)); }

Statement& Statement::bind(int index, base::BytesView bytes) {
  // A null pointer would bind NULL: an empty record is an empty blob.
  const char* data = bytes.data() == nullptr ? "" : bytes.data();
  sqlite3_bind_blob64(statement_.get(), index, data, bytes.size(), SQLITE_STATIC);
  return *this;
}

int Statement::step() {
  if (status_ != SQLITE_OK) return status_;
  const int status = sqlite3_step(statement_.get());
  if (status != SQLITE_ROW) reset();
  return status;
}

int Statement::run() {
  int status = step();
  while (status == SQLITE_ROW) status = step();
  return status == SQLITE_DONE ? SQLITE_OK : status;
}

void Statement::reset() {
  if (status_ == SQLITE_OK) sqlite3_reset(statement_.get());  // repeats the error that step() has already given
}

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

base::BytesView Statement::bytes(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
  return data == nullptr ? base::BytesView{} : base::BytesView{data, size};
}

int Database::open(const std::string& path, int flags, const std::string& vfs) {
  sqlite3* handle = nullptr;
  const int status = sqlite3_open_v2(path.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                                     vfs.empty() ? nullptr : vfs.c_str());
  handle_.reset(handle);
  return status;
}

int Database::close() {
  wal_inode_.reset();
  return sqlite3_close(handle_.release());
}

int Database::run(const char* sql) const { return sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr); }

std::string Database::value(const char* sql, int* status) const {
  Statement statement(*this, sql);
  const int step = statement.step();
  *status = step == SQLITE_ROW || step == SQLITE_DONE ? SQLITE_OK : step;
  return step == SQLITE_ROW ? statement.text(0) : std::string();
}

sqlite3_file* Database::wal() const {
  sqlite3_file* file = nullptr;
  if (sqlite3_file_control(handle_.get(), "main", SQLITE_FCNTL_JOURNAL_POINTER, static_cast<void*>(&file)) != SQLITE_OK)
    return nullptr;
  return file == nullptr || file->pMethods == nullptr ? nullptr : file;
}

std::uint64_t Database::wal_bytes() const {
  sqlite3_file* file = wal();
  sqlite3_int64 bytes = 0;
  if (file == nullptr || file->pMethods->xFileSize(file, &bytes) != SQLITE_OK) return 0;
  return static_cast<std::uint64_t>(bytes);
}

int Database::rewrite_wal() const {
  sqlite3_file* file = wal();
  if (file == nullptr) return SQLITE_OK;
  sqlite3_int64 size = 0;
  int status = file->pMethods->xFileSize(file, &size);
  base::Bytes bytes;
  for (sqlite3_int64 at = 0; status == SQLITE_OK && at < size; at += static_cast<sqlite3_int64>(bytes.size())) {
    bytes.resize(static_cast<std::size_t>(std::min<sqlite3_int64>(size - at, kRewriteBytes)));
    const int count = static_cast<int>(bytes.size());
    status = file->pMethods->xRead(file, bytes.data(), count, at);
    if (status == SQLITE_OK) status = file->pMethods->xWrite(file, bytes.data(), count, at);
  }
  return status == SQLITE_OK && size > 0 ? file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) : status;
}

int Database::write_version() const {
  sqlite3_file* file = nullptr;
  unsigned char version = 0;
  const bool read =
      sqlite3_file_control(handle_.get(), "main", SQLITE_FCNTL_FILE_POINTER, static_cast<void*>(&file)) == SQLITE_OK &&
      file->pMethods->xRead(file, &version, 1, 18) == SQLITE_OK;
  return read ? version : 0;
}

bool Database::has_unreadable_sector() const {
  const auto is_read_error = [](int number) { return number == EIO || number == ENXIO; };
  int number = 0;
  sqlite3_file_control(handle_.get(), "main", SQLITE_FCNTL_LAST_ERRNO, &number);
  if (is_read_error(number)) return true;
  sqlite3_file* log = wal();
  return log != nullptr && log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &number) == SQLITE_OK &&
         is_read_error(number);
}

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

Transaction::Transaction(const Database& database) : database_(database), status_(database.run("BEGIN IMMEDIATE")) {}

Transaction::~Transaction() {
  // An error has rolled it back already, in most cases; a second ROLLBACK does no harm.
  if (sqlite3_get_autocommit(database_.handle()) == 0) static_cast<void>(database_.run("ROLLBACK"));
}

Transaction& Transaction::run(Statement& statement) {
  if (status_ == SQLITE_OK) status_ = statement.run();
  return *this;
}

int Transaction::commit() {
  if (status_ == SQLITE_OK) status_ = database_.run("COMMIT");
  return status_;
}

}  // namespace sqlite
