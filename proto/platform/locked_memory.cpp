#include "proto/platform/locked_memory.hpp"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <new>
#include <optional>
#include <system_error>

#include "proto/platform/private_file.hpp"

namespace platform {
namespace {

// A certificate's private key takes a few KiB, a token key 32 bytes, a TLS handshake that waits for its peer some 200
// bytes: OpenSSL does not fall back on ordinary memory when this is full.
constexpr std::size_t heap_bytes = 256UZ * 1'024;
constexpr std::size_t smallest_bytes = 16;

std::string error_text(const std::string& path) {
  return fmt::format("{}: {}", path, std::generic_category().message(errno));
}

class File {
 public:
  explicit File(const std::string& path) : number_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (number_ >= 0) ::close(number_);
  }
  [[nodiscard]] bool open() const { return number_ >= 0; }
  // Bytes read, fewer than asked for only at its end; nothing when it fails.
  [[nodiscard]] std::optional<std::size_t> read(char* into, std::size_t bytes) const {
    std::size_t done = 0;
    while (done < bytes) {
      const ssize_t got = ::read(number_, into + done, bytes - done);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return std::nullopt;
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

 private:
  int number_;
};

std::string make_heap() {
  switch (CRYPTO_secure_malloc_init(heap_bytes, smallest_bytes)) {
    case 1:
      return {};
    case 2:
      return fmt::format("{} KiB of memory could not be locked (see ulimit -l): keys may be swapped out",
                         heap_bytes / 1'024);
    default:
      return "no locked memory could be made: keys may be swapped out";
  }
}

}  // namespace

std::string open_locked_memory() {
  static const std::string problem = make_heap();
  return problem;
}

LockedBytes::LockedBytes(std::size_t size) : size_(size) {
  // Whoever runs for long says so when it was in vain.
  static_cast<void>(open_locked_memory());
  auto* const memory = static_cast<char*>(OPENSSL_secure_zalloc(size));
  if (memory == nullptr) throw std::bad_alloc();
  bytes_ = std::shared_ptr<char[]>(memory, [size](char* bytes) { OPENSSL_secure_clear_free(bytes, size); });
}

std::expected<LockedBytes, std::string> read_private_bytes(const std::string& path, std::size_t bytes_max) {
  if (auto problem = private_file_problem(path)) return std::unexpected(std::move(*problem));
  const File file(path);
  if (!file.open()) return std::unexpected(error_text(path));
  LockedBytes bytes(bytes_max + 1);
  const auto size = file.read(bytes.data(), bytes_max + 1);
  if (!size) return std::unexpected(error_text(path));
  bytes.shrink(*size);
  return bytes;
}

}  // namespace platform
