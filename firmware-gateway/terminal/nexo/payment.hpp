// PaymentResponse and ReversalResponse as drafts.
#pragma once

#include "firmware-gateway/terminal/nexo/event_draft.hpp"

namespace terminal::nexo {

// `where` is the body's place in the message, for the refusal: one that nothing identifies could not be told from its
// own repeat.
[[nodiscard]] base::Result<redact::Draft, Refusal> read_payment(const Node& body, const Header& header,
                                                                const Context& context);
[[nodiscard]] base::Result<redact::Draft, Refusal> read_reversal(const Node& body, const Header& header,
                                                                 const Context& context);

}  // namespace terminal::nexo
