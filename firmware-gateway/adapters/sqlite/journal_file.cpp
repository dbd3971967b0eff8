#include "firmware-gateway/adapters/sqlite/journal_file.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

#include "proto/base/assert.hpp"

namespace sqlite {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSchemaSql =
    "CREATE TABLE rows (row INTEGER PRIMARY KEY, key_hash INTEGER NOT NULL, crc INTEGER NOT NULL, record BLOB NOT "
    "NULL);"
    "CREATE TABLE catalog (kind INTEGER NOT NULL, at INTEGER NOT NULL, crc INTEGER NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY (kind, at)) WITHOUT ROWID;";

struct Pragma {
  const char* set;
  const char* get;
  std::string_view expected;
};

// In this order: exclusive locking before the first access to the WAL, so that its index is in our memory and not in a
// file.
constexpr std::array kPragmas = {
    Pragma{"PRAGMA locking_mode = EXCLUSIVE", "PRAGMA locking_mode", "exclusive"},
    Pragma{"PRAGMA journal_mode = WAL", "PRAGMA journal_mode", "wal"},
    Pragma{"PRAGMA synchronous = FULL", "PRAGMA synchronous", "2"},
    Pragma{"PRAGMA secure_delete = OFF", "PRAGMA secure_delete", "0"},
    Pragma{"PRAGMA cell_size_check = ON", "PRAGMA cell_size_check", "1"},
    Pragma{"PRAGMA mmap_size = 0", "PRAGMA mmap_size", "0"},
    Pragma{"PRAGMA cache_size = -2048", "PRAGMA cache_size", "-2048"},
    Pragma{"PRAGMA temp_store = MEMORY", "PRAGMA temp_store", "2"},
    Pragma{"PRAGMA trusted_schema = OFF", "PRAGMA trusted_schema", "0"},
    Pragma{"PRAGMA wal_autocheckpoint = 0", "PRAGMA wal_autocheckpoint", "0"},
    Pragma{"PRAGMA auto_vacuum = NONE", "PRAGMA auto_vacuum", "0"},
};

base::Result<void, OpenError> apply_pragmas(const Database& database) {
  for (const Pragma& pragma : kPragmas) {
    int status = database.run(pragma.set);
    if (status != SQLITE_OK) return base::fail(open_error(status, database, pragma.set));
    const std::string value = database.value(pragma.get, &status);
    if (status != SQLITE_OK) return base::fail(open_error(status, database, pragma.get));
    // A memory-only or compiled-out feature answers with nothing.
    const bool no_mmap = pragma.expected == "0" && value.empty() && std::string_view(pragma.get) == "PRAGMA mmap_size";
    if (value != pragma.expected && !no_mmap) {
      return base::fail(OpenError{OpenFault::refused,
                                  fmt::format("{} answers '{}' instead of '{}'", pragma.get, value, pragma.expected)});
    }
  }
  return {};
}

base::Result<void, OpenError> check_kind(const Database& database, const fs::path& path) {
  int status = SQLITE_OK;
  const std::string version = database.value("PRAGMA user_version", &status);
  if (status != SQLITE_OK) return base::fail(open_error(status, database, "reading the schema version"));
  const std::string application = database.value("PRAGMA application_id", &status);
  if (status != SQLITE_OK) return base::fail(open_error(status, database, "reading the application id"));
  const std::string tables =
      database.value("SELECT count(*) FROM sqlite_schema WHERE name IN ('rows', 'catalog')", &status);
  if (status != SQLITE_OK) return base::fail(open_error(status, database, "reading the schema"));
  const std::string all = database.value("SELECT count(*) FROM sqlite_schema", &status);
  if (status != SQLITE_OK) return base::fail(open_error(status, database, "reading the schema"));
  // A journal is renamed into its place when it is whole: it was never empty, and a database with nothing in it is
  // nobody else's. A disk that only says that it syncs leaves one.
  if (application == "0" && all == "0")
    return base::fail(OpenError{OpenFault::damaged, path.string() + ": the file is empty"});
  const bool named = application == std::to_string(kApplicationId);
  if (!named && tables == "0") {
    return base::fail(OpenError{OpenFault::not_a_journal, path.string() + ": not a journal of a tillstream-gateway"});
  }
  if (named && std::stoll(version) > kSchemaVersion) {
    return base::fail(OpenError{
        OpenFault::newer_schema,
        fmt::format("{}: schema version {} is newer than this program's {}: left untouched; install the newer "
                    "tillstream-gateway again",
                    path.string(), version, kSchemaVersion)});
  }
  if (!named || tables != "2" || version != std::to_string(kSchemaVersion)) {
    return base::fail(OpenError{OpenFault::damaged, path.string() + ": the schema is damaged"});
  }
  return {};
}

bool may_write(const Database& database) {
  const char* path = sqlite3_db_filename(database.handle(), "main");
  const char* log = sqlite3_filename_wal(path);
  return ::access(path, W_OK) == 0 && (::access(log, W_OK) == 0 || errno == ENOENT);
}

// What SQLite itself takes on trust from the file's header, and would fail by later, again and again: a version that it
// may only read, and a count of free pages that cannot be.
base::Result<void, OpenError> check_header(const Database& database, const fs::path& path) {
  const auto damaged = [&path](std::string_view what) {
    return base::fail(OpenError{OpenFault::damaged, fmt::format("{}: {}", path.string(), what)});
  };
  if (sqlite3_db_readonly(database.handle(), "main") == 1) {
    if (database.write_version() > 2) return damaged("the header says that it is of a newer SQLite");
    if (!may_write(database))
      return base::fail(OpenError{OpenFault::forbidden, path.string() + ": may not be written"});
    return base::fail(OpenError{OpenFault::storage, path.string() + ": cannot be opened for writing"});
  }
  if (!free_pages_possible(database)) return damaged("the header counts more free pages than there are");
  return {};
}

int set_page_size(Database& database, int page_bytes) {
  return database.run(fmt::format("PRAGMA page_size = {}", page_bytes).c_str());
}

int create_tables(Database& database) {
  const int status = database.run(kSchemaSql);
  if (status != SQLITE_OK) return status;
  const std::string marks =
      fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}", kApplicationId, kSchemaVersion);
  return database.run(marks.c_str());
}

