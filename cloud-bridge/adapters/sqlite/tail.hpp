// Tail: the embedded stream's events as JSON lines, from a process of its own. Reads only, holds no snapshot between
// two pages, and stays open across the bridge's crashes and restarts.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <string_view>

#include "cloud-bridge/stream/place.hpp"

namespace sqlite {

struct TailSettings {
  std::string path;
  stream::Position from;  // the first position that is printed
  bool follow = false;    // go on when the end is reached
};

// One line a record: its value with "position" put first, so that {"position":7,"schema_version":1,…}\n.
[[nodiscard]] std::string tail_line(stream::Position position, std::string_view value);

// Calls `write` with whole lines until the end, or for ever with `follow`; write answers false when nobody reads any
// more, stopped answers true when it is time to end. Both ends are success. The error is for people.
[[nodiscard]] std::expected<void, std::string> tail(const TailSettings& settings,
                                                    const std::function<bool(std::string_view lines)>& write,
                                                    const std::function<bool()>& stopped);

}  // namespace sqlite
