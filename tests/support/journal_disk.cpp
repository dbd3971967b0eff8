#include "tests/support/journal_disk.hpp"

#include <cstdint>

#include "proto/base/assert.hpp"

namespace support {
namespace {

// Our file object, followed in memory by the real one.
struct File {
  sqlite3_file base;
  bool is_database;

  [[nodiscard]] sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

File* file_of(sqlite3_file* file) { return reinterpret_cast<File*>(file); }
sqlite3_file* real(sqlite3_file* file) { return file_of(file)->real(); }

int file_close(sqlite3_file* file) { return real(file)->pMethods->xClose(real(file)); }

int file_read(sqlite3_file* file, void* buffer, int count, sqlite3_int64 offset) {
  if (journal_disk().failing()) return SQLITE_IOERR_READ;
  const int status = real(file)->pMethods->xRead(real(file), buffer, count, offset);
  if (journal_disk().corrupting() && file_of(file)->is_database && offset >= 4096) {
    for (int i = 0; i < count; ++i) static_cast<char*>(buffer)[i] ^= 0x55;
  }
  return status;
}

std::uint64_t size_of(sqlite3_file* file) {
  sqlite3_int64 size = 0;
  real(file)->pMethods->xFileSize(real(file), &size);
  return static_cast<std::uint64_t>(size);
}

int file_write(sqlite3_file* file, const void* data, int count, sqlite3_int64 offset) {
  const bool grows = static_cast<std::uint64_t>(offset + count) > size_of(file);
  if (const int status = journal_disk().before_operation(grows, false); status != SQLITE_OK) return status;
  return real(file)->pMethods->xWrite(real(file), data, count, offset);
}

int file_truncate(sqlite3_file* file, sqlite3_int64 size) {
  const int status = journal_disk().before_operation(false, false);
  return status == SQLITE_OK ? real(file)->pMethods->xTruncate(real(file), size) : status;
}

// The disk is the test's: nothing needs to be synced in truth.
int file_sync(sqlite3_file* /*file*/, int /*flags*/) { return journal_disk().before_operation(false, true); }

int file_size(sqlite3_file* file, sqlite3_int64* size) { return real(file)->pMethods->xFileSize(real(file), size); }
int file_lock(sqlite3_file* file, int level) { return real(file)->pMethods->xLock(real(file), level); }
int file_unlock(sqlite3_file* file, int level) { return real(file)->pMethods->xUnlock(real(file), level); }
int file_check(sqlite3_file* file, int* result) { return real(file)->pMethods->xCheckReservedLock(real(file), result); }
int file_control(sqlite3_file* file, int operation, void* argument) {
  return real(file)->pMethods->xFileControl(real(file), operation, argument);
}
int file_sector(sqlite3_file* file) { return real(file)->pMethods->xSectorSize(real(file)); }
int file_traits(sqlite3_file* file) { return real(file)->pMethods->xDeviceCharacteristics(real(file)); }

// Version 1: no shared memory, no mapping; exclusive locking needs neither.
const sqlite3_io_methods kMethods = {1,           file_close, file_read,   file_write, file_truncate, file_sync,
                                     file_size,   file_lock,  file_unlock, file_check, file_control,  file_sector,
                                     file_traits, nullptr,    nullptr,     nullptr,    nullptr,       nullptr,
                                     nullptr};

sqlite3_vfs* real_vfs = nullptr;

int vfs_open(sqlite3_vfs* /*vfs*/, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  File* mine = file_of(file);
  mine->base.pMethods = nullptr;
  if (journal_disk().failing()) return SQLITE_CANTOPEN;
  const int status = real_vfs->xOpen(real_vfs, name, mine->real(), flags, out_flags);
  if (status != SQLITE_OK) return status;
  mine->is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0;
  if (mine->is_database) journal_disk().opened();
  mine->base.pMethods = &kMethods;
  return SQLITE_OK;
}

}  // namespace

JournalDisk& journal_disk() {
  static JournalDisk disk;
  static sqlite3_vfs vfs = [] {
    real_vfs = sqlite3_vfs_find(nullptr);
    sqlite3_vfs copy = *real_vfs;
    copy.zName = JournalDisk::name();
    copy.szOsFile = static_cast<int>(sizeof(File)) + real_vfs->szOsFile;
    copy.xOpen = vfs_open;
    return copy;
  }();
  static const int registered = sqlite3_vfs_register(&vfs, 0);
  ASSERT(registered == SQLITE_OK);
  return disk;
}

void JournalDisk::heal() {
  release();
  failing_syncs_ = 0;
  failing_ = full_ = corrupting_ = false;
  opens_ = 0;
}

void JournalDisk::hold() {
  const std::scoped_lock lock(mutex_);
  held_ = true;
}

void JournalDisk::release() {
  {
    const std::scoped_lock lock(mutex_);
    held_ = false;
  }
  released_.notify_all();
}

int JournalDisk::before_operation(bool grows, bool is_sync) {
  if (is_sync) {
    std::unique_lock lock(mutex_);
    released_.wait(lock, [this] { return !held_; });
  }
  if (failing()) return is_sync ? SQLITE_IOERR_FSYNC : SQLITE_IOERR_WRITE;
  if (is_sync && failing_syncs_ > 0) {
    --failing_syncs_;
    return SQLITE_IOERR_FSYNC;
  }
  return grows && full_ ? SQLITE_FULL : SQLITE_OK;
}

}  // namespace support
