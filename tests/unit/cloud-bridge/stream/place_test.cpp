#include "cloud-bridge/stream/place.hpp"

#include <doctest/doctest.h>

using stream::Bound;
using stream::parse_position;
using stream::Position;

TEST_CASE("place: a position is the next one itself, or the one behind what was seen") {
  CHECK(position_of(*parse_position("0", Bound::from)) == Position(0));
  CHECK(position_of(*parse_position("17", Bound::from)) == Position(17));
  CHECK(position_of(*parse_position("17", Bound::after)) == Position(18));
}

TEST_CASE("place: behind the largest number there is nothing, and never the beginning") {
  CHECK(position_of(*parse_position("18446744073709551615", Bound::after)) == Position(UINT64_MAX));
  CHECK_FALSE(parse_position("18446744073709551616", Bound::after));
}

TEST_CASE("place: what is no number is refused with what is allowed") {
  for (const char* text : {"", "x", "-1", "+1", "1.5", " 1", "1 ", "0x1", "0:1"}) {
    CAPTURE(text);
    const auto parsed = parse_position(text, Bound::from);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error() == "a number from 0 on");
  }
}
