// The terminals' HTTP: POST /v1/events, /v1/events/batch and /v1/nexo.
#pragma once

#include "firmware-gateway/adapters/net/intake.hpp"
#include "proto/platform/http_server.hpp"

namespace net {

// `intake` must outlive the server.
[[nodiscard]] platform::HttpHandler terminal_routes(Intake& intake);
// For HttpSettings::max_body_bytes.
[[nodiscard]] std::size_t terminal_body_bytes_max(std::string_view method, std::string_view path);

}  // namespace net
