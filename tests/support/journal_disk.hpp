// JournalDisk: SQLite's file layer with a disk of the test's making: it forgets what was not synced when the power
// goes, fails when told to, is full, or stands still. Files are real; power is cut by undoing what was not synced.
#pragma once

#include <sqlite3.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace support {

class JournalDisk {
 public:
  // The VFS's name, for JournalSettings::vfs.
  [[nodiscard]] static const char* name() { return "journal-disk"; }

  // Everything works again, nothing is counted, nothing unsynced is remembered.
  void heal();

  // The next `count` syncs fail with EIO. As Linux has it, what was to be synced stays readable and counts as clean: no
  // later sync takes it to the disk, only writing it again.
  void fail_syncs(int count) { failing_syncs_ = count; }
  // Reads, writes, syncs and opens fail.
  void fail_all(bool on) { failing_ = on; }
  // Writes that make a file longer fail as on a full disk.
  void fill(bool on) { full_ = on; }
  // Every page read from the database has its bits flipped.
  void corrupt_reads(bool on) { corrupting_ = on; }
  // Syncs wait until release().
  void hold();
  void release();
  // The power goes at the n-th write or sync from now (1: the next one): it and all that follow fail.
  void cut_power_after(std::uint64_t operations) { operations_left_ = operations; }
  [[nodiscard]] bool power_is_cut() const { return cut_; }
  // After a cut, with all files closed: makes the files what the disk has. A seed other than 0 lets some unsynced
  // sectors of 512 bytes survive, each on its own.
  void forget_unsynced(std::uint64_t torn_seed);
  // Databases (not logs) opened since heal().
  [[nodiscard]] int opens() const { return opens_; }

  // The file layer's side.
  struct Unsynced {
    std::uint64_t offset = 0;
    std::string before;  // what stood there; shorter when the file ended there
    std::string after;
    std::uint64_t size_before = 0;
  };
  [[nodiscard]] int before_operation(bool grows, bool is_sync);
  void wrote(const std::string& path, Unsynced write);
  void synced(const std::string& path);
  void sync_failed(const std::string& path);
  void opened() { ++opens_; }
  [[nodiscard]] bool failing() const { return failing_ || cut_; }
  [[nodiscard]] bool corrupting() const { return corrupting_; }

 private:
  std::mutex mutex_;
  std::condition_variable released_;
  bool held_ = false;
  std::map<std::string, std::vector<Unsynced>> unsynced_;
  std::map<std::string, std::vector<Unsynced>> lost_;  // a sync of them has failed
  std::atomic<int> failing_syncs_{0};
  std::atomic<bool> failing_{false};
  std::atomic<bool> full_{false};
  std::atomic<bool> corrupting_{false};
  std::atomic<bool> cut_{false};
  std::atomic<std::uint64_t> operations_left_{0};
  std::atomic<int> opens_{0};
};

// Registers the layer on first use (not as the default).
[[nodiscard]] JournalDisk& journal_disk();

}  // namespace support
