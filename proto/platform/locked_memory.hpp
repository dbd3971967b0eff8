// Locked memory: keys in pages that are never swapped out nor dumped (OpenSSL's secure heap), wiped when the last one
// who shares them lets go. Once open, OpenSSL keeps the private keys of certificates there, too.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

namespace platform {

// The first LockedBytes opens it, too. Empty when done; else why its pages cannot be locked (RLIMIT_MEMLOCK): keys then
// lie in ordinary memory.
[[nodiscard]] std::string open_locked_memory();

class LockedBytes {
 public:
  LockedBytes() = default;
  explicit LockedBytes(std::size_t size);

  [[nodiscard]] char* data() { return bytes_.get(); }
  [[nodiscard]] std::string_view view() const { return {bytes_.get(), size_}; }
  // Not beyond what it was made with.
  void shrink(std::size_t size) { size_ = size; }
  // One place, however many share it.
  [[nodiscard]] std::shared_ptr<const char[]> share() const { return bytes_; }

 private:
  std::shared_ptr<char[]> bytes_;
  std::size_t size_ = 0;
};

// The bytes of a file that nobody but its owner may read, at most one more than `bytes_max`: who gets more than it
// wanted says so. The error reads after the setting's key.
[[nodiscard]] std::expected<LockedBytes, std::string> read_private_bytes(const std::string& path,
                                                                         std::size_t bytes_max);

}  // namespace platform
