// The text around HTTP messages: request targets in, response heads out. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proto/platform/http_message.hpp"

namespace platform {

// Fills path and query from a request target ("/v1/events?from=7", or "http://host/v1/events"). False: it is not one,
// or holds a broken escape or a control character.
[[nodiscard]] bool parse_target(std::string_view target, HttpRequest& request);

// How a response's body ends.
struct Framing {
  std::optional<std::size_t> content_length;  // none: chunked, or until the connection closes
  bool chunked = false;
  bool keep_alive = false;
};

// Appends status line and headers, with the empty line. Control characters in header values become spaces, so that a
// value cannot end its line.
void append_head(std::string& out, const HttpResponse& response, const Framing& framing);

// Appends one chunk of the chunked coding. An empty chunk would end the body: nothing is appended for it.
void append_chunk(std::string& out, std::string_view bytes);
inline constexpr std::string_view last_chunk = "0\r\n\r\n";

}  // namespace platform
