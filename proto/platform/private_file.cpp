#include "proto/platform/private_file.hpp"

#include <sys/stat.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

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
  // One more, as it may end in \r\n.
  std::string line(secret_length_max + 2, '\0');
  file.read(line.data(), static_cast<std::streamsize>(line.size()));
  line.resize(static_cast<std::size_t>(file.gcount()));
  if (line.empty()) return std::nullopt;
  line.resize(std::min(line.find('\n'), line.size()));
  if (line.ends_with('\r')) line.pop_back();
  if (line.size() > secret_length_max) return std::nullopt;
  return line;
}

std::expected<std::string, std::string> read_private_secret(const std::string& path, std::size_t length_min) {
  if (auto problem = private_file_problem(path)) return std::unexpected(*std::move(problem));
  std::error_code failed;
  const auto size = std::filesystem::file_size(path, failed);
  if (failed || !std::ifstream(path).good())
    return std::unexpected(
        fmt::format("is \"{}\", which cannot be read; needed: a file that this user may read", path));
  auto secret = read_secret(path);
  if (!secret && size > 0)
    return std::unexpected(fmt::format(
        "is \"{}\", whose first line has more than {} characters; allowed: at most so many", path, secret_length_max));
  const std::size_t length = secret.value_or("").size();
  if (length >= length_min) return *std::move(secret);
  return std::unexpected(
      fmt::format("is \"{}\", whose first line has {} characters; needed: at least {}", path, length, length_min));
}

}  // namespace platform
