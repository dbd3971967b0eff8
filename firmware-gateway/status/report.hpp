// What the gateway tells about itself, from its Facts: status, health, metrics.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "firmware-gateway/status/facts.hpp"

namespace status {

// GET /v1/status.
[[nodiscard]] std::string status_json(const Facts& facts);

// Health is progress: events arrive in the stream, and new ones are stored. A process that is up and stuck is not
// healthy. Empty: healthy; otherwise a sentence each.
[[nodiscard]] std::vector<std::string> unhealthy_reasons(const Facts& facts, std::chrono::milliseconds unhealthy_after);
// Whether terminals' events can be stored now; health beyond that is no reason to send them elsewhere.
[[nodiscard]] std::vector<std::string> unready_reasons(const Facts& facts);

struct Verdict {
  unsigned http_status = 200;
  std::string json;
};
[[nodiscard]] Verdict verdict(const std::vector<std::string>& reasons);

// GET /metrics: Prometheus' text format, version 0.0.4.
[[nodiscard]] std::string metrics_text(const Facts& facts);

}  // namespace status
