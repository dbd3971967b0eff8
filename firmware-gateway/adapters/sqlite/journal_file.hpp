// The journal's file: how it is made, and how it is opened with everything that durability needs, read back.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "firmware-gateway/adapters/sqlite/database.hpp"
#include "firmware-gateway/adapters/sqlite/state_folder.hpp"
#include "firmware-gateway/journal/catalog.hpp"

namespace sqlite {

inline constexpr std::int64_t kApplicationId = 0x5453'6A6C;  // "TSjl"
inline constexpr std::int64_t kSchemaVersion = 1;
// See README.md for the measurement.
inline constexpr int kPageBytes = 4096;

// damaged, unreadable, disk_full or storage, for a failed call.
[[nodiscard]] OpenError open_error(int status, const Database& database, std::string_view what);
[[nodiscard]] bool is_damage(int status, const Database& database);
// A sector that cannot be read: damage, if it stays so.
[[nodiscard]] bool is_unreadable(int status, const Database& database);
// Whether the header's count of free pages fits the file.
[[nodiscard]] bool free_pages_possible(const Database& database);
[[nodiscard]] bool is_disk_full(int status, const Database& database);

// Opens an existing journal: refuses a newer or foreign one untouched, sets and reads back every PRAGMA. `damaged` when
// it is not sound. What the last process left in the WAL is to be made durable before anything is said of it.
[[nodiscard]] base::Result<Database, OpenError> open_journal(const std::filesystem::path& path, const std::string& vfs);

// A newer schema's journal is not for this program to touch, whatever is asked for. Damage says nothing about that.
[[nodiscard]] std::optional<OpenError> is_newer(const Database& database, const std::filesystem::path& path);

// Moves everything from the WAL into the database, on disk when it returns SQLITE_OK, and empties the WAL.
[[nodiscard]] int checkpoint_all(const Database& database);

// Whether closing tries a checkpoint, too.
void checkpoint_on_close(const Database& database, bool on);

// Opens a database only to read it, whatever its state: neither it nor its WAL is changed, not even by closing.
[[nodiscard]] int open_untouched(Database& database, const std::filesystem::path& path, const std::string& vfs);

// Fills a new journal with rows; called within a transaction. Returns an SQLite code.
using Filler = std::function<int(Database&)>;

// Makes a whole journal at `path`, without WAL, on disk when it returns.
[[nodiscard]] base::Result<void, OpenError> make_journal(const std::filesystem::path& path, const std::string& vfs,
                                                         const journal::Catalog& catalog, const Filler& fill,
                                                         int page_bytes = kPageBytes);

// Page 1 of a journal with no rows: the header and the schema, whose tables' roots stand at pages 2 and 3 in every
// journal.
[[nodiscard]] base::Bytes schema_page(int page_bytes);

// Reads every entry of the catalog (times left out); false in *sound when one could not be read or has another CRC.
[[nodiscard]] journal::Catalog read_catalog(const Database& database, bool* sound);

[[nodiscard]] int put_entry(Statement& put, const journal::Entry& entry);

inline constexpr const char* kPutEntrySql =
    "INSERT OR REPLACE INTO catalog (kind, at, crc, value) VALUES (?1, ?2, ?3, ?4)";
inline constexpr const char* kInsertRowSql = "INSERT INTO rows (row, key_hash, crc, record) VALUES (?1, ?2, ?3, ?4)";

}  // namespace sqlite
