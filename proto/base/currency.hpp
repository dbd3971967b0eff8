// Currencies by ISO 4217, as published on 2026-01-01: every code that has a minor unit. Metals, bond units, XDR, XUA,
// XSU, the test code XTS and "no currency" XXX have none, so no amount in minor units can be given in them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace base {

struct Currency {
  std::string_view alpha;     // "EUR"; lives for ever
  std::uint16_t numeric = 0;  // 978
  std::uint8_t exponent = 0;  // digits after the decimal point: JPY 0, EUR 2, KWD 3, CLF 4
};

// By alphabetic code (upper case, three letters) or numeric code (exactly three digits: "036").
[[nodiscard]] std::optional<Currency> find_currency(std::string_view code);

}  // namespace base
