#include "proto/platform/private_file.hpp"

#include <sys/stat.h>

#include <fmt/format.h>

#include <cerrno>
#include <fstream>
#include <system_error>

namespace platform {

std::optional<std::string> private_file_problem(const std::string& path) {
  constexpr unsigned open_to_others = 077;
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) {
    return fmt::format("{}: {}; needed: a file that this user may read", path, std::generic_category().message(errno));
  }
  if (!S_ISREG(facts.st_mode)) return fmt::format("{}: is no regular file", path);
  if ((facts.st_mode & open_to_others) == 0) return std::nullopt;
  return fmt::format("{}: is open to its group or to others (mode {:04o}); needed: 0600 (chmod 0600 {})", path,
                     facts.st_mode & 07777, path);
}

std::optional<std::string> read_secret(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

}  // namespace platform
