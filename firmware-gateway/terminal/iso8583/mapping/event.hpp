// From a message, or a request and its answer, to the event that it tells of. The mapping, field by field, stands in
// README.md. Pure; what is card data goes through redact and nowhere else.
#pragma once

#include <optional>

#include "firmware-gateway/redact/card_guard.hpp"
#include "firmware-gateway/terminal/iso8583/dialect.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/mti.hpp"
#include "firmware-gateway/terminal/iso8583/message.hpp"

namespace iso8583 {

// Why a message makes no event.
enum class NoEvent : std::uint8_t {
  not_money,     // network management, fees, inquiries, verifications of no amount, a response by itself
  unidentified,  // without terminal or STAN nobody could tell it from another
};

struct Told {
  // The gateway has the answer of a host that decided: the outcome is that one's.
  const Message* answer = nullptr;
  // Nobody answered within the host's time.
  bool timed_out = false;
};

// The event of a request or advice. What cannot be read or makes no sense is left out and named in `incomplete`: it has
// happened all the same.
[[nodiscard]] base::Result<redact::Draft, NoEvent> to_draft(const Message& request, const Mti& mti,
                                                            const Dialect& dialect, const Told& told);

}  // namespace iso8583
