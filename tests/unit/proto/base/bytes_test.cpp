#include "proto/base/bytes.hpp"

#include <doctest/doctest.h>

TEST_CASE("bytes: hex goes there and back, and refuses what is no hex") {
  CHECK(base::to_hex(std::string("\x00\xff\x10", 3)) == "00ff10");
  CHECK(base::from_hex("00FF10") == std::string("\x00\xff\x10", 3));
  CHECK_FALSE(base::from_hex("0"));
  CHECK_FALSE(base::from_hex("0g"));
}

TEST_CASE("bytes: base32 gives RFC 4648's own examples") {
  CHECK(base::to_base32("").empty());
  CHECK(base::to_base32("f") == "my");
  CHECK(base::to_base32("fo") == "mzxq");
  CHECK(base::to_base32("foo") == "mzxw6");
  CHECK(base::to_base32("foobar") == "mzxw6ytboi");
}
