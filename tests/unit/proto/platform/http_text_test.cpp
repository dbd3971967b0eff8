#include "proto/platform/http_text.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using platform::HttpRequest;
using platform::HttpResponse;

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string path_of(std::string_view target) {
  HttpRequest request;
  return platform::parse_target(target, request) ? request.path : "refused";
}

Pairs query_of(std::string_view target) {
  HttpRequest request;
  if (!platform::parse_target(target, request)) return {{"refused", ""}};
  return request.query;
}

}  // namespace

TEST_CASE("request targets: paths are decoded, plus signs stay, authorities go") {
  CHECK(path_of("/") == "/");
  CHECK(path_of("/a+b%20c%2Fd") == "/a+b c/d");
  CHECK(path_of("/%C3%A9") == "/é");
  CHECK(path_of("http://host:1/a?b=c") == "/a");
  CHECK(path_of("https://host") == "/");
  CHECK(path_of("*") == "*");
}

TEST_CASE("request targets: what is none is refused") {
  for (const char* target :
       {"", "a", "?a=b", "host:80", "/a#b", "/%", "/%4", "/%4g", "/%g4", "/%1f", "/%7f", "/?%", "/?a=%0", "/?a=%0d"}) {
    CAPTURE(std::string(target));
    CHECK(path_of(target) == "refused");
  }
}

TEST_CASE("request targets: queries are decoded pair by pair, in order, repeated keys too") {
  CHECK(query_of("/?") == Pairs{});
  CHECK(query_of("/?a=1&b=2&a=3") == Pairs{{"a", "1"}, {"b", "2"}, {"a", "3"}});
  CHECK(query_of("/?a") == Pairs{{"a", ""}});
  CHECK(query_of("/?a=") == Pairs{{"a", ""}});
  CHECK(query_of("/?=b") == Pairs{{"", "b"}});
  CHECK(query_of("/?a=b=c") == Pairs{{"a", "b=c"}});
  CHECK(query_of("/?&&a=1&") == Pairs{{"a", "1"}});
  CHECK(query_of("/?a%26b=c%3Dd+e") == Pairs{{"a&b", "c=d e"}});
}

TEST_CASE("response heads: 204 and 304 have neither type nor length") {
  std::string text;
  platform::append_head(text, {.status = 204}, {.content_length = 0, .keep_alive = true});
  CHECK(text == "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n");
}

TEST_CASE("response heads: a chunked one says so, and a chunk carries its length in hex") {
  std::string text;
  platform::append_head(text, {.content_type = "text/plain"}, {.content_length = std::nullopt, .chunked = true});
  CHECK(text ==
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
  text.clear();
  platform::append_chunk(text, "");
  CHECK(text.empty());
  platform::append_chunk(text, std::string(17, 'x'));
  CHECK(text == "11\r\n" + std::string(17, 'x') + "\r\n");
}

TEST_CASE("error responses: the message is JSON, whatever it holds") {
  const HttpResponse response = platform::error_response(400, "bad_request", "a \"quoted\" \\ and a\nnewline, and é");
  CHECK(response.status == 400);
  CHECK(response.content_type == "application/json");
  CHECK(response.body == R"({"error":{"code":"bad_request","message":"a \"quoted\" \\ and a\u000anewline, and é"}})");
}
