// StreamFile: the embedded stream's SQLite file, and the one connection that writes and checkpoints it.
//
//   refused ◀─open─ closed ──open──▶ open ──commit/read/checkpoint──▶ open ──any error──▶ broken: destroy, open anew
//
// Invariants:
//   (1) When open() has returned, everything that this connection shows is on the disk, whichever sync has failed
//   before: the
//       write-ahead log was written over itself and synced, and only then copied into the database.
//   (2) A transaction that commit() returned is on the disk. After an error its outcome is unknown, and the object is
//   broken. (3) No other connection of ours exists, and nothing here opens these files except through SQLite: closing
//   any descriptor of
//       them would drop SQLite's POSIX locks. Sizes come from stat().
//   (4) Foreign readers never block a commit; one that holds a snapshot keeps the log from being reused, up to
//   wal_bytes_max.
//
// One thread at a time uses it; what blocks here is the disk.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cloud-bridge/adapters/sqlite/database.hpp"
#include "cloud-bridge/stream/stream.hpp"

namespace sqlite {

struct StreamFileLimits {
  // Database and log together; checked before a transaction, so one transaction may pass it.
  std::uint64_t bytes_max = 64ULL << 30U;
  // The log that a foreign reader may make us keep.
  std::uint64_t wal_bytes_max = 256ULL << 20U;
  // Dead letters that belong to no epoch: anyone who may publish can make them.
  std::uint64_t foreign_dead_letters_max = 100'000;
};

enum class StreamFileFault {
  refused,   // Newer schema, or no stream of ours: untouched. Do not retry at start.
  busy,      // A foreign writer. Retry.
  full,      // No room on the disk. Retry.
  io,        // The disk failed. Retry; nothing of the last transaction is certain.
  conflict,  // A second record of one (gateway, epoch, seq): our bug, or a foreign writer. Alarm; re-read progress.
  damaged,   // The file is corrupt, or a progress row unreadable. Alarm.
};

struct StreamFileError {
  StreamFileFault fault;
  std::string text;
};

template <class T>
using FileResult = base::Result<T, StreamFileError>;

struct StreamFileUsage {
  std::uint64_t bytes = 0;
  std::uint64_t wal_bytes = 0;
  stream::Position last_position;
  std::uint64_t dead_letters = 0;
  std::uint64_t dead_letters_dropped_total = 0;
};

class StreamFile {
 public:
  // Under the lock of lock_file.hpp.
  static FileResult<std::unique_ptr<StreamFile>> open(const std::string& path, const StreamFileLimits& limits);

  StreamFile(const StreamFile&) = delete;
  StreamFile& operator=(const StreamFile&) = delete;

  [[nodiscard]] FileResult<std::vector<tillstream::v1::Progress>> progress();
  [[nodiscard]] FileResult<void> commit(const stream::Transaction& transaction);
  [[nodiscard]] FileResult<stream::ReadPage> read(stream::Position from, const stream::ReadLimits& limits);

  // Copies the log back once it is long enough. After each commit, when its answer is out.
  [[nodiscard]] FileResult<void> checkpoint_when_due();
  // "full", "reader_holds_snapshot" or "".
  [[nodiscard]] std::string_view blocked() const;
  // Tries to shrink the log; blocked() tells whether that helped.
  [[nodiscard]] FileResult<void> shrink_log();
  // Shrinks the log as far as readers let it, before a close in peace.
  void finish();

  [[nodiscard]] const StreamFileUsage& usage() const { return usage_; }

 private:
  StreamFile(Database database, std::string path, const StreamFileLimits& limits);

  FileResult<void> check_identity();
  FileResult<void> set_up();
  FileResult<void> create_tables();
  FileResult<void> settle_log();
  FileResult<void> prepare_statements();
  FileResult<void> count();

  FileResult<void> write(const stream::Transaction& transaction);
  FileResult<void> insert(const stream::Record& record);
  FileResult<void> store(const tillstream::v1::Progress& progress);
  FileResult<void> insert(const stream::DeadLetter& letter);
  FileResult<void> store(const stream::GatewayRow& row);
  FileResult<void> run(Statement& statement);

  // Copies the log back as far as readers let it. False: somebody is in the way.
  FileResult<bool> checkpoint(int mode, int wait_ms);
  void measure();

  [[nodiscard]] StreamFileError failure(const SqliteError& error) const;
  [[nodiscard]] StreamFileError failure() const { return failure(database_.error()); }
  template <class T>
  FileResult<void> check(const SqliteResult<T>& result);

  static int on_wal(void* self, sqlite3* database, const char* name, int pages);

  Database database_;
  std::string path_;
  std::string wal_path_;
  StreamFileLimits limits_;
  Statement insert_event_;
  Statement store_progress_;
  Statement insert_dead_letter_;
  Statement store_gateway_;
  Statement read_;

  StreamFileUsage usage_;
  std::uint64_t foreign_dead_letters_ = 0;
  int wal_frames_ = 0;
  int next_checkpoint_ = 0;
  std::string headers_;  // reused
  std::string blob_;
};

}  // namespace sqlite
