// Amounts as nexo has them: decimal JSON numbers in major units, scaled here to minor units from the text that was
// written. No double ever sees them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace terminal::nexo {

// "12.5" with exponent 2 is 1250. Nothing for a sign, an exponent (1e2), anything but digits and one point, a value
// that has more decimals than the currency (zeros at the end do not count: 1000.00 JPY is 1000), or more than 15 digits
// in minor units.
[[nodiscard]] std::optional<std::int64_t> to_minor(std::string_view literal, unsigned exponent);

// A count: digits only.
[[nodiscard]] std::optional<std::int64_t> to_count(std::string_view literal);

}  // namespace terminal::nexo
