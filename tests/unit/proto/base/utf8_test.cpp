#include "proto/base/utf8.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>

namespace {

// The encoding of a number, whether it is allowed or not.
std::string encode(std::uint32_t point, int bytes) {
  if (bytes == 1) return {static_cast<char>(point)};
  static constexpr std::uint32_t kLeads[] = {0, 0, 0xC0, 0xE0, 0xF0};
  std::string text;
  for (int i = 1; i < bytes; ++i) {
    text.insert(text.begin(), static_cast<char>(0x80U | (point & 0x3FU)));
    point >>= 6U;
  }
  text.insert(text.begin(), static_cast<char>(kLeads[bytes] | point));
  return text;
}

int shortest(std::uint32_t point) { return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4; }

}  // namespace

TEST_CASE("utf8: every code point is valid in its shortest form only, surrogates never") {
  int wrong = 0;
  for (std::uint32_t point = 0; point <= 0x13FFFF; ++point) {
    const bool allowed = point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF);
    for (int bytes = shortest(point); bytes <= 4; ++bytes) {
      const std::size_t expected = allowed && bytes == shortest(point) ? static_cast<std::size_t>(bytes) : 0;
      if (base::utf8_length(encode(point, bytes) + "x") != expected) ++wrong;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("utf8: the valid prefix ends before the first wrong or cut sequence") {
  CHECK(base::utf8_prefix("") == 0);
  CHECK(base::utf8_prefix("a€b") == 5);
  CHECK(base::utf8_prefix("a\xE2\x82") == 1);
  CHECK(base::utf8_prefix("a\xE2\x82z") == 1);
  CHECK(base::utf8_prefix("ab\xFFz") == 2);
  CHECK(base::utf8_prefix("ab\x80") == 2);
}
