// The fields of an event as people and consumers read them: members of one flat JSON object, snake_case, UTC; what is
// absent is left out. The only list of them: the stream's value and the gateway's export are both made here, so that a
// new field of event.proto has one place to be added to (a test walks event.proto and misses it).
//
// Invariants:
//   (1) The same event gives the same bytes, whatever the order of the maps.
//   (2) Every field of Event is shown, under its own name but for: occurred_at_ms, received_at_ms and published_at_ms
//   (as
//       RFC 3339 "occurred_at" …), clock_synced ("clock"; a bridge's own notices say nothing of it) and details
//       ("detail_<key>" each).
//
// Pure, no state; any thread. The event's texts are UTF-8 once protobuf has parsed it.
#pragma once

#include <string_view>

#include "proto/base/json_object.hpp"
#include "proto/wire/event.pb.h"

namespace wire {

// The source of the notices that a bridge writes itself.
inline constexpr std::string_view kBridgeSource = "bridge";

void append_event(base::JsonObject& json, const tillstream::v1::Event& event);

}  // namespace wire
