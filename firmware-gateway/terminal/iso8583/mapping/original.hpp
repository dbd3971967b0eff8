// Which transaction a message speaks of: its own, by what identifies it (domain rule: never by the STAN alone, which
// wraps and is often reset), and its original's, which reversals, completions and the batch upload name.
#pragma once

#include <optional>
#include <string>

#include "firmware-gateway/redact/fields.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/mti.hpp"
#include "firmware-gateway/terminal/iso8583/message.hpp"

namespace iso8583 {

// By field 60 in the batch upload, by field 90 (1987) or 56 (1993). A reversal that names none has its original's STAN:
// so terminals do whose request timed out. Nothing: the message names none, or filler.
[[nodiscard]] std::optional<redact::Original> original_of(const Message& message, const Mti& mti, unsigned year);

// Whether the message reverses something: of class reversal, or the batch upload of such a one.
[[nodiscard]] bool reverses(const Mti& mti, const std::optional<redact::Original>& original);

// Field 37; blank, or filled with zeros, as terminals do until a host has given one: none.
[[nodiscard]] std::string reference_number_of(const Message& message);

// What tells this message from others of the terminal with the same STAN, the same in each repeat: version, class and
// function, local time (else the transmission time), RRN, acquirer and merchant. A reversal is told by what it
// reverses, as its repeat may have a STAN, a time and an RRN of its own.
[[nodiscard]] std::string message_ref_of(const Message& message, const Mti& mti, unsigned year,
                                         const std::optional<redact::Original>& original);

}  // namespace iso8583
