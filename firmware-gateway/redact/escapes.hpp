// Characters written as escapes: %20 (URLs), &nbsp; &#32; &#x20; (HTML), \u0020 \x20 \n (JSON and C).
#pragma once

#include <optional>
#include <string_view>

#include "firmware-gateway/redact/unicode.hpp"

namespace redact {

// The character that an escape at the beginning of the text stands for, with the escape's length; nothing when there is
// none. A named entity of HTML that is no letter or digit, and a byte of %-encoded UTF-8, count as a blank.
[[nodiscard]] std::optional<CodePoint> undo_escape(std::string_view text);

[[nodiscard]] bool may_hold_escapes(std::string_view text);

}  // namespace redact
