#include "firmware-gateway/redact/secret.hpp"

#include <algorithm>
#include <utility>

namespace redact {

Secret::Secret(Secret&& other) noexcept
    : bytes_(std::move(other.bytes_)),
      size_(std::exchange(other.size_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this == &other) return *this;
  clear();
  bytes_ = std::move(other.bytes_);
  size_ = std::exchange(other.size_, 0);
  capacity_ = std::exchange(other.capacity_, 0);
  return *this;
}

void Secret::append(std::string_view text) {
  if (size_ + text.size() > capacity_) {
    const std::size_t capacity = std::max(std::size_t{32}, 2 * (size_ + text.size()));
    auto grown = std::make_unique<char[]>(capacity);
    std::copy_n(bytes_.get(), size_, grown.get());
    wipe(bytes_.get(), capacity_);
    bytes_ = std::move(grown);
    capacity_ = capacity;
  }
  std::copy(text.begin(), text.end(), bytes_.get() + size_);
  size_ += text.size();
}

void Secret::clear() noexcept {
  wipe(bytes_.get(), capacity_);
  size_ = 0;
}

}  // namespace redact