int write_schema(Database& database, int page_bytes) {
  int status = set_page_size(database, page_bytes);
  if (status == SQLITE_OK) status = database.run("PRAGMA locking_mode = EXCLUSIVE");
  if (status == SQLITE_OK) status = database.run("PRAGMA journal_mode = WAL");
  if (status == SQLITE_OK) status = database.run("PRAGMA synchronous = FULL");
  if (status != SQLITE_OK) return status;
  Transaction transaction(database);
  status = transaction.status();
  if (status == SQLITE_OK) status = create_tables(database);
  return status == SQLITE_OK ? transaction.commit() : status;
}

int write_catalog(Database& database, const journal::Catalog& catalog) {
  Transaction transaction(database);
  if (transaction.status() != SQLITE_OK) return transaction.status();
  Statement put(database, kPutEntrySql);
  for (const journal::Entry& entry : entries_of(catalog)) {
    const int status = put_entry(put, entry);
    if (status != SQLITE_OK) return status;
  }
  return transaction.commit();
}

// Only for calls that open: SQLite's errno may be an older one's. What cannot be opened for writing it opens to read,
// whatever the reason.
bool is_forbidden(int status, const Database& database) {
  const int primary = status & 0xFF;
  if (primary == SQLITE_READONLY) return !database.is_open() || !may_write(database);
  if (primary == SQLITE_PERM) return true;
  return primary == SQLITE_CANTOPEN && database.is_open() && is_permission(database.system_error());
}

}  // namespace

std::optional<OpenError> is_newer(const Database& database, const fs::path& path) {
  const auto kind = check_kind(database, path);
  if (kind || kind.error().fault != OpenFault::newer_schema) return std::nullopt;
  return kind.error();
}

bool free_pages_possible(const Database& database) {
  int status = SQLITE_OK;
  const std::string free = database.value("PRAGMA freelist_count", &status);
  if (status != SQLITE_OK) return true;  // whoever reads next says why
  const std::string pages = database.value("PRAGMA page_count", &status);
  if (status != SQLITE_OK) return true;
  return free.empty() || (free.front() != '-' && std::stoll(free) < std::stoll(pages));
}

bool is_unreadable(int status, const Database& database) {
  if (status == SQLITE_IOERR_READ || status == SQLITE_IOERR_CORRUPTFS) return true;
  return status == SQLITE_CORRUPT && database.is_open() && database.has_unreadable_sector();
}

bool is_damage(int status, const Database& database) {
  if (is_unreadable(status, database)) return false;
  const int primary = status & 0xFF;
  return primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB || status == SQLITE_IOERR_SHORT_READ;
}

bool is_disk_full(int status, const Database& database) {
  if ((status & 0xFF) == SQLITE_FULL) return true;
  // SQLite takes a disk quota that is used up for an I/O error.
  return status == SQLITE_IOERR_WRITE && (database.system_error() == EDQUOT || database.system_error() == ENOSPC);
}

