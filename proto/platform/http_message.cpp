#include "proto/platform/http_message.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "proto/base/text.hpp"

namespace platform {
namespace {

// Bytes that are not ASCII pass: messages are our own text, in UTF-8.
std::string json_text(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20) {
      escaped += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
      continue;
    }
    if (c == '"' || c == '\\') escaped.push_back('\\');
    escaped.push_back(c);
  }
  return escaped;
}

}  // namespace

std::optional<std::string_view> HttpRequest::parameter(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return std::nullopt;
}

HttpResponse error_response(unsigned status, std::string_view code, std::string_view message) {
  return {.status = status,
          .body = fmt::format(R"({{"error":{{"code":"{}","message":"{}"}}}})", json_text(code), json_text(message))};
}

std::optional<HttpResponse> refuse_query(const HttpRequest& request, std::span<const std::string_view> known) {
  for (auto at = request.query.begin(); at != request.query.end(); ++at) {
    const std::string_view name = at->first;
    if (std::ranges::find(known, name) == known.end()) {
      if (known.empty()) return error_response(400, "invalid_field", "has a query; allowed here: none");
      return error_response(400, "invalid_field",
                            fmt::format("a parameter of the query is not known, nearest: {}; allowed: {}",
                                        base::closest(name, known), fmt::join(known, ", ")));
    }
    const auto same = [name](const auto& other) { return other.first == name; };
    if (std::any_of(request.query.begin(), at, same))
      return error_response(400, "invalid_field", fmt::format("{} is given twice", name));
  }
  return std::nullopt;
}

}  // namespace platform
