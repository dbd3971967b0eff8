#include "proto/base/text.hpp"

#include <doctest/doctest.h>

#include <array>

using std::chrono::milliseconds;

TEST_CASE("text: a time is written in UTC with milliseconds, before 1970 and after 2038 too") {
  CHECK(base::to_rfc3339(base::UtcTime(milliseconds(0))) == "1970-01-01T00:00:00.000Z");
  CHECK(base::to_rfc3339(base::UtcTime(milliseconds(-1))) == "1969-12-31T23:59:59.999Z");
  CHECK(base::to_rfc3339(base::UtcTime(milliseconds(4102444800042))) == "2100-01-01T00:00:00.042Z");
  CHECK(base::to_rfc3339(base::UtcTime(milliseconds(base::rfc3339_min))) == "0001-01-01T00:00:00.000Z");
  CHECK(base::to_rfc3339(base::UtcTime(milliseconds(base::rfc3339_max))) == "9999-12-31T23:59:59.999Z");
  CHECK(base::to_rfc3339(base::UtcTime::min()) == "0001-01-01T00:00:00.000Z");
  CHECK(base::to_rfc3339(base::UtcTime::max()) == "9999-12-31T23:59:59.999Z");
}

TEST_CASE("text: the nearest known word is named, a far one is not") {
  constexpr std::array<std::string_view, 3> known{"window_events", "window_bytes", "broker"};
  CHECK(base::nearest("windw_events", known) == "window_events");
  CHECK(base::nearest("borker", known) == "broker");
  CHECK(base::nearest("colour", known).empty());
}

TEST_CASE("text: among few words the closest is named, however far") {
  constexpr std::array<std::string_view, 2> known{"--config", "--help"};
  CHECK(base::closest("--colour", known) == "--config");
  CHECK(base::closest("-x", known) == "--help");
  CHECK(base::closest("--x", {}).empty());
}
