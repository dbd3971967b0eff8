// What field 39 of an answer says: two characters in 1987, an action code of three digits in 1993.
#pragma once

#include <string_view>

#include "firmware-gateway/redact/refusal.hpp"
#include "firmware-gateway/terminal/iso8583/answers.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/mti.hpp"

namespace iso8583 {

// Taken and stored, or nothing to store.
[[nodiscard]] std::string_view accepted_code(MessageClass message_class, unsigned year);
// Of a settlement that is not closed. `chosen`: the dialect's; it may have been taken out of it since.
[[nodiscard]] std::string_view out_of_balance_code(std::string_view chosen, unsigned year);
[[nodiscard]] std::string_view format_error_code(unsigned year);
[[nodiscard]] std::string_view not_supported_code(unsigned year);
// Of an event that was refused. Empty: silence.
[[nodiscard]] std::string_view refused_code(redact::Reason reason, CannotStore cannot_store, unsigned year);

}  // namespace iso8583
