// ReconciliationResponse and GetTotalsResponse: one batch_total for each currency, the card brands added up.
#pragma once

#include <vector>

#include "firmware-gateway/terminal/nexo/event_draft.hpp"

namespace terminal::nexo {

// `category` is "Reconciliation" or "GetTotals". One without a currency where the message has no totals at all.
[[nodiscard]] std::vector<redact::Draft> read_totals(const Node& body, const Header& header, std::string_view category,
                                                     const Context& context);

}  // namespace terminal::nexo
