// Whether each field, by itself, says something possible: presence, words, lengths, characters, ranges.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "firmware-gateway/redact/fields.hpp"
#include "firmware-gateway/redact/refusal.hpp"

namespace ingest {

inline constexpr std::size_t text_characters_max = 64;  // Unicode code points
inline constexpr std::size_t attributes_max = 16;
inline constexpr std::size_t attribute_name_bytes_max = 64;
inline constexpr std::size_t attribute_value_bytes_max = 512;
inline constexpr std::int64_t amount_max = 999'999'999'999'999;
inline constexpr std::int64_t installments_max = 999;

// The first thing that is wrong, in the order of the field table; nothing when all is well.
[[nodiscard]] std::optional<redact::Refusal> check_fields(const redact::Fields& fields);

// Of an event that has happened and that nobody will send differently (OnConflict::store): what check_fields would
// refuse is left out and named in `incomplete`. Without these it stays refused: type, terminal_id, terminal_ref,
// occurred_at.
[[nodiscard]] redact::Fields without_the_unstorable(redact::Fields fields);

}  // namespace ingest
