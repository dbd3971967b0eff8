// FaultyVfs: SQLite's own file layer with a disk that fails when told to. Becomes the default of this process.
#pragma once

#include <atomic>
#include <string>

namespace test {

struct DiskFaults {
  // Each fault happens to the next call on the write-ahead log, once; `always` to every call until it is cleared.
  std::atomic<bool> fail_next_log_sync{false};
  std::atomic<bool> fail_next_log_write{false};
  // Of the database file: its syncs happen at checkpoints.
  std::atomic<bool> fail_next_database_sync{false};
  // Every write fails as on a full disk.
  std::atomic<bool> disk_full{false};
  std::atomic<int> log_syncs{0};
};

// Registers the layer on first use.
[[nodiscard]] DiskFaults& disk_faults();

}  // namespace test
