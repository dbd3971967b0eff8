#include "firmware-gateway/adapters/sqlite/log_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sqlite {
namespace {

template <class Look>
base::Bytes look_at(const std::filesystem::path& log, const Look& look) {
  const int fd = ::open(log.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat file{};
  if (fd < 0) return {};
  base::Bytes seen;
  if (::fstat(fd, &file) == 0) {
    const ReadLog read = [fd](std::uint64_t offset, std::size_t count, base::Bytes& bytes) {
      bytes.resize(count);
      return ::pread(fd, bytes.data(), count, static_cast<off_t>(offset)) == static_cast<ssize_t>(count);
    };
    seen = look(static_cast<std::uint64_t>(file.st_size), read);
  }
  ::close(fd);
  return seen;
}

}  // namespace

LogDamage judge_log_file(const std::filesystem::path& log, const base::Bytes& header) {
  return look_at(log, [&header](std::uint64_t size, const ReadLog& read) {
    return judge_log(size, [&](std::uint64_t offset, std::size_t count, base::Bytes& bytes) {
      if (offset != 0 || header.empty()) return read(offset, count, bytes);
      bytes = header.substr(0, count);
      return true;
    });
  });
}

base::Bytes restored_log_header(const std::filesystem::path& log, std::uint32_t page_bytes) {
  return look_at(
      log, [page_bytes](std::uint64_t size, const ReadLog& read) { return restored_header(size, page_bytes, read); });
}

}  // namespace sqlite
