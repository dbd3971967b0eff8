#include "cloud-bridge/stream/place.hpp"

#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <system_error>

#include "proto/base/assert.hpp"

namespace stream {
namespace {

std::optional<std::uint64_t> read_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

base::Result<Place, std::string> parse_position(std::string_view text, Bound bound) {
  const auto number = read_number(text);
  if (!number) return base::fail(std::string("a number from 0 on"));
  // Behind the last number that there is nothing comes; the number after it would be 0.
  const bool last = *number == std::numeric_limits<std::uint64_t>::max();
  return place_at(Position(bound == Bound::after && !last ? *number + 1 : *number));
}

Place place_at(Position next) { return {std::to_string(next.value())}; }

Position position_of(const Place& place) {
  const auto number = read_number(place.text);
  ASSERT(number.has_value());
  return Position(*number);
}

}  // namespace stream
