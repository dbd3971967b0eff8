// The embedded stream's tables, settings and statements. The README of cloud-bridge/stream tells readers about the
// tables.
#pragma once

#include <cstdint>

#include "cloud-bridge/adapters/sqlite/database.hpp"
#include "cloud-bridge/stream/stream.hpp"

namespace sqlite {

inline constexpr std::int64_t kApplicationId = 0x54694c53;  // "TiLS"
inline constexpr std::int64_t kSchemaVersion = 1;
inline constexpr std::uint64_t kPageSize = 8192;

// A PRAGMA, and what it must read back as.
struct Setting {
  const char* set;
  const char* get;
  const char* value;
};
inline constexpr Setting kSettings[] = {
    {"PRAGMA page_size = 8192", "PRAGMA page_size", "8192"},
    {"PRAGMA journal_mode = WAL", "PRAGMA journal_mode", "wal"},
    {"PRAGMA synchronous = FULL", "PRAGMA synchronous", "2"},
    {"PRAGMA locking_mode = NORMAL", "PRAGMA locking_mode", "normal"},
    {"PRAGMA wal_autocheckpoint = 0", "PRAGMA wal_autocheckpoint", "0"},
    {"PRAGMA cache_size = -32768", "PRAGMA cache_size", "-32768"},
    {"PRAGMA mmap_size = 0", "PRAGMA mmap_size", "0"},
};

// NULL is what is absent. A bridge's own notice has no epoch and no seq, and two of them never collide.
inline constexpr const char* kCreateTables = R"(
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS events(
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id TEXT NOT NULL,
  gateway_id TEXT NOT NULL,
  epoch TEXT,
  seq INTEGER,
  key TEXT NOT NULL,
  type TEXT NOT NULL,
  occurred_at TEXT,
  received_at TEXT,
  published_at TEXT NOT NULL,
  headers TEXT NOT NULL,
  value TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS events_place ON events(gateway_id, epoch, seq) WHERE seq IS NOT NULL;
CREATE TABLE IF NOT EXISTS gateways(
  gateway_id TEXT PRIMARY KEY NOT NULL,
  value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS progress(
  gateway_id TEXT PRIMARY KEY NOT NULL,
  epoch TEXT NOT NULL,
  seq INTEGER NOT NULL,
  digest TEXT NOT NULL,
  state BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS dead_letters(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  gateway_id TEXT NOT NULL,
  epoch TEXT NOT NULL,
  digest TEXT NOT NULL,
  topic TEXT NOT NULL,
  reason TEXT NOT NULL,
  detail TEXT,
  at TEXT NOT NULL,
  size INTEGER NOT NULL,
  payload BLOB,
  UNIQUE(gateway_id, epoch, digest));
PRAGMA application_id = 1416186963;
PRAGMA user_version = 1;
COMMIT)";
static_assert(kApplicationId == 1416186963 && kSchemaVersion == 1);

// Never OR IGNORE: a second record of one place is a bug or a foreign writer, and has to be heard.
inline constexpr const char* kInsertEvent =
    "INSERT INTO events(event_id, gateway_id, epoch, seq, key, type, occurred_at, received_at, published_at, headers, "
    "value)"
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
inline constexpr const char* kStoreProgress =
    "INSERT INTO progress(gateway_id, epoch, seq, digest, state) VALUES(?1, ?2, ?3, ?4, ?5)"
    " ON CONFLICT(gateway_id) DO UPDATE SET epoch = ?2, seq = ?3, digest = ?4, state = ?5";
inline constexpr const char* kInsertDeadLetter =
    "INSERT INTO dead_letters(gateway_id, epoch, digest, topic, reason, detail, at, size, payload)"
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT(gateway_id, epoch, digest) DO NOTHING";
inline constexpr const char* kStoreGateway =
    "INSERT INTO gateways(gateway_id, value) VALUES(?1, ?2) ON CONFLICT(gateway_id) DO UPDATE SET value = ?2";
inline constexpr const char* kReadEvents =
    "SELECT position, value FROM events WHERE position >= ?1 ORDER BY position LIMIT ?2";

struct StoredValue {
  stream::Position position;
  std::string value;
};

// The row of kReadEvents that the statement stands on.
[[nodiscard]] inline StoredValue value_at(Statement& row) {
  return {.position = stream::Position(static_cast<std::uint64_t>(row.integer(0))), .value = std::string(row.text(1))};
}

}  // namespace sqlite
