// UTF-8, as RFC 3629 has it: no overlong forms, no surrogates, nothing beyond U+10FFFF.
#pragma once

#include <cstddef>
#include <string_view>

namespace base {

// Bytes of the sequence at the start of `text` (1 to 4), or 0 when there is no valid one. `text` is not empty.
[[nodiscard]] std::size_t utf8_length(std::string_view text);

// Bytes from the start of `text` that are valid UTF-8; text.size() when all are.
[[nodiscard]] std::size_t utf8_prefix(std::string_view text);

}  // namespace base
