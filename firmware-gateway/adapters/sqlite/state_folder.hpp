// StateFolder: the gateway's own folder: its lock, the names in it, its ballast, and how much room its disk has.
//
//   journal.db, journal.db-wal          the journal
//   journal.lock                        held by the one gateway (or journal command) that uses the folder
//   journal.ballast                     room that is given up when others fill the disk, so that forwarding can go on
//   journal.key                         copy of the key of the duplicate keys' hashes, for when the journal's is lost
//   journal.new.db                      a journal being made; renamed when it is whole
//   journal.damaged-<time>.db[-wal]     set aside untouched; the newest kDamagedKept stay
//   journal.salvaging                   names the set-aside file while a salvage is under way
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "firmware-gateway/journal/catalog.hpp"
#include "proto/base/instant.hpp"
#include "proto/base/result.hpp"

namespace sqlite {

// Why a journal does not open.
enum class OpenFault {
  in_use,           // Another process has it: exit.
  newer_schema,     // A newer gateway wrote it, and it was left untouched: install that version again.
  not_a_journal,    // Another program's file: look at state_dir.
  foreign_gateway,  // Another gateway's journal: look at [gateway] id and state_dir.
  forbidden,        // The folder or the file may not be read or written: look at its owner and mode.
  refused,          // SQLite does not give what durability needs: a build or a file system that cannot serve.
  damaged,          // Only before the salvage: set aside and salvage.
  unreadable,       // Sectors cannot be read: trying again later is right, and damage when that does not help.
  disk_full,        // No room even for opening: free some; trying again later is right.
  storage,          // The disk or the folder fails: trying again later is right.
};

// Waiting does not cure it; with anything else it is right to try again.
[[nodiscard]] bool is_refusal(OpenFault fault);
// Whether an errno says that somebody must change a permission or the mount.
[[nodiscard]] bool is_permission(int number);

struct OpenError {
  OpenFault fault{};
  std::string detail;  // for people, one line
};

inline constexpr std::size_t kDamagedKept = 2;

class StateFolder {
 public:
  // Makes the folder (0700) when it is missing, and locks it: in_use when somebody else has it.
  [[nodiscard]] static base::Result<StateFolder, OpenError> open(const std::filesystem::path& path);
  StateFolder(StateFolder&& other) noexcept;
  StateFolder& operator=(StateFolder&&) = delete;
  StateFolder(const StateFolder&) = delete;
  StateFolder& operator=(const StateFolder&) = delete;
  ~StateFolder();

  [[nodiscard]] std::filesystem::path journal() const { return path_ / "journal.db"; }
  [[nodiscard]] std::filesystem::path new_journal() const { return path_ / "journal.new.db"; }
  [[nodiscard]] std::filesystem::path damaged(base::UtcTime found_at) const;

  // The name in journal.salvaging, or "". Setting it is on disk when it returns.
  [[nodiscard]] std::string salvaging() const;
  [[nodiscard]] bool set_salvaging(const std::string& name) const;

  // The copy of the journal's hash key; nothing when there is none, or it is damaged. Keeping it is on disk when it
  // returns.
  [[nodiscard]] std::optional<journal::HashKey> hash_key() const;
  [[nodiscard]] bool keep_hash_key(const journal::HashKey& key) const;

  // Renames a database, then its WAL; what is not there is passed over, so that it can be done again after a crash. On
  // disk when it returns.
  [[nodiscard]] bool rename(const std::filesystem::path& from, const std::filesystem::path& to) const;
  // Removes the new journal with its WAL, if there.
  void remove_new_journal() const;
  // Removes damaged files but the newest `keep`, returns the names of those removed.
  std::vector<std::string> drop_damaged(std::size_t keep) const;

  // Makes the names in it durable.
  [[nodiscard]] bool sync() const;
  [[nodiscard]] std::uint64_t free_disk_bytes() const;
  // A ballast file of any size; of exactly this one.
  [[nodiscard]] bool has_ballast() const;
  [[nodiscard]] bool has_ballast(std::uint64_t bytes) const;
  // In place of one of another size. False: no room for it.
  [[nodiscard]] bool make_ballast(std::uint64_t bytes) const;
  void free_ballast() const;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  StateFolder(std::filesystem::path path, int lock) : path_(std::move(path)), lock_(lock) {}
  [[nodiscard]] std::filesystem::path ballast() const { return path_ / "journal.ballast"; }
  [[nodiscard]] std::filesystem::path marker() const { return path_ / "journal.salvaging"; }
  [[nodiscard]] std::filesystem::path key_copy() const { return path_ / "journal.key"; }
  // A small file, whole or as it was before; on disk when it returns.
  [[nodiscard]] bool write_whole(const std::filesystem::path& path, base::BytesView bytes) const;

  std::filesystem::path path_;
  int lock_ = -1;
};

// The WAL that belongs to a database.
[[nodiscard]] std::filesystem::path wal_of(const std::filesystem::path& database);

}  // namespace sqlite
