// Secret: text that may hold card data, wiped from memory as soon as it is no longer needed.
//
// Move-only, so that no copy is left behind. std::string cannot do this: short strings live inside the object, and
// growing leaves the old bytes behind.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "proto/base/wipe.hpp"

namespace redact {

using base::wipe;

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string_view text) { append(text); }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  ~Secret() { clear(); }

  void append(std::string_view text);
  void clear() noexcept;

  [[nodiscard]] std::string_view view() const { return {bytes_.get(), size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace redact
