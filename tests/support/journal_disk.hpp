// JournalDisk: SQLite's file layer with a disk of the test's making: it fails when told to, is full, or stands still.
// Power cuts are tests/support/power's.
#pragma once

#include <sqlite3.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace support {

class JournalDisk {
 public:
  // The VFS's name, for JournalSettings::vfs.
  [[nodiscard]] static const char* name() { return "journal-disk"; }

  // Everything works again, nothing is counted.
  void heal();

  // The next `count` syncs fail with EIO.
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
  // Databases (not logs) opened since heal().
  [[nodiscard]] int opens() const { return opens_; }

  // The file layer's side.
  [[nodiscard]] int before_operation(bool grows, bool is_sync);
  void opened() { ++opens_; }
  [[nodiscard]] bool failing() const { return failing_; }
  [[nodiscard]] bool corrupting() const { return corrupting_; }

 private:
  std::mutex mutex_;
  std::condition_variable released_;
  bool held_ = false;
  std::atomic<int> failing_syncs_{0};
  std::atomic<bool> failing_{false};
  std::atomic<bool> full_{false};
  std::atomic<bool> corrupting_{false};
  std::atomic<int> opens_{0};
};

// Registers the layer on first use (not as the default).
[[nodiscard]] JournalDisk& journal_disk();

}  // namespace support
