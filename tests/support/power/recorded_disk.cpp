#include "tests/support/power/recorded_disk.hpp"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "proto/base/assert.hpp"

namespace support {

namespace {

using Kind = DiskOperation::Kind;

std::atomic<RecordedDisk*> current_disk{nullptr};

int fails(int number) {
  errno = number;
  return -1;
}

int to_int(long result) { return static_cast<int>(result); }

}  // namespace

std::string_view to_string(DiskFault fault) {
  switch (fault) {
    case DiskFault::none:
      return "none";
    case DiskFault::input_output:
      return "EIO";
    case DiskFault::sync_discarded:
      return "EIO, and what was to be synced is discarded";
    case DiskFault::no_space:
      return "ENOSPC";
    case DiskFault::short_write:
      return "a short write";
    case DiskFault::torn_write:
      return "half a write, then EIO";
  }
  return "?";
}

std::string_view to_string(DiskCall call) {
  switch (call) {
    case DiskCall::open:
      return "open";
    case DiskCall::read:
      return "read";
    case DiskCall::write:
      return "write";
    case DiskCall::resize:
      return "resize";
    case DiskCall::sync:
      return "sync";
    case DiskCall::sync_folder:
      return "sync of a folder";
    case DiskCall::remove:
      return "remove";
    case DiskCall::rename:
      return "rename";
    case DiskCall::make_folder:
      return "mkdir";
  }
  return "?";
}

std::vector<DiskFault> faults_of(DiskCall call) {
  switch (call) {
    case DiskCall::write:
      return {DiskFault::input_output, DiskFault::no_space, DiskFault::short_write, DiskFault::torn_write};
    case DiskCall::sync:
      return {DiskFault::input_output, DiskFault::sync_discarded};
    case DiskCall::resize:
    case DiskCall::open:
      return {DiskFault::input_output, DiskFault::no_space};
    default:
      return {DiskFault::input_output};
  }
}

RecordedDisk::RecordedDisk(std::filesystem::path root, DiskState start)
    : root_(std::filesystem::canonical(root)), start_(std::move(start)), now_(start_) {
  ASSERT(current_disk.exchange(this) == nullptr);
}

RecordedDisk::~RecordedDisk() { current_disk = nullptr; }

RecordedDisk* RecordedDisk::current() { return current_disk; }

DiskState RecordedDisk::state_at(std::size_t position) const {
  DiskState state = start_;
  for (std::size_t i = 0; i < position; ++i) state.apply(operations_[i]);
  return state;
}

std::size_t RecordedDisk::position() const {
  const std::scoped_lock lock(mutex_);
  return operations_.size();
}

void RecordedDisk::fail(std::size_t call, DiskFault fault, std::size_t count) {
  const std::scoped_lock lock(mutex_);
  fault_at_ = call;
  fault_ = fault;
  faults_left_ = count;
  failed_at_.reset();
}

void RecordedDisk::fail_next(DiskCall call, DiskFault fault) {
  fail(0, fault);
  const std::scoped_lock lock(mutex_);
  only_ = call;
}

void RecordedDisk::fill(bool on) {
  const std::scoped_lock lock(mutex_);
  full_ = on;
}

void RecordedDisk::break_sector(const std::string& name, std::uint64_t offset) {
  const std::scoped_lock lock(mutex_);
  const auto file = now_.find(name);
  ASSERT(file.has_value());
  broken_.emplace(*file, offset);
}

void RecordedDisk::set_dead(bool dead) {
  const std::scoped_lock lock(mutex_);
  dead_ = dead;
}

void RecordedDisk::set_undisturbed(bool undisturbed) {
  const std::scoped_lock lock(mutex_);
  undisturbed_ = undisturbed;
}

std::optional<std::string> RecordedDisk::name_of(const char* path) const {
  const std::string name = path;
  const std::string& root = root_.native();
  if (name == root) return std::string();
  if (!name.starts_with(root) || name[root.size()] != '/' || name.ends_with("-shm")) return std::nullopt;
  return std::filesystem::path(name.substr(root.size() + 1)).lexically_normal().string();
}

bool RecordedDisk::has(int descriptor) {
  const std::scoped_lock lock(mutex_);
  return descriptors_.contains(descriptor);
}

DiskFault RecordedDisk::enter(DiskCall call) {
  if (dead_) {
    errno = EIO;
    return DiskFault::input_output;
  }
  if (undisturbed_) return DiskFault::none;
  calls_.push_back(call);
  if (calls_.size() <= fault_at_ || faults_left_ == 0) return DiskFault::none;
  if (only_ && *only_ != call) return DiskFault::none;
  const auto possible = faults_of(call);
  if (std::find(possible.begin(), possible.end(), fault_) == possible.end()) return DiskFault::none;
  --faults_left_;
  if (!failed_at_) failed_at_ = operations_.size();
  errno = fault_ == DiskFault::no_space ? ENOSPC : EIO;
  return fault_;
}

void RecordedDisk::note(DiskOperation operation) {
  now_.apply(operation);
  operations_.push_back(std::move(operation));
}

int RecordedDisk::open(const std::string& name, const char* path, int flags, mode_t mode) {
  const std::scoped_lock lock(mutex_);
  if (enter(DiskCall::open) != DiskFault::none) return -1;
  if (full_ && (flags & O_CREAT) != 0 && !now_.find(name)) return fails(ENOSPC);
  const int descriptor = to_int(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
  if (descriptor < 0) return descriptor;
  if (now_.is_folder(name)) {
    descriptors_[descriptor] = {name, std::nullopt};
    return descriptor;
  }
  if (!now_.find(name)) note({.kind = Kind::create, .name = name, .file = now_.files()});
  const std::size_t file = *now_.find(name);
  if ((flags & O_TRUNC) != 0 && !now_.cached(file).empty()) note({.kind = Kind::resize, .file = file});
  descriptors_[descriptor] = {{}, file};
  return descriptor;
}

void RecordedDisk::closed(int descriptor) {
  const std::scoped_lock lock(mutex_);
  descriptors_.erase(descriptor);
}

ssize_t RecordedDisk::read(int descriptor, void* buffer, std::size_t count, std::optional<off_t> offset) {
  const std::scoped_lock lock(mutex_);
  if (enter(DiskCall::read) != DiskFault::none) return -1;
  const std::uint64_t from = offset ? static_cast<std::uint64_t>(*offset) : 0;
  const std::size_t file = *descriptors_.at(descriptor).file;
  const auto broken = broken_.lower_bound({file, from});
  if (broken != broken_.end() && broken->first == file && broken->second - from < count) return fails(EIO);
  return offset ? ::syscall(SYS_pread64, descriptor, buffer, count, *offset)
                : ::syscall(SYS_read, descriptor, buffer, count);
}

ssize_t RecordedDisk::write(int descriptor, const void* bytes, std::size_t count, std::optional<off_t> offset) {
  const std::scoped_lock lock(mutex_);
  const DiskFault fault = enter(DiskCall::write);
  if (fault == DiskFault::input_output || fault == DiskFault::no_space) return -1;
  if (fault != DiskFault::none) count = (count + 1) / 2;
  const off_t at = offset ? *offset : ::syscall(SYS_lseek, descriptor, 0, SEEK_CUR);
  if (full_ && static_cast<std::uint64_t>(at) + count > now_.cached(*descriptors_.at(descriptor).file).size())
    return fails(ENOSPC);
  const ssize_t written =
      offset ? ::syscall(SYS_pwrite64, descriptor, bytes, count, at) : ::syscall(SYS_write, descriptor, bytes, count);
  if (written > 0) {
    note({.kind = Kind::write,
          .file = *descriptors_.at(descriptor).file,
          .offset = static_cast<std::uint64_t>(at),
          .bytes = std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(written))});
  }
  return fault == DiskFault::torn_write ? fails(EIO) : written;
}

int RecordedDisk::resize(int descriptor, off_t size, bool only_grow) {
  const std::scoped_lock lock(mutex_);
  if (enter(DiskCall::resize) != DiskFault::none) return -1;
  const std::size_t file = *descriptors_.at(descriptor).file;
  if (only_grow && now_.cached(file).size() >= static_cast<std::uint64_t>(size)) return 0;
  if (full_ && static_cast<std::uint64_t>(size) > now_.cached(file).size()) return fails(ENOSPC);
  const int result = to_int(::syscall(SYS_ftruncate, descriptor, size));
  if (result == 0) note({.kind = Kind::resize, .file = file, .offset = static_cast<std::uint64_t>(size)});
  return result;
}

int RecordedDisk::sync(int descriptor) {
  const std::scoped_lock lock(mutex_);
  const Open open = descriptors_.at(descriptor);
  const DiskFault fault = enter(open.file ? DiskCall::sync : DiskCall::sync_folder);
  if (fault != DiskFault::none) return dead_ ? -1 : sync_failed(descriptor, open, fault == DiskFault::sync_discarded);
  open.file ? note({.kind = Kind::sync, .file = *open.file}) : note({.kind = Kind::sync_folder, .name = open.folder});
  return 0;
}

int RecordedDisk::sync_failed(int descriptor, const Open& open, bool discarded) {
  // What happens to a folder's names then nobody says; they are as unsynced as before.
  if (!open.file) return fails(EIO);
  note({.kind = discarded ? Kind::sync_failed_discarded : Kind::sync_failed, .file = *open.file});
  const std::string& bytes = now_.cached(*open.file);
  if (discarded)
    ASSERT(::syscall(SYS_pwrite64, descriptor, bytes.data(), bytes.size(), 0) == static_cast<long>(bytes.size()));
  return fails(EIO);
}

int RecordedDisk::remove(const std::string& name, const char* path) {
  const std::scoped_lock lock(mutex_);
  if (enter(DiskCall::remove) != DiskFault::none) return -1;
  const int result = to_int(::syscall(SYS_unlink, path));
  if (result == 0) note({.kind = Kind::remove, .name = name});
  return result;
}

int RecordedDisk::rename(const std::string& name, const char* path, const std::string& to, const char* to_path) {
  const std::scoped_lock lock(mutex_);
  if (enter(DiskCall::rename) != DiskFault::none) return -1;
  const int result = to_int(::syscall(SYS_rename, path, to_path));
  if (result == 0) note({.kind = Kind::rename, .name = name, .to = to});
  return result;
}

int RecordedDisk::make_folder(const std::string& name, const char* path, mode_t mode) {
  const std::scoped_lock lock(mutex_);
  if (enter(DiskCall::make_folder) != DiskFault::none) return -1;
  const int result = to_int(::syscall(SYS_mkdir, path, mode));
  if (result == 0) note({.kind = Kind::make_folder, .name = name});
  return result;
}

}  // namespace support
