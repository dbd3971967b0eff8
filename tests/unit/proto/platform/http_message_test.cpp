#include "proto/platform/http_message.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string_view>

using platform::HttpRequest;
using platform::refuse_query;

namespace {

constexpr std::array<std::string_view, 2> known = {"from", "last"};

HttpRequest asking(std::vector<std::pair<std::string, std::string>> query) {
  HttpRequest request;
  request.query = std::move(query);
  return request;
}

}  // namespace

TEST_CASE("queries: known parameters pass, each once") {
  CHECK(!refuse_query(asking({}), known));
  CHECK(!refuse_query(asking({{"from", "1"}, {"last", ""}}), known));
  const auto twice = refuse_query(asking({{"from", "1"}, {"last", "2"}, {"from", "1"}}), known);
  REQUIRE(twice);
  CHECK(twice->status == 400);
  CHECK(twice->body.find("from is given twice") != std::string::npos);
}

TEST_CASE("queries: an unknown parameter is refused with the nearest known one, and not repeated") {
  const auto refused = refuse_query(asking({{"from", "1"}, {"lst", "4111111111111111"}}), known);
  REQUIRE(refused);
  CHECK(refused->status == 400);
  CHECK(refused->body.find("nearest: last; allowed: from, last") != std::string::npos);
  CHECK(refused->body.find("lst") == std::string::npos);
  CHECK(refused->body.find("4111") == std::string::npos);
}

TEST_CASE("queries: where none is read, none may be given") {
  const auto refused = refuse_query(asking({{"verbose", "1"}}), {});
  REQUIRE(refused);
  CHECK(refused->body.find("allowed here: none") != std::string::npos);
}
