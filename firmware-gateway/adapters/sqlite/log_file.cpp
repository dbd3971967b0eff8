#include "firmware-gateway/adapters/sqlite/log_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sqlite {

LogDamage judge_log_file(const std::filesystem::path& log) {
  const int fd = ::open(log.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat file{};
  if (fd < 0) return {};
  LogDamage damage;
  if (::fstat(fd, &file) == 0) {
    damage = judge_log(
        static_cast<std::uint64_t>(file.st_size), [fd](std::uint64_t offset, std::size_t count, base::Bytes& bytes) {
          bytes.resize(count);
          return ::pread(fd, bytes.data(), count, static_cast<off_t>(offset)) == static_cast<ssize_t>(count);
        });
  }
  ::close(fd);
  return damage;
}

}  // namespace sqlite
