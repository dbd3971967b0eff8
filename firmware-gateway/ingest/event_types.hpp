// The words an event may use, and what its type and outcome mean for the shop's money.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "proto/wire/event.pb.h"

namespace ingest {

// sale refund reversal authorization completion adjustment cash_advance batch_total terminal_status
[[nodiscard]] std::span<const std::string_view> event_types();

// Moves, holds or gives back money: needs an amount and an outcome.
[[nodiscard]] bool moves_money(std::string_view type);
// May use the last of the journal's room.
[[nodiscard]] bool is_precious(std::string_view type);

// What an event adds to the shop's takings, signed; nothing when it has no amount. The table stands in the README.
[[nodiscard]] std::optional<std::int64_t> effect_of(const tillstream::v1::Event& event, std::string_view original_type);
// The same with the original at hand: what that one did counts, not only its type.
[[nodiscard]] std::optional<std::int64_t> effect_of(const tillstream::v1::Event& event,
                                                    const tillstream::v1::Event& original);

}  // namespace ingest
