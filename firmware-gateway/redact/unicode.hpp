// UTF-8, as far as the guard and the field rules need it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace redact {

struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 1;
};

// The code point at the beginning of a text that is not empty; nothing when the bytes are no well-formed UTF-8 (RFC
// 3629: no surrogates, no overlong forms, nothing beyond U+10FFFF).
[[nodiscard]] std::optional<CodePoint> decode(std::string_view text);

// Number of characters (code points); nothing when the text is no well-formed UTF-8.
[[nodiscard]] std::optional<std::size_t> count_characters(std::string_view text);

// Whether every character can be shown: no control characters (C0, DEL, C1), line and paragraph separators,
// bidirectional overrides (they make a text read as another one), byte order marks or non-characters. False for
// malformed UTF-8, too.
[[nodiscard]] bool is_printable(std::string_view text);

}  // namespace redact
