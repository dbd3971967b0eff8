#include "tests/support/journal_disk.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "proto/base/assert.hpp"
#include "tests/support/seeded_random.hpp"

namespace support {
namespace {

constexpr std::size_t kSector = 512;

// Our file object, followed in memory by the real one.
struct File {
  sqlite3_file base;
  std::string* path;
  bool is_database;

  [[nodiscard]] sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

File* file_of(sqlite3_file* file) { return reinterpret_cast<File*>(file); }
sqlite3_file* real(sqlite3_file* file) { return file_of(file)->real(); }

int file_close(sqlite3_file* file) {
  delete file_of(file)->path;
  return real(file)->pMethods->xClose(real(file));
}

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

// What `count` bytes at `offset` are now.
std::string peek(sqlite3_file* file, std::uint64_t offset, std::uint64_t count) {
  const std::uint64_t size = size_of(file);
  std::string bytes(offset >= size ? 0 : std::min(count, size - offset), '\0');
  if (!bytes.empty()) {
    real(file)->pMethods->xRead(real(file), bytes.data(), static_cast<int>(bytes.size()),
                                static_cast<sqlite3_int64>(offset));
  }
  return bytes;
}

int file_write(sqlite3_file* file, const void* data, int count, sqlite3_int64 offset) {
  const auto at = static_cast<std::uint64_t>(offset);
  const auto bytes = static_cast<std::uint64_t>(count);
  const std::uint64_t size = size_of(file);
  if (const int status = journal_disk().before_operation(at + bytes > size, false); status != SQLITE_OK) return status;
  JournalDisk::Unsynced write{at, peek(file, at, bytes), std::string(static_cast<const char*>(data), bytes), size};
  const int status = real(file)->pMethods->xWrite(real(file), data, count, offset);
  if (status == SQLITE_OK) journal_disk().wrote(*file_of(file)->path, std::move(write));
  return status;
}

int file_truncate(sqlite3_file* file, sqlite3_int64 size) {
  if (const int status = journal_disk().before_operation(false, false); status != SQLITE_OK) return status;
  const std::uint64_t before = size_of(file);
  const auto at = static_cast<std::uint64_t>(size);
  JournalDisk::Unsynced write{at, peek(file, at, before - std::min(before, at)), "", before};
  const int status = real(file)->pMethods->xTruncate(real(file), size);
  if (status == SQLITE_OK) journal_disk().wrote(*file_of(file)->path, std::move(write));
  return status;
}

int file_sync(sqlite3_file* file, int flags) {
  if (const int status = journal_disk().before_operation(false, true); status != SQLITE_OK) {
    journal_disk().sync_failed(*file_of(file)->path);
    return status;
  }
  // The disk is the test's: what counts is only what it is told to remember.
  static_cast<void>(flags);
  journal_disk().synced(*file_of(file)->path);
  return SQLITE_OK;
}

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
  mine->path = new std::string(name == nullptr ? "" : name);
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
  failing_ = full_ = corrupting_ = cut_ = false;
  operations_left_ = 0;
  opens_ = 0;
  const std::scoped_lock lock(mutex_);
  unsynced_.clear();
  lost_.clear();
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
  if (operations_left_ > 0) {
    --operations_left_;
    if (operations_left_ == 0) cut_ = true;
  }
  if (failing()) return is_sync ? SQLITE_IOERR_FSYNC : SQLITE_IOERR_WRITE;
  if (is_sync && failing_syncs_ > 0) {
    --failing_syncs_;
    return SQLITE_IOERR_FSYNC;
  }
  return grows && full_ ? SQLITE_FULL : SQLITE_OK;
}

void JournalDisk::wrote(const std::string& path, Unsynced write) {
  const std::scoped_lock lock(mutex_);
  // What was lost and is written again has another chance: until it is synced, the disk has what it had before.
  auto& lost = lost_[path];
  const std::uint64_t end = write.offset + std::max(write.before.size(), write.after.size());
  for (auto one = lost.rbegin(); one != lost.rend(); ++one) {
    if (one->offset < write.offset || one->offset + one->after.size() > end) continue;
    write.before.replace(one->offset - write.offset, one->before.size(), one->before);
    write.size_before = std::min(write.size_before, one->size_before);
  }
  std::erase_if(
      lost, [&](const Unsynced& one) { return one.offset >= write.offset && one.offset + one.after.size() <= end; });
  unsynced_[path].push_back(std::move(write));
}

void JournalDisk::sync_failed(const std::string& path) {
  const std::scoped_lock lock(mutex_);
  auto& unsynced = unsynced_[path];
  std::move(unsynced.begin(), unsynced.end(), std::back_inserter(lost_[path]));
  unsynced.clear();
}

void JournalDisk::synced(const std::string& path) {
  const std::scoped_lock lock(mutex_);
  unsynced_.erase(path);
}

void JournalDisk::forget_unsynced(std::uint64_t torn_seed) {
  const std::scoped_lock lock(mutex_);
  SeededRandom random(torn_seed);
  for (auto& [path, lost] : lost_) {
    auto& writes = unsynced_[path];
    writes.insert(writes.begin(), lost.begin(), lost.end());
  }
  lost_.clear();
  for (auto& [path, writes] : unsynced_) {
    if (!std::filesystem::exists(path)) continue;
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    std::uint64_t size = std::filesystem::file_size(path);
    for (auto write = writes.rbegin(); write != writes.rend(); ++write) {
      file.seekp(static_cast<std::streamoff>(write->offset));
      file.write(write->before.data(), static_cast<std::streamsize>(write->before.size()));
      size = write->size_before;
    }
    // Some sectors had reached the disk all the same, in any order.
    for (const Unsynced& write : writes) {
      for (std::size_t at = 0; torn_seed != 0 && at < write.after.size(); at += kSector) {
        if (!random.one_in(2)) continue;
        const std::string sector = write.after.substr(at, kSector);
        file.seekp(static_cast<std::streamoff>(write.offset + at));
        file.write(sector.data(), static_cast<std::streamsize>(sector.size()));
        size = std::max(size, write.offset + at + sector.size());
      }
    }
    file.close();
    std::filesystem::resize_file(path, size);
  }
  unsynced_.clear();
}

}  // namespace support
