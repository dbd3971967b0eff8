// event.proto itself, for a schema registry.
#pragma once

#include <string_view>

namespace wire {

// The file as it is; Event is its first message.
[[nodiscard]] std::string_view event_schema();

}  // namespace wire
