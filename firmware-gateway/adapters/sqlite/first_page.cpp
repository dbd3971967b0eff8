#include "firmware-gateway/adapters/sqlite/first_page.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>

#include "proto/base/assert.hpp"

namespace sqlite {

// What SQLite knows of it: a VFS whose pAppData is this.
struct FirstPageLayer::Layer {
  sqlite3_vfs vfs{};
  sqlite3_vfs* real = nullptr;
  std::string name;
  base::Bytes page;
  base::Bytes log_header;
};

namespace {

// A file object, followed in memory by the real one.
struct File {
  sqlite3_file base;
  const base::Bytes* front;  // in the place of its first bytes
  bool is_there;

  [[nodiscard]] sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

File* mine(sqlite3_file* file) { return reinterpret_cast<File*>(file); }
const sqlite3_io_methods* methods(sqlite3_file* file) { return mine(file)->real()->pMethods; }

int file_close(sqlite3_file* file) {
  return mine(file)->is_there ? methods(file)->xClose(mine(file)->real()) : SQLITE_OK;
}

int file_read(sqlite3_file* file, void* buffer, int count, sqlite3_int64 offset) {
  auto* bytes = static_cast<char*>(buffer);
  const base::Bytes& front = *mine(file)->front;
  const auto wanted = static_cast<std::size_t>(count);
  const auto at = static_cast<std::size_t>(offset);
  std::fill_n(bytes, wanted, '\0');
  int status = SQLITE_IOERR_SHORT_READ;
  if (mine(file)->is_there) status = methods(file)->xRead(mine(file)->real(), buffer, count, offset);
  if (at >= front.size()) return status;
  const std::size_t covered = std::min(wanted, front.size() - at);
  std::copy_n(front.data() + at, covered, bytes);
  return covered == wanted ? SQLITE_OK : status;
}

int file_write(sqlite3_file* /*file*/, const void* /*data*/, int /*count*/, sqlite3_int64 /*offset*/) {
  return SQLITE_READONLY;
}
int file_truncate(sqlite3_file* /*file*/, sqlite3_int64 /*size*/) { return SQLITE_READONLY; }
int file_sync(sqlite3_file* /*file*/, int /*flags*/) { return SQLITE_OK; }

int file_size(sqlite3_file* file, sqlite3_int64* size) {
  *size = 0;
  const int status = mine(file)->is_there ? methods(file)->xFileSize(mine(file)->real(), size) : SQLITE_OK;
  *size = std::max(*size, static_cast<sqlite3_int64>(mine(file)->front->size()));
  return status;
}

int file_lock(sqlite3_file* file, int level) {
  return mine(file)->is_there ? methods(file)->xLock(mine(file)->real(), level) : SQLITE_OK;
}
int file_unlock(sqlite3_file* file, int level) {
  return mine(file)->is_there ? methods(file)->xUnlock(mine(file)->real(), level) : SQLITE_OK;
}
int file_check(sqlite3_file* file, int* result) {
  *result = 0;
  return mine(file)->is_there ? methods(file)->xCheckReservedLock(mine(file)->real(), result) : SQLITE_OK;
}
int file_control(sqlite3_file* file, int operation, void* argument) {
  return mine(file)->is_there ? methods(file)->xFileControl(mine(file)->real(), operation, argument) : SQLITE_NOTFOUND;
}
int file_sector(sqlite3_file* /*file*/) { return 4096; }
int file_traits(sqlite3_file* /*file*/) { return 0; }

// Version 1: no shared memory, no mapping; exclusive locking needs neither.
const sqlite3_io_methods kMethods = {1,           file_close, file_read,   file_write, file_truncate, file_sync,
                                     file_size,   file_lock,  file_unlock, file_check, file_control,  file_sector,
                                     file_traits, nullptr,    nullptr,     nullptr,    nullptr,       nullptr,
                                     nullptr};

int layer_delete(sqlite3_vfs* /*vfs*/, const char* /*name*/, int /*sync*/) { return SQLITE_READONLY; }

}  // namespace

base::Bytes first_page(base::Bytes schema_page, bool has_wal) {
  constexpr std::size_t write_version_at = 18;
  constexpr std::size_t read_version_at = 19;
  constexpr std::size_t pages_at = 28;
  ASSERT(schema_page.size() >= 512);
  // 1: a database without WAL. Else SQLite would make one.
  schema_page[write_version_at] = schema_page[read_version_at] = has_wal ? 2 : 1;
  // 0: as many as file and WAL have.
  schema_page.replace(pages_at, 4, 4, '\0');
  return schema_page;
}

FirstPageLayer::FirstPageLayer(const std::string& vfs, base::Bytes page, base::Bytes log_header)
    : layer_(std::make_unique<Layer>()) {
  layer_->real = sqlite3_vfs_find(vfs.empty() ? nullptr : vfs.c_str());
  ASSERT(layer_->real != nullptr);
  layer_->page = std::move(page);
  layer_->log_header = std::move(log_header);
  layer_->name = fmt::format("first-page-{}", fmt::ptr(layer_.get()));
  layer_->vfs = *layer_->real;
  layer_->vfs.pNext = nullptr;
  layer_->vfs.zName = layer_->name.c_str();
  layer_->vfs.pAppData = layer_.get();
  layer_->vfs.szOsFile = static_cast<int>(sizeof(File)) + layer_->real->szOsFile;
  layer_->vfs.xDelete = layer_delete;
  layer_->vfs.xOpen = [](sqlite3_vfs* over, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    auto* layer = static_cast<Layer*>(over->pAppData);
    sqlite3_vfs* real = layer->real;
    // The WAL: never made, and not by its own type, for which SQLite wants the database's mode, that may be missing.
    constexpr int wal_flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_SUPER_JOURNAL;
    const bool is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    const bool is_laid_over = (flags & SQLITE_OPEN_WAL) != 0 && !layer->log_header.empty();
    if (!is_database && !is_laid_over) return real->xOpen(real, name, file, wal_flags, out_flags);
    if (!is_database) flags = wal_flags;
    File* opened = mine(file);
    opened->base.pMethods = nullptr;
    opened->front = is_database ? &layer->page : &layer->log_header;
    int there = 0;
    int status = real->xAccess(real, name, SQLITE_ACCESS_EXISTS, &there);
    opened->is_there = there != 0;
    if (status == SQLITE_OK && opened->is_there) status = real->xOpen(real, name, opened->real(), flags, out_flags);
    if (status != SQLITE_OK) return status;
    if (!opened->is_there && out_flags != nullptr) *out_flags = flags;
    opened->base.pMethods = &kMethods;
    return SQLITE_OK;
  };
  const int registered = sqlite3_vfs_register(&layer_->vfs, 0);
  ASSERT(registered == SQLITE_OK);
}

FirstPageLayer::~FirstPageLayer() { sqlite3_vfs_unregister(&layer_->vfs); }

const std::string& FirstPageLayer::name() const { return layer_->name; }

}  // namespace sqlite
