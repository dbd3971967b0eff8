// Text that several rooms read or write: RFC 3339 times, quantities, the nearest known word.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "proto/base/instant.hpp"

namespace base {

// Milliseconds since 1970 that RFC 3339 can say: 0001-01-01T00:00:00.000Z to 9999-12-31T23:59:59.999Z.
inline constexpr std::int64_t rfc3339_min = -62'135'596'800'000;
inline constexpr std::int64_t rfc3339_max = 253'402'300'799'999;
[[nodiscard]] constexpr bool rfc3339_can_say(std::int64_t milliseconds) {
  return milliseconds >= rfc3339_min && milliseconds <= rfc3339_max;
}

// "2026-11-24T21:23:51.042Z": always UTC, always milliseconds. A time that cannot be said is given as the nearest one
// that can.
[[nodiscard]] std::string to_rfc3339(UtcTime time);

// The known word closest to `word` (Damerau-Levenshtein distance of at most a third of its length, at least 1), or ""
// when none is near. For error messages: "unknown key 'windw_events'; did you mean 'window_events'?".
[[nodiscard]] std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

// The known word closest to `word`, however far it is; "" only when none is known. For a choice so small that any hint
// is a good one: a command's flags.
[[nodiscard]] std::string_view closest(std::string_view word, std::span<const std::string_view> known);

}  // namespace base
