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

}  // namespace ingest
