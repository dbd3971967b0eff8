#include "firmware-gateway/terminal/http.hpp"

#include <algorithm>
#include <array>

#include "firmware-gateway/terminal/json_event.hpp"
#include "firmware-gateway/terminal/ndjson.hpp"

namespace terminal {
namespace {

struct Door {
  std::string_view path;
  std::string_view content_type;
  std::size_t bytes_max;
  Submission submission;
};

constexpr std::array doors{Door{"/v1/events", "application/json", event_bytes_max, Submission::event},
                           Door{"/v1/events/batch", "application/x-ndjson", batch_bytes_max, Submission::batch},
                           Door{"/v1/nexo", "application/json", nexo_bytes_max, Submission::nexo}};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool same(std::string_view a, std::string_view b) { return std::ranges::equal(a, b, {}, lower, lower); }

// "application/json; charset=utf-8" is application/json; another charset is something that we do not read.
bool is_media_type(std::string_view given, std::string_view wanted) {
  const std::size_t end = std::min(given.find(';'), given.size());
  if (!same(trim(given.substr(0, end)), wanted)) return false;
  const std::string_view parameter = trim(given.substr(std::min(end + 1, given.size())));
  if (!same(parameter.substr(0, 8), "charset=")) return true;
  const std::string_view charset = parameter.substr(8);
  return same(charset, "utf-8") || same(charset, "\"utf-8\"") || same(charset, "utf8");
}

HttpAnswer refuse(Reason reason, std::string message) { return to_http(Refusal{reason, {}, std::move(message), {}}); }

HttpAnswer wrong_method() {
  HttpAnswer answer = refuse(Reason::method_not_allowed, "events are submitted with POST");
  answer.headers.emplace_back("Allow", "POST");
  return answer;
}

}  // namespace

std::variant<Submission, HttpAnswer> route(std::string_view method, std::string_view path,
                                           std::string_view content_type) {
  const auto* const door = std::ranges::find(doors, path, &Door::path);
  if (door == doors.end())
    return refuse(Reason::not_found, "events are submitted to /v1/events, /v1/events/batch or /v1/nexo");
  if (method != "POST") return wrong_method();
  if (!is_media_type(content_type, door->content_type))
    return refuse(Reason::unsupported_media_type,
                  "Content-Type must be " + std::string(door->content_type) + ", in UTF-8");
  return door->submission;
}

std::size_t body_bytes_max(std::string_view path) {
  const auto* const door = std::ranges::find(doors, path, &Door::path);
  return 1 + (door == doors.end() ? event_bytes_max : door->bytes_max);
}

HttpAnswer to_http(const Answer& answer) {
  HttpAnswer http{.status = status_of(answer), .body = to_json(answer), .headers = {}};
  const auto* const refusal = std::get_if<Refusal>(&answer);
  if (refusal != nullptr) http.refused = refusal->reason;
  if (refusal != nullptr && refusal->retry_after.count() > 0)
    http.headers.emplace_back("Retry-After", std::to_string(refusal->retry_after.count()));
  return http;
}

}  // namespace terminal
