// DiskState: files as the programs see them, and what a power cut would leave of them. Fed with what was done to the
// disk, one operation after the other (recorded_disk.hpp).
//
//   cached    what reads give: every write counts at once
//   durable   what has been synced
//   between   each sector of 512 bytes, and each file's size, has every state that it had since the last sync: any one
//             of them may be what the disk has, each for itself
//
// What is assumed of a file system, and no more:
//   (1) A sector is written whole or not at all, in any order; but what was cut off a file is gone as a whole when its
//   size is, and what is written there again comes only with it.
//   (2) A file's sync makes its bytes and its size durable, not its name. Names (created, renamed, removed) are durable
//   by a sync of their folder; without one those of one folder come in order: any number of the first of them may be
//   there (ext4, XFS, btrfs, F2FS write names through a log).
//   (3) After a failed sync what was to be synced counts as clean, as Linux has it: no later sync takes it to the disk,
//   only writing it again. What reads give is as it was, or (discarded) what the disk has.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace support {

inline constexpr std::size_t kSectorBytes = 512;

struct DiskOperation {
  enum class Kind : std::uint8_t {
    make_folder,
    create,  // `file` is new, under `name`
    remove,
    rename,  // `name` to `to`
    sync_folder,
    write,
    resize,  // to `offset` bytes
    sync,
    sync_failed,
    sync_failed_discarded,
  };
  Kind kind{};
  std::string name{};  // below the disk's root
  std::string to{};
  std::size_t file = 0;
  std::uint64_t offset = 0;
  std::string bytes{};

  // What a power cut leaves changes with it alone, when all that is unsynced is dropped.
  [[nodiscard]] bool syncs() const { return kind == Kind::sync || kind == Kind::sync_folder; }
};

// What becomes of what was not synced.
struct Survival {
  enum class Unsynced : std::uint8_t { dropped, torn } unsynced = Unsynced::dropped;
  std::uint64_t seed = 0;  // of torn
};

class DiskState {
 public:
  void apply(const DiskOperation& operation);

  // After a power cut: what it left, and all of that durable.
  [[nodiscard]] DiskState cut(const Survival& survival) const;
  // Makes files and folders below `root`, which is empty, as they are cached: after cut(), or after a kill, where the
  // page cache stays.
  void lay_out(const std::filesystem::path& root) const;

  // The file's number; none: there is no such file.
  [[nodiscard]] std::optional<std::size_t> find(const std::string& name) const;
  [[nodiscard]] bool is_folder(const std::string& name) const;
  [[nodiscard]] const std::string& cached(std::size_t file) const { return files_[file].cached; }
  // Numbers of files are given in the order of their creation.
  [[nodiscard]] std::size_t files() const { return files_.size(); }

 private:
  struct Sector {
    std::string bytes;
    std::size_t cut_off_with = 0;  // the number (1 …) of the size that cut it off; 0: it was written
  };
  struct File {
    std::string cached;
    std::string durable;
    // States since the last sync, oldest first.
    std::map<std::uint64_t, std::vector<Sector>> sectors;
    std::vector<std::uint64_t> sizes;

    void write(std::uint64_t offset, const std::string& bytes);
    void resize(std::uint64_t size);
    void note(std::uint64_t from, std::uint64_t to, std::uint64_t size_before, bool cut_off);
    void sync();
    void sync_failed(bool discarded);
  };
  // File numbers; none: a folder.
  using Names = std::map<std::string, std::optional<std::size_t>>;

  static void change(Names& names, const DiskOperation& operation);

  std::vector<File> files_;
  Names cached_names_;
  Names durable_names_;
  std::map<std::string, std::vector<DiskOperation>> unsynced_names_;  // by folder
};

}  // namespace support
