// Offsets: a place in a topic of several partitions, as users write it.
//
//   "3:120"         partition 3 from offset 120 on, every other one from its beginning
//   "0:17,3:120"    several
//   "" or "0"       everything
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace stream {

// The first offset to be read, by partition; a partition that is not named is read from its beginning.
using Offsets = std::map<std::int32_t, std::int64_t>;

// None when it is no such text: a partition twice, a sign, a number too large, anything around it.
[[nodiscard]] std::optional<Offsets> parse_offsets(std::string_view text);
// As parse_offsets takes it.
[[nodiscard]] std::string to_text(const Offsets& offsets);

}  // namespace stream
