// What single fields say, as values: digits, amounts, times. Each gives nothing for a field that is not there or does
// not hold what it should.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "firmware-gateway/redact/fields.hpp"
#include "firmware-gateway/terminal/iso8583/message.hpp"

namespace iso8583 {

// Without the blanks and NULs that fill a fixed field.
[[nodiscard]] std::string_view trimmed(std::string_view text);

// The field's text, trimmed; of a field that is not of class open what redact shows of it. Empty: not there, or blank.
[[nodiscard]] std::string text_of(const Message& message, unsigned number);

// Digits of a numeric field, of exactly so many; one that the dialect widened by zeros on the left (0978 for 978) loses
// them.
[[nodiscard]] std::optional<std::string_view> digits_of(const Message& message, unsigned number, std::size_t count);

// Digits as a number, at most 18 of them.
[[nodiscard]] std::optional<std::int64_t> to_number(std::string_view digits);

// Minor units in an n12 field (or one as wide as the dialect says).
[[nodiscard]] std::optional<std::int64_t> amount_of(const Message& message, unsigned number);

// A currency of three digits that a dialect has widened loses its zero.
[[nodiscard]] std::string_view currency_code(std::string_view text);

// What is written of the moment: field 7 in UTC; fields 12 and 13 (1993: 12 alone) in local time.
[[nodiscard]] std::optional<redact::WrittenTime> transmission_time(const Message& message);
[[nodiscard]] std::optional<redact::WrittenTime> local_time(const Message& message, unsigned year);

// The moment that a message writes, of both; false: none, or a date that is none in the place of the only one.
[[nodiscard]] bool set_written_times(const Message& message, unsigned year, redact::Fields& fields);

}  // namespace iso8583
