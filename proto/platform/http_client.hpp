// A small blocking HTTP client, for questions to an admin port or a schema registry. Not for the run loop.
#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <string>
#include <string_view>

namespace platform {

struct HttpClientSettings {
  std::chrono::milliseconds timeout{10'000};  // without any progress
  std::string ca = {};                        // PEM file for https; empty: the system's
  std::string token = {};                     // sent as "Authorization: Bearer …" when not empty
  std::string username = {};                  // sent with the password as "Authorization: Basic …" when not empty
  std::string password = {};
  std::string content_type = "application/json";
  std::size_t max_body_bytes = 64 * 1024 * 1024;  // without on_chunk
};

struct HttpAnswer {
  unsigned status = 0;
  std::string content_type;
  std::string body;  // empty when on_chunk took it
};

// Takes a part of a 2xx body as it comes; false ends the request.
using HttpChunk = std::function<bool(std::string_view bytes)>;

// "http://127.0.0.1:8800/v1/status" or "https://…". Any status is an answer. The error says what could not be done and
// with which address: wrong URL, no connection, certificate, timeout, an answer that is not HTTP or ends too early.
[[nodiscard]] std::expected<HttpAnswer, std::string> http_request(std::string_view method, std::string_view url,
                                                                  std::string_view body = {},
                                                                  const HttpClientSettings& settings = {},
                                                                  const HttpChunk& on_chunk = {});

}  // namespace platform
