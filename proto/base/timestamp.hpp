// Reading RFC 3339 times, as terminals write them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "proto/base/instant.hpp"

namespace base {

struct Timestamp {
  UtcTime utc;
  // The offset in which it was written: local = utc + offset. "-00:00" (offset unknown) is 0.
  std::chrono::minutes offset{0};
};

// Longest text that is looked at.
inline constexpr std::size_t timestamp_chars_max = 64;

// Date and time with an offset, "2026-11-24T22:23:51.042+01:00"; 'T', 't' or a blank between them, 'Z' or 'z' for UTC.
// Digits of a second beyond milliseconds are cut. A leap second (23:59:60 UTC on the last day of a month) is kept as
// the last millisecond before it. Only years 1900 to 9999 (UTC): others are no times of a card terminal, and to_rfc3339
// could not write them.
[[nodiscard]] std::optional<Timestamp> parse_rfc3339(std::string_view text);

// "2026-11-24T22:23:51.042+01:00": local time in its offset. A time that cannot be said is given as the nearest one
// that can.
[[nodiscard]] std::string to_rfc3339(const Timestamp& time);

}  // namespace base
