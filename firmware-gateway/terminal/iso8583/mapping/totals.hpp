// Totals: from a reconciliation request or advice (x5xx) to the batch_total that it tells of.
#pragma once

#include <optional>

#include "firmware-gateway/redact/card_guard.hpp"
#include "firmware-gateway/terminal/iso8583/dialect.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/event.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/mti.hpp"
#include "firmware-gateway/terminal/iso8583/message.hpp"

namespace iso8583 {

// Of a message with terminal and STAN. Totals that cannot be read are left out and named in `incomplete`.
[[nodiscard]] redact::Draft totals_of(const Message& request, const Mti& mti, const Dialect& dialect, const Told& told);

// Whether a draft of totals_of has any.
[[nodiscard]] bool has_totals(const redact::Draft& draft);

// Whether the message says its totals in fields 74 to 97.
[[nodiscard]] bool has_total_fields(const Message& request);

}  // namespace iso8583
