// The tables that say what codes mean for an event. README.md has them for people.
#pragma once

#include <cstdint>
#include <string_view>

#include "firmware-gateway/terminal/iso8583/mapping/mti.hpp"

namespace iso8583 {

// What a transaction is, by the first two digits of field 3 (ISO 8583:1987, annex A; 1993, A.18).
enum class Purpose : std::uint8_t {
  sale,
  cash_advance,
  debit_adjustment,
  credit_adjustment,
  refund,
  inquiry,   // balance, statement: moves nothing
  transfer,  // between the cardholder's own accounts: nothing of the shop's
  unknown,   // private use: something has happened, and nobody can say what to the shop's takings
};
[[nodiscard]] Purpose purpose_of(std::string_view processing_code);

// An event's type, of a message that is no reversal. `preauthorized`: POS condition 06, or a function code of 1993 that
// says so; `completes`: it names an authorization as its original.
[[nodiscard]] std::string_view type_of(Purpose purpose, MessageClass message_class, bool preauthorized, bool completes);

// What field 39 says: outcome and, where the code says it, by whom.
struct Decision {
  std::string_view outcome;        // approved declined partial failed
  std::string_view authorized_by;  // offline, or empty
};
// Two characters of 1987, or three digits of 1993. Blank or unreadable: nothing is decided, both empty.
[[nodiscard]] Decision decision_of(std::string_view response_code);

// entry_mode by field 22: its first two of three digits in 1987, the seventh of twelve characters in 1993. Empty:
// unknown.
[[nodiscard]] std::string_view entry_mode_of(std::string_view field_22);

// cvm by EMV tag 9F34, in hex. Empty: it does not say.
[[nodiscard]] std::string_view cvm_of(std::string_view cvm_results_hex);

// reason of a reversal by field 39 (1987) or the message reason code in field 25 (1993). Empty: another one.
[[nodiscard]] std::string_view reversal_reason_of(std::string_view code);

}  // namespace iso8583
