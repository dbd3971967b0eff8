// What HTTP adds to events and answers: where they are submitted, media types, status codes, headers.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "firmware-gateway/terminal/answer.hpp"

namespace terminal {

struct HttpAnswer {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  // Why nothing was stored, when it is a refusal.
  std::optional<Reason> refused = {};
};

// What a request submits.
enum class Submission { event, batch, nexo };

// POST /v1/events, /v1/events/batch or /v1/nexo with its media type; otherwise the answer: 404, 405 with Allow, or 415.
[[nodiscard]] std::variant<Submission, HttpAnswer> route(std::string_view method, std::string_view path,
                                                         std::string_view content_type);

// A nexo message: receipts and signatures make it long.
inline constexpr std::size_t nexo_bytes_max = 256 * 1024;

// Largest body to read for a path: one byte more than allowed, so that the answer can say what is wrong.
[[nodiscard]] std::size_t body_bytes_max(std::string_view path);

[[nodiscard]] HttpAnswer to_http(const Answer& answer);

}  // namespace terminal
