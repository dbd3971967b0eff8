// Format: a field's format as the standard writes it: n6, an12, n..19, z..37, x+n8, b64, ans...999.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace iso8583 {

struct Format {
  enum class Kind : std::uint8_t {
    numeric,  // n
    text,     // a, an, ans, as, ns, s, anp, ansb …
    track,    // z
    amount,   // x+n: a sign and digits
    binary,   // b: bits when fixed, bytes when variable
  };
  Kind kind = Kind::text;
  // Digits of its length, one for each dot; 0: fixed.
  unsigned length_digits = 0;
  // As written; for amounts without the sign.
  std::uint32_t max = 0;
};

// Nothing for a text that is no format: letters of a kind, at most four dots, 1 to 9999 (bits of b: a multiple of 8).
[[nodiscard]] std::optional<Format> parse_format(std::string_view text);

}  // namespace iso8583
