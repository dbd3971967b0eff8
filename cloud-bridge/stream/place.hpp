// Place: where a reader goes on, in the words of its stream. Everybody else keeps it and compares it, and no more.
//
//   the embedded stream   a position: "17"
//   Kafka                 the next offset of every partition: "0:12,1:7,2:0"
#pragma once

#include <string>
#include <string_view>

#include "proto/base/result.hpp"
#include "proto/base/strong.hpp"

namespace stream {

struct Place {
  std::string text;

  friend bool operator==(const Place&, const Place&) = default;
};

// What a place that somebody wrote down stands for: what comes next, or what was seen last.
enum class Bound { from, after };

// Where a record is in the embedded stream: 1, 2, 3 …, with gaps; 0: before the first.
using Position = base::Strong<struct PositionTag>;

// A place that is a position. The error says what is allowed.
[[nodiscard]] base::Result<Place, std::string> parse_position(std::string_view text, Bound bound);
[[nodiscard]] Place place_at(Position next);
// Of a place that came from one of the two above.
[[nodiscard]] Position position_of(const Place& place);

}  // namespace stream
