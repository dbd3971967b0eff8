// What the fields of ISO 8583:1987 and 1993 are called, and what they may hold.
#pragma once

#include <string_view>

#include "firmware-gateway/terminal/iso8583/dialect.hpp"

namespace iso8583 {

// "Amount, transaction"; "private use" for numbers that the standard does not name. Years before 1993 mean 1987.
[[nodiscard]] std::string_view field_name(unsigned number, unsigned year);

// The class that a field has when its dialect does not say another: text for what the standard leaves to others.
[[nodiscard]] DataClass usual_class(unsigned number, unsigned year);

}  // namespace iso8583
