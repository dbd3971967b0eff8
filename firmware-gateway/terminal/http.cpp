#include "firmware-gateway/terminal/http.hpp"

#include <algorithm>

#include "firmware-gateway/terminal/json_event.hpp"
#include "firmware-gateway/terminal/ndjson.hpp"

namespace terminal {
namespace {

constexpr std::string_view event_path = "/v1/events";
constexpr std::string_view batch_path = "/v1/events/batch";
constexpr std::string_view json_type = "application/json";
constexpr std::string_view ndjson_type = "application/x-ndjson";

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
  const bool batch = path == batch_path;
  if (!batch && path != event_path)
    return refuse(Reason::not_found, "events are submitted to /v1/events or /v1/events/batch");
  if (method != "POST") return wrong_method();
  const std::string_view wanted = batch ? ndjson_type : json_type;
  if (!is_media_type(content_type, wanted))
    return refuse(Reason::unsupported_media_type, "Content-Type must be " + std::string(wanted) + ", in UTF-8");
  return batch ? Submission::batch : Submission::event;
}

std::size_t body_bytes_max(std::string_view path) {
  return 1 + (path == batch_path ? batch_bytes_max : event_bytes_max);
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
