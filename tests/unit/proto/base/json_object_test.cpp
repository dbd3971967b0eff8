#include "proto/base/json_object.hpp"

#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <limits>

TEST_CASE("JSON: a parser reads back every byte that was written") {
  for (int c = 0; c < 128; ++c) {
    const std::string text = "a" + std::string(1, static_cast<char>(c)) + "é\U0001F4B3" + static_cast<char>(c);
    std::string json;
    base::append_json_string(json, text);
    CHECK(boost::json::parse(json).as_string() == text);
    for (const char written : json) CHECK(static_cast<unsigned char>(written) >= 0x20);
  }
}

TEST_CASE("JSON: numbers keep all their digits, empty texts are left out") {
  std::string json;
  base::JsonObject object(json);
  object.number("min", std::numeric_limits<std::int64_t>::min());
  object.text("empty", "");
  object.number("max", std::numeric_limits<std::uint64_t>::max());
  object.number("none", std::optional<std::uint64_t>());
  object.flag("flag", false);
  object.end();
  CHECK(json == R"({"min":-9223372036854775808,"max":18446744073709551615,"flag":false})");
}
