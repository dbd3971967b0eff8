// Result: what can be expected to fail returns one. Error values never hold payload (it may be card data); each
// enumerator of an error says what the caller should do.
#pragma once

#include <expected>
#include <utility>

namespace base {

template <class T, class E>
using Result = std::expected<T, E>;

template <class E>
[[nodiscard]] constexpr std::unexpected<E> fail(E error) {
  return std::unexpected<E>(std::move(error));
}

}  // namespace base
