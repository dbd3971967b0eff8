#include "proto/base/wipe.hpp"

#include <cstring>

namespace base {

void wipe(void* memory, std::size_t bytes) noexcept {
  if (bytes == 0) return;
  std::memset(memory, 0, bytes);
  // Says that the zeroes are read, so that they must be written.
  __asm__ __volatile__("" : : "r"(memory) : "memory");
}

void wipe(std::string& text) noexcept {
  // Never allocates: the capacity is there already. Bytes beyond the size (of a longer text before) go, too.
  text.resize(text.capacity());
  wipe(text.data(), text.size());
  text.clear();
}

}  // namespace base
