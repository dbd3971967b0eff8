// Text that several rooms read or write: RFC 3339 times, quantities, the nearest known word.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "proto/base/instant.hpp"

namespace base {

// "2026-11-24T21:23:51.042Z": always UTC, always milliseconds.
[[nodiscard]] std::string to_rfc3339(UtcTime time);

// The known word closest to `word` (Damerau-Levenshtein distance of at most a third of its length, at least 1), or ""
// when none is near. For error messages: "unknown key 'windw_events'; did you mean 'window_events'?".
[[nodiscard]] std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

}  // namespace base
