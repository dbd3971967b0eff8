// The public table of gateways: what the stream knows about each, so that a reader can tell that a shop's day is
// complete.
#pragma once

#include <optional>

#include "cloud-bridge/stream/stream.hpp"
#include "proto/wire/handoff.pb.h"

namespace stream {

struct GatewayState {
  std::string_view gateway_id;
  base::UtcTime last_heard_at;
  // The stored progress, once there is any.
  std::optional<handoff::Place> progress;
  // The last Heartbeat, once there was one.
  const tillstream::v1::Heartbeat* heartbeat = nullptr;
  bool quarantined = false;
};
[[nodiscard]] GatewayRow render_gateway_row(const GatewayState& state);

}  // namespace stream
