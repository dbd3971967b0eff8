#include "cloud-bridge/stream/offsets.hpp"

#include <doctest/doctest.h>

#include <string>

using stream::Offsets;
using stream::parse_offsets;

TEST_CASE("offsets: partitions and their offsets are read in any order; nothing named is everything") {
  CHECK(parse_offsets("") == Offsets{});
  CHECK(parse_offsets("0") == Offsets{});
  CHECK(parse_offsets("3:120") == Offsets{{3, 120}});
  CHECK(parse_offsets("3:120,0:17,1:0") == Offsets{{0, 17}, {1, 0}, {3, 120}});
  CHECK(parse_offsets("2147483647:9223372036854775807") == Offsets{{INT32_MAX, INT64_MAX}});
}

TEST_CASE("offsets: what is no position is none, and not a part of it") {
  for (const char* text : {"1",
                           "x",
                           ":",
                           "1:",
                           ":1",
                           "1:2:3",
                           "1:2,",
                           ",1:2",
                           "1:2,,3:4",
                           "1:2,1:3",
                           "-1:2",
                           "1:-2",
                           "-0:1",
                           "+1:2",
                           " 1:2",
                           "1:2 ",
                           "1:0x2",
                           "2147483648:0",
                           "0:9223372036854775808",
                           "1;2",
                           "1:2,3"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_offsets(text));
  }
  CHECK_FALSE(parse_offsets(std::string("1:2\0", 4)));
}

TEST_CASE("offsets: written down they are read again as they were") {
  for (const Offsets& offsets : {Offsets{}, Offsets{{0, 0}}, Offsets{{3, 120}, {0, 17}, {2147483647, INT64_MAX}}})
    CHECK(parse_offsets(stream::to_text(offsets)) == offsets);
  CHECK(stream::to_text({}) == "0");
  CHECK(stream::to_text({{1, 7}, {0, 12}}) == "0:12,1:7");
}