int checkpoint_all(const Database& database) {
  return sqlite3_wal_checkpoint_v2(database.handle(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
}

void checkpoint_on_close(const Database& database, bool on) {
  sqlite3_db_config(database.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, on ? 0 : 1, nullptr);
}

OpenError open_error(int status, const Database& database, std::string_view what) {
  OpenFault fault = OpenFault::storage;
  if (is_damage(status, database)) fault = OpenFault::damaged;
  if (is_unreadable(status, database)) fault = OpenFault::unreadable;
  if (is_disk_full(status, database)) fault = OpenFault::disk_full;
  if ((status & 0xFF) == SQLITE_BUSY) fault = OpenFault::in_use;
  if (is_forbidden(status, database)) fault = OpenFault::forbidden;
  return {fault, fmt::format("{}: {}", what, sqlite3_errstr(status))};
}

base::Result<Database, OpenError> open_journal(const fs::path& path, const std::string& vfs) {
  Database database;
  const bool had_wal = fs::exists(wal_of(path));
  int status = open_untouched(database, path, vfs);
  if (status != SQLITE_OK) return base::fail(open_error(status, database, path.string()));
  const auto kind = check_kind(database, path);
  if (!kind) {
    database.close();
    // Opening made it; leaving it would not be untouched.
    if (!had_wal && fs::exists(wal_of(path)) && fs::file_size(wal_of(path)) == 0) fs::remove(wal_of(path));
    return base::fail(kind.error());
  }
  if (const auto header = check_header(database, path); !header) return base::fail(header.error());
  const auto applied = apply_pragmas(database);
  if (!applied) return base::fail(applied.error());
  return database;
}

int open_untouched(Database& database, const fs::path& path, const std::string& vfs) {
  const int status = database.open(path.string(), SQLITE_OPEN_READWRITE, vfs);
  if (status != SQLITE_OK) return status;
  checkpoint_on_close(database, false);
  return database.run("PRAGMA locking_mode = EXCLUSIVE");
}

base::Result<void, OpenError> make_journal(const fs::path& path, const std::string& vfs,
                                           const journal::Catalog& catalog, const Filler& fill, int page_bytes) {
  Database database;
  int status = database.open(path.string(), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs);
  // The log gets the mode of its database.
  ::chmod(path.c_str(), S_IRUSR | S_IWUSR);
  if (status == SQLITE_OK) status = write_schema(database, page_bytes);
  if (status == SQLITE_OK) status = write_catalog(database, catalog);
  if (status == SQLITE_OK && fill) status = fill(database);
  if (status == SQLITE_OK) status = checkpoint_all(database);
  if (status != SQLITE_OK) return base::fail(open_error(status, database, path.string()));
  status = database.close();
  if (status != SQLITE_OK) return base::fail(OpenError{OpenFault::storage, path.string() + ": cannot be closed"});
  return {};
}

base::Bytes schema_page(int page_bytes) {
  Database database;
  int status = database.open(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "");
  if (status == SQLITE_OK) status = set_page_size(database, page_bytes);
  if (status == SQLITE_OK) status = create_tables(database);
  ASSERT(status == SQLITE_OK);
  sqlite3_int64 size = 0;
  const std::unique_ptr<unsigned char, decltype(&sqlite3_free)> pages(
      sqlite3_serialize(database.handle(), "main", &size, 0), &sqlite3_free);
  ASSERT(pages != nullptr && size >= page_bytes);
  return {reinterpret_cast<const char*>(pages.get()), static_cast<std::size_t>(page_bytes)};
}

journal::Catalog read_catalog(const Database& database, bool* sound) {
  journal::Catalog catalog;
  *sound = true;
  Statement all(database, "SELECT kind, at, crc, value FROM catalog WHERE kind NOT IN (?1, ?2) ORDER BY kind, at");
  all.bind(1, static_cast<std::int64_t>(journal::Kind::committed));
  all.bind(2, static_cast<std::int64_t>(journal::Kind::sent));
  int status = all.step();
  for (; status == SQLITE_ROW; status = all.step()) {
    const journal::Entry entry{static_cast<journal::Kind>(all.integer(0)), all.number(1), all.text(3)};
    const bool is_kind = all.integer(0) == static_cast<int>(entry.kind);
    const bool good = is_kind && all.number(2) == journal::entry_crc(entry) && catalog.take(entry);
    *sound = *sound && good;
  }
  *sound = *sound && status == SQLITE_DONE && catalog.whole();
  return catalog;
}

int put_entry(Statement& put, const journal::Entry& entry) {
  put.bind(1, static_cast<std::int64_t>(entry.kind)).bind(2, entry.at);
  put.bind(3, static_cast<std::int64_t>(journal::entry_crc(entry))).bind(4, entry.value);
  return put.run();
}

}  // namespace sqlite
