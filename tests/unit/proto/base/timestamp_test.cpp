#include "proto/base/timestamp.hpp"

#include <doctest/doctest.h>

#include "proto/base/text.hpp"

namespace {

std::string utc_of(std::string_view text) {
  const auto time = base::parse_rfc3339(text);
  return time ? base::to_rfc3339(time->utc) : "refused";
}

}  // namespace

TEST_CASE("timestamp: any offset is read, and kept beside the UTC time") {
  CHECK(utc_of("2026-11-24T22:23:51.042+01:00") == "2026-11-24T21:23:51.042Z");
  CHECK(base::parse_rfc3339("2026-11-24T22:23:51.042+01:00")->offset == std::chrono::minutes(60));
  CHECK(utc_of("2026-01-01T00:00:00-03:30") == "2026-01-01T03:30:00.000Z");
  CHECK(base::parse_rfc3339("2026-01-01T00:00:00-03:30")->offset == std::chrono::minutes(-210));
  CHECK(utc_of("2026-11-24t21:23:51z") == "2026-11-24T21:23:51.000Z");
  CHECK(utc_of("2026-11-24 21:23:51-00:00") == "2026-11-24T21:23:51.000Z");
  CHECK(utc_of("2039-02-28T23:59:59.9999999Z") == "2039-02-28T23:59:59.999Z");
  CHECK(utc_of("2028-02-29T12:00:00.5+14:00") == "2028-02-28T22:00:00.500Z");
}

TEST_CASE("timestamp: a leap second is kept as the last millisecond before it, and only where one can be") {
  CHECK(utc_of("2016-12-31T23:59:60Z") == "2016-12-31T23:59:59.999Z");
  CHECK(utc_of("2017-01-01T00:59:60.7+01:00") == "2016-12-31T23:59:59.999Z");
  CHECK(utc_of("2016-12-30T23:59:60Z") == "refused");
  CHECK(utc_of("2016-12-31T22:59:60Z") == "refused");
}

TEST_CASE("timestamp: what is no time is refused") {
  for (const char* text : {"",
                           "2026-11-24",
                           "2026-11-24T21:23:51",
                           "2026-11-24T21:23Z",
                           "2026-13-01T00:00:00Z",
                           "2026-02-29T00:00:00Z",
                           "2026-11-24T24:00:00Z",
                           "2026-11-24T21:60:00Z",
                           "2026-11-24T21:23:61Z",
                           "2026-11-24T21:23:51.Z",
                           "2026-11-24T21:23:51,5Z",
                           "2026-11-24T21:23:51+24:00",
                           "2026-11-24T21:23:51+1:00",
                           "2026-11-24T21:23:51+0100",
                           "2026-11-24T21:23:51ZZ",
                           "+026-11-24T21:23:51Z",
                           "1899-12-31T23:59:59Z",
                           "9999-12-31T23:59:59-00:01",
                           " 2026-11-24T21:23:51Z",
                           "2026-00-10T00:00:00Z",
                           "2026-01-00T00:00:00Z"})
    CHECK_FALSE_MESSAGE(base::parse_rfc3339(text), text);
  CHECK_FALSE(base::parse_rfc3339("2026-11-24T21:23:51." + std::string(100, '1') + "Z"));
}
