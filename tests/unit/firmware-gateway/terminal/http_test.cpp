#include "firmware-gateway/terminal/http.hpp"

#include <doctest/doctest.h>

using terminal::HttpAnswer;
using terminal::Reason;
using terminal::Refusal;
using terminal::route;
using terminal::Stored;
using terminal::Submission;

namespace {

unsigned refused(std::string_view method, std::string_view path, std::string_view type) {
  const auto routed = route(method, path, type);
  const auto* const answer = std::get_if<HttpAnswer>(&routed);
  return answer == nullptr ? 0 : answer->status;
}

}  // namespace

TEST_CASE("http: events and batches go to their own paths with their own media types") {
  CHECK(std::get<Submission>(route("POST", "/v1/events", "application/json")) == Submission::event);
  CHECK(std::get<Submission>(route("POST", "/v1/events", "Application/JSON; charset=UTF-8")) == Submission::event);
  CHECK(std::get<Submission>(route("POST", "/v1/events/batch", "application/x-ndjson")) == Submission::batch);
  CHECK(std::get<Submission>(route("POST", "/v1/nexo", "application/json; charset=utf-8")) == Submission::nexo);
}

TEST_CASE("http: other paths, methods and media types are answered 404, 405 and 415") {
  CHECK(refused("POST", "/v1/event", "application/json") == 404);
  CHECK(refused("POST", "/v1/events/", "application/json") == 404);
  CHECK(refused("POST", "/v1/nexo/", "application/json") == 404);
  CHECK(refused("GET", "/v1/nexo", "") == 405);
  CHECK(refused("POST", "/v1/nexo", "text/plain") == 415);
  CHECK(refused("GET", "/v1/events", "") == 405);
  CHECK(refused("PUT", "/v1/events/batch", "application/x-ndjson") == 405);
  CHECK(refused("POST", "/v1/events", "") == 415);
  CHECK(refused("POST", "/v1/events", "text/json") == 415);
  CHECK(refused("POST", "/v1/events", "application/x-ndjson") == 415);
  CHECK(refused("POST", "/v1/events", "application/json; charset=iso-8859-1") == 415);
  CHECK(refused("POST", "/v1/events/batch", "application/json") == 415);
  const auto routed = route("GET", "/v1/events", "");
  CHECK(std::get<HttpAnswer>(routed).headers.at(0) == std::pair<std::string, std::string>("Allow", "POST"));
}

TEST_CASE("http: each answer has the status and the body of the interface") {
  const HttpAnswer stored =
      terminal::to_http(Stored{.event_id = "0192f3c4-5b6a-7c8d-9e0f-112233445566", .epoch = "ab", .seq = 42});
  CHECK(stored.status == 201);
  CHECK(stored.content_type == "application/json");
  CHECK(stored.body ==
        R"({"event_id":"0192f3c4-5b6a-7c8d-9e0f-112233445566","epoch":"ab","seq":42,"duplicate":false})");
  CHECK(terminal::to_http(Stored{.event_id = "x", .epoch = "y", .seq = 1, .duplicate = true}).status == 200);

  const HttpAnswer invalid = terminal::to_http(redact::invalid(redact::Field::currency, "is required"));
  CHECK(invalid.status == 400);
  CHECK(invalid.body == R"({"error":{"code":"invalid_field","field":"currency","message":"is required"}})");

  const HttpAnswer busy = terminal::to_http(Refusal{Reason::busy, {}, "full", std::chrono::seconds(7)});
  CHECK(busy.status == 503);
  CHECK(busy.headers.at(0) == std::pair<std::string, std::string>("Retry-After", "7"));
  CHECK(busy.body == R"({"error":{"code":"busy","message":"full"}})");
}

TEST_CASE("http: every reason has its code and status") {
  const std::vector<std::tuple<Reason, unsigned, std::string_view>> table{
      {Reason::invalid_json, 400, "invalid_json"},
      {Reason::invalid_protobuf, 400, "invalid_protobuf"},
      {Reason::invalid_field, 400, "invalid_field"},
      {Reason::unknown_terminal, 403, "unknown_terminal"},
      {Reason::card_number_refused, 403, "card_number_refused"},
      {Reason::not_found, 404, "not_found"},
      {Reason::method_not_allowed, 405, "method_not_allowed"},
      {Reason::conflicting_duplicate, 409, "conflicting_duplicate"},
      {Reason::too_large, 413, "too_large"},
      {Reason::unsupported_media_type, 415, "unsupported_media_type"},
      {Reason::busy, 503, "busy"},
      {Reason::storage, 503, "storage"}};
  for (const auto& [reason, status, code] : table) {
    CHECK(redact::status_of(reason) == status);
    CHECK(redact::word(reason) == code);
  }
}

TEST_CASE("http: bodies are read one byte beyond what is allowed, so that the answer can say so") {
  CHECK(terminal::body_bytes_max("/v1/events") == 16 * 1024 + 1);
  CHECK(terminal::body_bytes_max("/v1/events/batch") == 4 * 1024 * 1024 + 1);
  CHECK(terminal::body_bytes_max("/v1/nexo") == 256 * 1024 + 1);
}
