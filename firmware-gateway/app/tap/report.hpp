// What the tap tells of itself: status, health, metrics.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "firmware-gateway/adapters/tap/relay.hpp"
#include "firmware-gateway/tap/delivery.hpp"
#include "firmware-gateway/tap/observer.hpp"
#include "proto/platform/http_server.hpp"
#include "proto/platform/metrics.hpp"

namespace tap_app {

struct LineFacts {
  std::string name;
  std::string listen;
  std::string host;
  std::string dialect;
  bool tls = false;
  const tap::RelayCounts* relay = nullptr;
  const tap::Observer* observer = nullptr;
};

struct Facts {
  std::vector<LineFacts> lines;
  std::string socket;
  // Pieces of what was relayed that were not copied.
  std::uint64_t pieces_refused = 0;
  // Why there is no connection to the gateway; empty: there is one.
  std::string gateway_trouble;
  const tap::Delivery* delivery = nullptr;
  // The oldest copy that the gateway has not taken.
  std::optional<std::chrono::milliseconds> oldest;
  std::chrono::milliseconds unhealthy_after{0};
};

[[nodiscard]] std::string status_json(const Facts& facts);
// Why the tap is not well; empty: it is.
[[nodiscard]] std::string trouble_of(const Facts& facts);
void fill(platform::Metrics& metrics, const Facts& facts);

}  // namespace tap_app
