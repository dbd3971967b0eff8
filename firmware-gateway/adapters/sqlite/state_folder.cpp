#include "firmware-gateway/adapters/sqlite/state_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "firmware-gateway/journal/crc32c.hpp"

namespace sqlite {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDamagedPrefix = "journal.damaged-";

OpenError error(const fs::path& path, int number) {
  OpenFault fault = OpenFault::storage;
  if (is_permission(number)) fault = OpenFault::forbidden;
  if (number == ENOSPC || number == EDQUOT) fault = OpenFault::disk_full;
  return {fault, fmt::format("{}: {}", path.string(), std::strerror(number))};
}

// A descriptor that closes itself.
class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags, mode_t mode = 0600)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

constexpr std::size_t kSmallFileBytesMax = 256;

std::string read_small(const fs::path& path) {
  const Descriptor file(path, O_RDONLY);
  std::string bytes(kSmallFileBytesMax, '\0');
  const ssize_t count = file.get() < 0 ? 0 : ::read(file.get(), bytes.data(), bytes.size());
  bytes.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return bytes;
}

// The key, and the CRC-32C over it, little-endian.
base::Bytes with_crc(const journal::HashKey& key) {
  base::Bytes bytes(key.begin(), key.end());
  const std::uint32_t crc = journal::crc32c(0, bytes);
  for (unsigned i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(crc >> (8 * i)));
  return bytes;
}

// Rename replaces nothing here: the callers have made sure that `to` is free.
bool rename_one(const fs::path& from, const fs::path& to) {
  return ::rename(from.c_str(), to.c_str()) == 0 || errno == ENOENT;
}

// 20261124T215901Z
std::string stamp(base::UtcTime time) {
  const auto days = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - days));
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count());
}

// The journal's files are nobody else's business, whatever the folder's mode: turnover, tokens, the key of the hashes.
void keep_private(const fs::path& folder) {
  std::error_code failure;
  for (const auto& file : fs::directory_iterator(folder, failure)) {
    if (file.path().filename().string().starts_with("journal.") && file.is_regular_file(failure))
      fs::permissions(file.path(), fs::perms::group_all | fs::perms::others_all, fs::perm_options::remove, failure);
  }
}

// A folder's name stands in its parent: until that is synced a power cut may take the folder with all that is in it.
// Also of a folder that is there: a process that was killed may have made it. What may not be read is no folder of
// ours, and one that can never change needs no sync.
std::optional<OpenError> sync_way_to(const fs::path& path) {
  fs::path folder = fs::absolute(path);
  while (folder != folder.root_path()) {
    folder = folder.parent_path();
    const Descriptor parent(folder, O_RDONLY | O_DIRECTORY);
    const bool synced = parent.get() >= 0 && ::fsync(parent.get()) == 0;
    if (!synced && !is_permission(errno) && errno != EINVAL) return error(folder, errno);
  }
  return std::nullopt;
}

}  // namespace

bool is_refusal(OpenFault fault) {
  return fault != OpenFault::disk_full && fault != OpenFault::storage && fault != OpenFault::unreadable;
}

bool is_permission(int number) {
  return number == EACCES || number == EPERM || number == EROFS || number == ENOTDIR || number == ELOOP ||
         number == ENAMETOOLONG;
}

fs::path wal_of(const fs::path& database) { return database.string() + "-wal"; }

base::Result<StateFolder, OpenError> StateFolder::open(const fs::path& path) {
  std::error_code failure;
  if (fs::create_directories(path, failure)) fs::permissions(path, fs::perms::owner_all, failure);
  if (failure) return base::fail(error(path, failure.value()));
  if (auto failed = sync_way_to(path)) return base::fail(*failed);
  const fs::path lock_path = path / "journal.lock";
  const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return base::fail(error(lock_path, errno));
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    const int number = errno;
    ::close(lock);
    if (number != EWOULDBLOCK) return base::fail(error(lock_path, number));
    return base::fail(OpenError{OpenFault::in_use,
                                fmt::format("{}: another tillstream-gateway is using this folder", path.string())});
  }
  keep_private(path);
  return StateFolder(path, lock);
}

