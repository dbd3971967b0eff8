// Settlement: what the gateway has recorded of a terminal since its last settlement, and how that compares with the
// terminal's own totals. The sums are the journal's tallies; what their numbers say is fixed here.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "firmware-gateway/journal/tally.hpp"
#include "firmware-gateway/redact/fields.hpp"
#include "proto/base/instant.hpp"
#include "proto/wire/event.pb.h"

namespace ingest {

// What an event adds to the sums of its terminal: count and amount of a sale, a refund, or a reversal of either, by its
// effect. One that may have moved money, and nobody can say how much, puts the batch in doubt instead. Nothing:
// neither.
[[nodiscard]] std::optional<journal::Tally> tally_of(const tillstream::v1::Event& event);

// A message of this terminal was rejected: what it told of is not in the sums. Of any_terminal: nobody knows whose.
inline constexpr std::string_view any_terminal;
[[nodiscard]] journal::Tally doubt_of(std::string_view terminal_id, base::UtcTime at);

// Compares a settlement with the sums, which hold everything of its terminal before it: sets recorded_…,
// difference_minor, in_balance and batch_closed. What is to be kept of it: the sums begin anew, when it closes the
// batch.
[[nodiscard]] std::optional<journal::Tally> settle(tillstream::v1::Event& event, const redact::Settlement& settlement,
                                                   const journal::Tallies& tallies);

}  // namespace ingest
