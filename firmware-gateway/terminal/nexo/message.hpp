// A nexo Retailer message (Sale to POI, JSON, as Adyen's Terminal API has it): bytes in, drafts out.
//
//   SaleToPOIResponse or SaleToPOIRequest
//     PaymentResponse, ReversalResponse          → sale, refund, reversal …
//     TransactionStatusResponse                  → the answer that it repeats, under that one's own key
//     ReconciliationResponse, GetTotalsResponse  → batch_total, one a currency
//     EventNotification                          → terminal_status
//     NexoBlob (encrypted)                       → terminal_status "encrypted": it cannot be read, nothing of it is
//     kept anything else                              → nothing: it is not for us
//
// Which member becomes which field stands in README.md. Nothing else leaves this folder, and card data only as
// Draft::card_number, for the guard.
#pragma once

#include <string_view>
#include <vector>

#include "firmware-gateway/terminal/http.hpp"
#include "firmware-gateway/terminal/nexo/event_draft.hpp"

namespace terminal::nexo {

struct Message {
  // None: not for us.
  std::vector<redact::Draft> drafts;
  // Sent by itself, and sent again until it hears "[accepted]".
  bool notification = false;
};

// Refused: 413 beyond nexo_bytes_max; 400 for what is no such message, with the place.
[[nodiscard]] base::Result<Message, Refusal> read_message(std::string_view text, const Context& context);

// After the last answer has come. 200 only when everything is stored; otherwise the first refusal, a 503 before any
// other, as everything may be repeated.
[[nodiscard]] HttpAnswer to_http(bool notification, const std::vector<Answer>& answers);

}  // namespace terminal::nexo
