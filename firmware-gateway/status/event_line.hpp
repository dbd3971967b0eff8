// One journaled event as a line of JSON, for `journal export`: flat, with the names of the HTTP interface.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/bytes.hpp"

namespace status {

struct LinePlace {
  std::uint64_t row = 0;
  std::string epoch;
  std::uint64_t seq = 0;
  bool committed = false;
};

// With its line break. A record that cannot be read is given as it is, in hex, as "record".
[[nodiscard]] std::string event_line(const LinePlace& place, base::BytesView record);

}  // namespace status