StateFolder::StateFolder(StateFolder&& other) noexcept : path_(std::move(other.path_)), lock_(other.lock_) {
  other.lock_ = -1;
}

StateFolder::~StateFolder() {
  if (lock_ >= 0) ::close(lock_);
}

fs::path StateFolder::damaged(base::UtcTime found_at) const {
  const std::string base_name = std::string(kDamagedPrefix) + stamp(found_at);
  fs::path name = path_ / (base_name + ".db");
  for (int n = 2; fs::exists(name) || fs::exists(wal_of(name)); ++n) {
    name = path_ / fmt::format("{}-{}.db", base_name, n);
  }
  return name;
}

std::string StateFolder::salvaging() const { return read_small(marker()); }

bool StateFolder::set_salvaging(const std::string& name) const {
  if (name.empty()) return (::unlink(marker().c_str()) == 0 || errno == ENOENT) && sync();
  // A torn name would point a later salvage at nothing.
  return write_whole(marker(), name);
}

std::optional<journal::HashKey> StateFolder::hash_key() const {
  const std::string bytes = read_small(key_copy());
  journal::HashKey key{};
  if (bytes.size() != key.size() + 4) return std::nullopt;
  std::copy_n(bytes.begin(), key.size(), key.begin());
  if (bytes != with_crc(key)) return std::nullopt;
  return key;
}

bool StateFolder::keep_hash_key(const journal::HashKey& key) const { return write_whole(key_copy(), with_crc(key)); }

bool StateFolder::write_whole(const fs::path& path, base::BytesView bytes) const {
  // Beside and renamed.
  const fs::path beside = path.string() + ".new";
  {
    const Descriptor file(beside, O_WRONLY | O_CREAT | O_TRUNC);
    if (file.get() < 0) return false;
    if (::write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) return false;
    if (::fsync(file.get()) != 0) return false;
  }
  return ::rename(beside.c_str(), path.c_str()) == 0 && sync();
}

bool StateFolder::rename(const fs::path& from, const fs::path& to) const {
  return rename_one(from, to) && rename_one(wal_of(from), wal_of(to)) && sync();
}

void StateFolder::remove_new_journal() const {
  const fs::path database = new_journal();
  ::unlink(database.c_str());
  ::unlink(wal_of(database).c_str());
}

std::vector<std::string> StateFolder::drop_damaged(std::size_t keep) const {
  std::vector<std::string> names;
  for (const auto& file : fs::directory_iterator(path_)) {
    const std::string name = file.path().filename().string();
    if (name.starts_with(kDamagedPrefix) && name.ends_with(".db")) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  names.resize(names.size() > keep ? names.size() - keep : 0);
  for (const std::string& name : names) remove(path_ / name);
  return names;
}

std::uint64_t StateFolder::free_disk_bytes() const {
  struct statvfs disk{};
  if (::statvfs(path_.c_str(), &disk) != 0) return 0;
  return static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
}

bool StateFolder::has_ballast() const {
  struct stat file{};
  return ::stat(ballast().c_str(), &file) == 0;
}

bool StateFolder::has_ballast(std::uint64_t bytes) const {
  struct stat file{};
  return ::stat(ballast().c_str(), &file) == 0 && static_cast<std::uint64_t>(file.st_size) == bytes;
}

bool StateFolder::make_ballast(std::uint64_t bytes) const {
  {
    const Descriptor file(ballast(), O_WRONLY | O_CREAT | O_TRUNC);
    if (file.get() >= 0 && ::posix_fallocate(file.get(), 0, static_cast<off_t>(bytes)) == 0) return true;
  }
  free_ballast();
  return false;
}

void StateFolder::free_ballast() const { ::unlink(ballast().c_str()); }

bool StateFolder::sync() const {
  const Descriptor folder(path_, O_RDONLY | O_DIRECTORY);
  return folder.get() >= 0 && ::fsync(folder.get()) == 0;
}

}  // namespace sqlite
