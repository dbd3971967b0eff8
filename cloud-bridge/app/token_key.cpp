#include "cloud-bridge/app/token_key.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <system_error>

#include "proto/base/token_key.hpp"
#include "proto/handoff/topics.hpp"
#include "proto/platform/locked_memory.hpp"
#include "proto/platform/system.hpp"

namespace app {
namespace {

// Below it a master key is no more than a password.
constexpr std::size_t master_bytes_min = 32;
constexpr std::size_t master_bytes_max = 4'096;

int wrong_use(std::string_view text) {
  fmt::print(stderr, "tillstream-bridge: {}\n", text);
  return exit_wrong_use;
}

std::optional<std::string> master_problem(const std::string& path, std::string_view master) {
  if (master.size() < master_bytes_min || master.size() > master_bytes_max)
    return fmt::format("{}: has {} bytes; needed: {} to {} (head -c 32 /dev/urandom makes such a key)", path,
                       master.size() > master_bytes_max ? "more" : fmt::format("{}", master.size()), master_bytes_min,
                       master_bytes_max);
  if (master.find_first_not_of('\0') == std::string_view::npos)
    return fmt::format("{}: holds nothing but zeros, which anybody can guess", path);
  return std::nullopt;
}

std::string why() { return std::generic_category().message(errno); }

// A new file that is whole on disk, or is not there.
std::optional<std::string> write_new_private_file(const std::string& path, base::BytesView bytes) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (file < 0) return fmt::format("{}: {}", path, why());
  const bool written = ::write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
  const bool kept = written && ::fsync(file) == 0;
  std::optional<std::string> problem;
  if (!kept) problem = fmt::format("{}: {}", path, why());
  ::close(file);
  std::error_code ignored;
  if (!kept) std::filesystem::remove(path, ignored);
  return problem;
}

}  // namespace

int derive_token_key(const TokenKeyArguments& arguments) {
  if (!handoff::gateway_id_allowed(arguments.gateway_id))
    return wrong_use(
        fmt::format(R"(--gateway is "{}"; allowed: 1 to 63 of a-z, 0-9 and -, but not "all")", arguments.gateway_id));
  const auto master = platform::read_private_bytes(arguments.master, master_bytes_max);
  if (!master) return wrong_use(fmt::format("--master {}", master.error()));
  if (const auto problem = master_problem(arguments.master, master->view()))
    return wrong_use(fmt::format("--master {}", *problem));
  const base::Digest key =
      base::derive_token_key(platform::hasher(), master->view(), arguments.gateway_id, arguments.version);
  if (const auto problem = write_new_private_file(arguments.out, key.view()))
    return wrong_use(fmt::format("--out {}", *problem));
  fmt::print("{}\n", base::token_key_name(platform::hasher(), key.view()));
  return exit_done;
}

}  // namespace app
