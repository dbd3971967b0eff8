// What a log line looks like after its time. Pure.
#pragma once

#include <string>
#include <string_view>

#include "proto/platform/log.hpp"

namespace platform::log {

enum class LineStyle { text, json, journal };

// text: `warn  message`, json: `"level":"warn","message":"…"`, journal: `<4>message`. Control characters are escaped,
// and in JSON bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string to_line(LineStyle style, Level level, std::string_view message);

}  // namespace platform::log
