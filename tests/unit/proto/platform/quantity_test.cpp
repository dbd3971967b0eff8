#include "proto/platform/quantity.hpp"

#include <doctest/doctest.h>

using platform::parse_bytes;
using platform::parse_duration;
using platform::to_text;
using std::chrono::milliseconds;

TEST_CASE("quantity: sizes are whole numbers with KiB, MiB or GiB") {
  CHECK(parse_bytes("0KiB") == 0);
  CHECK(parse_bytes("1KiB") == 1024);
  CHECK(parse_bytes("512MiB") == 512ULL * 1024 * 1024);
  CHECK(parse_bytes("8589934591GiB") == 8589934591ULL * 1024 * 1024 * 1024);
  for (const char* wrong : {"", "512", "MiB", "512MB", "512mib", "512 MiB", " 512MiB", "512MiB ", "-1MiB", "+1MiB",
                            "1.5GiB", "0x10KiB", "8589934592GiB", "99999999999999999999KiB", "512MiBx", "512B"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_bytes(wrong));
  }
}

TEST_CASE("quantity: durations are whole numbers with ms, s, min, h or d") {
  CHECK(parse_duration("1ms") == milliseconds(1));
  CHECK(parse_duration("30s") == milliseconds(30'000));
  CHECK(parse_duration("15min") == milliseconds(900'000));
  CHECK(parse_duration("12h") == milliseconds(43'200'000));
  CHECK(parse_duration("35d") == milliseconds(3'024'000'000));
  for (const char* wrong : {"", "30", "30S", "30sec", "30M", "-30s", "1h30min", "1.5s", "1e3s", "106751991168d"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_duration(wrong));
  }
}

TEST_CASE("quantity: what is printed can be read again") {
  for (const char* text : {"0KiB", "1KiB", "1023KiB", "1MiB", "1025MiB", "3GiB"})
    CHECK(to_text(*parse_bytes(text)) == text);
  for (const char* text : {"0ms", "999ms", "1s", "59s", "1min", "90min", "5h", "35d"})
    CHECK(to_text(*parse_duration(text)) == text);
  CHECK(to_text(std::uint64_t{1000}) == "1000 bytes");
}
