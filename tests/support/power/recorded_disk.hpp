// RecordedDisk: the disk below one folder, as this process uses it. Every call of the C library that touches it, ours
// and SQLite's alike, is written down, may be made to fail, or comes too late because the process has been killed. What
// a power cut at any moment leaves is computed afterwards (disk_state.hpp), so that one run shows all its cuts.
//
// The seam is the C library and not SQLite's VFS, because SQLite's own file layer, and what we do to files without
// SQLite (the state folder's renames and syncs, lock files), are to be proved, too. An executable that links this
// library defines open(), pwrite(), fsync() … for itself and for the shared libraries that it uses. Outside of the
// folder they do what they always do. Nothing is synced in truth: what is durable is what was asked to be.
//
// `-shm` files are no part of it: SQLite makes them anew after a restart of the system, whatever they hold.
#pragma once

#include <fcntl.h>
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "tests/support/power/disk_state.hpp"

namespace support {

enum class DiskCall : std::uint8_t { open, read, write, resize, sync, sync_folder, remove, rename, make_folder };

enum class DiskFault : std::uint8_t {
  none,
  input_output,    // EIO; a sync loses what was to be synced, see DiskState (3)
  sync_discarded,  // likewise, and reads give what the disk has
  no_space,        // ENOSPC
  short_write,     // half of the bytes are written, and it says so
  torn_write,      // half of the bytes are written, then EIO
};
[[nodiscard]] std::string_view to_string(DiskCall call);
[[nodiscard]] std::string_view to_string(DiskFault fault);
// What may happen to a call.
[[nodiscard]] std::vector<DiskFault> faults_of(DiskCall call);

class RecordedDisk {
 public:
  // `start` as it is laid out below `root` already. One at a time.
  explicit RecordedDisk(std::filesystem::path root, DiskState start = {});
  ~RecordedDisk();
  RecordedDisk(const RecordedDisk&) = delete;
  RecordedDisk& operator=(const RecordedDisk&) = delete;

  [[nodiscard]] const DiskState& start() const { return start_; }
  [[nodiscard]] const std::vector<DiskOperation>& operations() const { return operations_; }
  // What has been done so far: a cut here has all operations before it.
  [[nodiscard]] std::size_t position() const;
  // What was written until then, and what of it was synced.
  [[nodiscard]] DiskState state_at(std::size_t position) const;
  // Every call, those that fail among them.
  [[nodiscard]] const std::vector<DiskCall>& calls() const { return calls_; }

  // The calls from this one on (0: the first) fail so, `count` of them that may.
  void fail(std::size_t call, DiskFault fault, std::size_t count = 1);
  // The next call of this kind.
  void fail_next(DiskCall call, DiskFault fault);
  // What makes a file longer, or new, finds no room.
  void fill(bool on);
  // The byte at `offset` of this file cannot be read, whoever tries.
  void break_sector(const std::string& name, std::uint64_t offset);
  // The position at which the first call failed; none did: nothing.
  [[nodiscard]] std::optional<std::size_t> failed_at() const { return failed_at_; }

  // From here to the end of `last_breath` the process is dead: what it does there never happens. Its page cache stays.
  template <class Work>
  void kill(const Work& last_breath) {
    set_dead(true);
    last_breath();
    set_dead(false);
  }

  // What somebody else does to the files: no call of it fails, or is one of calls().
  template <class Work>
  void undisturbed(const Work& work) {
    set_undisturbed(true);
    work();
    set_undisturbed(false);
  }

  // The C library's side. A name outside of the folder, or a descriptor of none of its files: nothing is noted.
  [[nodiscard]] static RecordedDisk* current();
  [[nodiscard]] std::optional<std::string> name_of(const char* path) const;
  [[nodiscard]] bool has(int descriptor);
  int open(const std::string& name, const char* path, int flags, mode_t mode);
  void closed(int descriptor);
  ssize_t read(int descriptor, void* buffer, std::size_t count, std::optional<off_t> offset);
  ssize_t write(int descriptor, const void* bytes, std::size_t count, std::optional<off_t> offset);
  // -1 and errno, as ftruncate() has it.
  int resize(int descriptor, off_t size, bool only_grow);
  int sync(int descriptor);
  int remove(const std::string& name, const char* path);
  int rename(const std::string& name, const char* path, const std::string& to, const char* to_path);
  int make_folder(const std::string& name, const char* path, mode_t mode);

 private:
  struct Open {
    std::string folder;               // of a folder's descriptor
    std::optional<std::size_t> file;  // of a file's
  };
  // None: the call goes on. Else errno is set when the fault is one of the whole call.
  [[nodiscard]] DiskFault enter(DiskCall call);
  void note(DiskOperation operation);
  void set_dead(bool dead);
  void set_undisturbed(bool undisturbed);
  int sync_failed(int descriptor, const Open& open, bool discarded);

  std::filesystem::path root_;
  DiskState start_;
  mutable std::mutex mutex_;  // guards all below
  DiskState now_;
  std::map<int, Open> descriptors_;
  std::vector<DiskOperation> operations_;
  std::vector<DiskCall> calls_;
  std::size_t fault_at_ = SIZE_MAX;
  std::size_t faults_left_ = 0;
  DiskFault fault_ = DiskFault::none;
  std::optional<DiskCall> only_;  // calls of this kind fail
  std::optional<std::size_t> failed_at_;
  std::set<std::pair<std::size_t, std::uint64_t>> broken_;  // files and offsets
  bool full_ = false;
  bool dead_ = false;
  bool undisturbed_ = false;
};

}  // namespace support
