// The C library's calls on files, for this executable and the shared libraries that it uses: those that touch the
// recorded disk go there, all others to the kernel. See recorded_disk.hpp.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>

#include "tests/support/power/recorded_disk.hpp"

namespace {

support::RecordedDisk* disk_of(int descriptor) {
  support::RecordedDisk* disk = support::RecordedDisk::current();
  return disk != nullptr && disk->has(descriptor) ? disk : nullptr;
}

std::optional<std::string> recorded_name(const char* path) {
  support::RecordedDisk* disk = support::RecordedDisk::current();
  return disk == nullptr ? std::nullopt : disk->name_of(path);
}

support::RecordedDisk& disk() { return *support::RecordedDisk::current(); }

int open_any(const char* path, int flags, mode_t mode) {
  if (const auto name = recorded_name(path)) return disk().open(*name, path, flags, mode);
  return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

int resize_any(int descriptor, off_t size) {
  if (auto* found = disk_of(descriptor)) return found->resize(descriptor, size, false);
  return static_cast<int>(::syscall(SYS_ftruncate, descriptor, size));
}

// Answers the error, as posix_fallocate() does.
int allocate_any(int descriptor, off_t offset, off_t size) {
  if (auto* found = disk_of(descriptor)) return found->resize(descriptor, offset + size, true) == 0 ? 0 : errno;
  return ::syscall(SYS_fallocate, descriptor, 0, offset, size) == 0 ? 0 : errno;
}

ssize_t read_any(int descriptor, void* buffer, size_t count, std::optional<off_t> offset) {
  if (auto* found = disk_of(descriptor)) return found->read(descriptor, buffer, count, offset);
  return offset ? ::syscall(SYS_pread64, descriptor, buffer, count, *offset)
                : ::syscall(SYS_read, descriptor, buffer, count);
}

ssize_t write_any(int descriptor, const void* bytes, size_t count, std::optional<off_t> offset) {
  if (auto* found = disk_of(descriptor)) return found->write(descriptor, bytes, count, offset);
  return offset ? ::syscall(SYS_pwrite64, descriptor, bytes, count, *offset)
                : ::syscall(SYS_write, descriptor, bytes, count);
}

int sync_any(int descriptor, long call) {
  if (support::RecordedDisk::current() == nullptr) return static_cast<int>(::syscall(call, descriptor));
  auto* found = disk_of(descriptor);
  return found == nullptr ? 0 : found->sync(descriptor);
}

mode_t mode_of(int flags, va_list& arguments) { return (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0; }

}  // namespace

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the C library names its parameters otherwise
extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_any(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_any(path, flags, mode);
}

int close(int descriptor) {
  if (auto* found = disk_of(descriptor)) found->closed(descriptor);
  return static_cast<int>(::syscall(SYS_close, descriptor));
}

ssize_t read(int descriptor, void* buffer, size_t count) { return read_any(descriptor, buffer, count, std::nullopt); }
ssize_t pread(int descriptor, void* buffer, size_t count, off_t offset) {
  return read_any(descriptor, buffer, count, offset);
}
ssize_t pread64(int descriptor, void* buffer, size_t count, off64_t offset) {
  return read_any(descriptor, buffer, count, offset);
}

ssize_t write(int descriptor, const void* bytes, size_t count) {
  return write_any(descriptor, bytes, count, std::nullopt);
}
ssize_t pwrite(int descriptor, const void* bytes, size_t count, off_t offset) {
  return write_any(descriptor, bytes, count, offset);
}
ssize_t pwrite64(int descriptor, const void* bytes, size_t count, off64_t offset) {
  return write_any(descriptor, bytes, count, offset);
}

int ftruncate(int descriptor, off_t size) noexcept { return resize_any(descriptor, size); }
int ftruncate64(int descriptor, off64_t size) noexcept { return resize_any(descriptor, size); }
int posix_fallocate(int descriptor, off_t offset, off_t size) { return allocate_any(descriptor, offset, size); }
int posix_fallocate64(int descriptor, off64_t offset, off64_t size) { return allocate_any(descriptor, offset, size); }

// While a disk is recorded nothing else is worth waiting for.
int fsync(int descriptor) { return sync_any(descriptor, SYS_fsync); }
int fdatasync(int descriptor) { return sync_any(descriptor, SYS_fdatasync); }

int unlink(const char* path) noexcept {
  if (const auto name = recorded_name(path)) return disk().remove(*name, path);
  return static_cast<int>(::syscall(SYS_unlink, path));
}
int remove(const char* path) noexcept {
  if (const auto name = recorded_name(path)) return disk().remove(*name, path);
  if (::syscall(SYS_unlink, path) == 0) return 0;
  return errno == EISDIR ? ::rmdir(path) : -1;
}
int rename(const char* from, const char* to) noexcept {
  const auto name = recorded_name(from);
  const auto to_name = recorded_name(to);
  if (name && to_name) return disk().rename(*name, from, *to_name, to);
  return static_cast<int>(::syscall(SYS_rename, from, to));
}
int mkdir(const char* path, mode_t mode) noexcept {
  if (const auto name = recorded_name(path)) return disk().make_folder(*name, path, mode);
  return static_cast<int>(::syscall(SYS_mkdir, path, mode));
}

}  // extern "C"
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
