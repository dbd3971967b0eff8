// Texts that make a key, out of what identifies a nexo message.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "proto/base/hasher.hpp"

namespace terminal::nexo {

// The parts that are not empty with '/' between them, as long as they can be shown and have at most 64 characters.
// Otherwise the first one, '~', and 26 characters of a SHA-256 over all of them, from which card data has been taken
// out before. The same parts give the same text, for ever: it is kept in journals.
[[nodiscard]] std::string reference_of(std::initializer_list<std::string_view> parts, const base::Hasher& hasher);

}  // namespace terminal::nexo
