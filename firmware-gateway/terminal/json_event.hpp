// Reading one event from JSON: one flat object, strictly.
//
// Refused, each with its own words: what is no JSON or no UTF-8, anything but one object, a field given twice, an
// unknown field (the nearest known one is named), a value of another type (null, too), numbers with a fraction or an
// exponent or beyond 64 bits. Whether the values make sense is ingest's to decide. Memory: a constant times the text.
#pragma once

#include <cstddef>
#include <string_view>

#include "firmware-gateway/redact/card_guard.hpp"
#include "firmware-gateway/terminal/answer.hpp"
#include "proto/base/result.hpp"

namespace terminal {

inline constexpr std::size_t event_bytes_max = 16 * 1024;

// 413 beyond event_bytes_max.
[[nodiscard]] base::Result<redact::Draft, Refusal> read_json_event(std::string_view text);

[[nodiscard]] Refusal event_too_large();

}  // namespace terminal
