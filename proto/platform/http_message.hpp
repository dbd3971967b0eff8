// What an HTTP handler is given and what it answers.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace platform {

struct HttpRequest {
  std::string method;  // upper case as it came; HEAD arrives as GET, and the server leaves the body out
  std::string path;    // decoded, without the query
  std::vector<std::pair<std::string, std::string>> query;  // decoded
  std::string host;                                        // "shop.example:8800"; empty in HTTP/1.0 only
  std::string content_type;
  std::string authorization;
  std::string last_event_id;
  std::string body;
  bool peer_is_loopback = false;
  bool tls = false;

  // Value of a query parameter; the first one, where it is given twice.
  [[nodiscard]] std::optional<std::string_view> parameter(std::string_view name) const;
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
};

// {"error":{"code":"busy","message":"…"}}
[[nodiscard]] HttpResponse error_response(unsigned status, std::string_view code, std::string_view message);

// 400 for a query with a parameter that is not among the known ones, or one given twice: nobody should believe that
// something was asked for which was not read. Names the known ones, and never repeats what it does not know.
[[nodiscard]] std::optional<HttpResponse> refuse_query(const HttpRequest& request,
                                                       std::span<const std::string_view> known);

}  // namespace platform
