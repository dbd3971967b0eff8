// Card brands by the first digits of the number (IIN, ISO/IEC 7812), and the Luhn check.
#pragma once

#include <cstddef>
#include <string_view>

namespace redact {

inline constexpr std::size_t pan_digits_min = 12;
inline constexpr std::size_t pan_digits_max = 19;

// Whether the last digit checks the others. The text holds digits only.
[[nodiscard]] bool passes_luhn(std::string_view digits);

// The brand of a number that begins so: "visa", "mastercard" …; "" when unknown. Works on whatever leading digits are
// known.
[[nodiscard]] std::string_view brand_of(std::string_view leading_digits);

// Whether digits found in free text are taken for a card number: known IIN, one of that brand's lengths, and Luhn.
// Visa's 13 digits are left out: they collide with EAN-13 barcodes, and no such card has been issued for decades.
[[nodiscard]] bool looks_like_pan(std::string_view digits);
// The same without Luhn: enough where other signs of a card are near (a track's separator).
[[nodiscard]] bool has_card_prefix(std::string_view digits);
// For digits cut out of a longer run of digits: the usual length of each brand only, and none of the wide Maestro
// ranges.
[[nodiscard]] bool looks_like_embedded_pan(std::string_view digits);

}  // namespace redact
