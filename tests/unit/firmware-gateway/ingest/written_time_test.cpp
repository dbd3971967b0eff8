#include "firmware-gateway/ingest/written_time.hpp"

#include <doctest/doctest.h>

#include "firmware-gateway/adapters/zoneinfo/zone_database.hpp"
#include "proto/base/text.hpp"

using redact::WrittenTime;

namespace {

const zoneinfo::ZoneDatabase zones;

WrittenTime written(int month, int day, int hour, int minute, int second = 0) {
  return {.year_of_century = {},
          .month = static_cast<std::uint8_t>(month),
          .day = static_cast<std::uint8_t>(day),
          .hour = static_cast<std::uint8_t>(hour),
          .minute = static_cast<std::uint8_t>(minute),
          .second = static_cast<std::uint8_t>(second)};
}

base::UtcTime moment(std::string_view text) { return base::parse_rfc3339(text)->utc; }

// "2026-11-23T11:09:01.000Z +60"
std::string resolved(const std::optional<WrittenTime>& local, const std::optional<WrittenTime>& utc,
                     std::string_view zone, std::string_view received) {
  const auto [time, is_receipt] = ingest::resolve(local, utc, zone, zones, moment(received));
  return base::to_rfc3339(time.utc) + " " + std::to_string(time.offset.count()) + (is_receipt ? " (receipt)" : "");
}

}  // namespace

TEST_CASE("written times: local time is read in the terminal's zone, its year is the nearest one") {
  CHECK(resolved(written(11, 23, 12, 9, 1), {}, "Europe/Vienna", "2026-11-23T11:09:05Z") ==
        "2026-11-23T11:09:01.000Z 60");
  CHECK(resolved(written(7, 1, 12, 0), {}, "Europe/Vienna", "2026-07-03T00:00:00Z") == "2026-07-01T10:00:00.000Z 120");
  CHECK(resolved(written(2, 3, 9, 0), {}, "America/New_York", "2026-02-03T14:00:10Z") ==
        "2026-02-03T14:00:00.000Z -300");
}

TEST_CASE("written times: around New Year a time belongs to the year that is near") {
  // Sold before midnight, received after it; and a terminal whose clock is ahead.
  CHECK(resolved(written(12, 31, 23, 59, 50), {}, "Europe/Vienna", "2026-12-31T23:00:20Z") ==
        "2026-12-31T22:59:50.000Z 60");
  CHECK(resolved(written(1, 1, 0, 0, 10), {}, "Europe/Vienna", "2026-12-31T22:59:50Z") ==
        "2026-12-31T23:00:10.000Z 60");
  CHECK(resolved(written(12, 31, 23, 59), {}, "UTC", "2027-01-02T08:00:00Z") == "2026-12-31T23:59:00.000Z 0");
  CHECK(resolved({}, written(12, 31, 22, 0), "Europe/Vienna", "2027-01-01T03:00:00Z") == "2026-12-31T22:00:00.000Z 60");
}

TEST_CASE("written times: the 29th of February belongs to a year that has it") {
  CHECK(resolved(written(2, 29, 12, 0), {}, "", "2028-03-01T00:00:00Z") == "2028-02-29T12:00:00.000Z 0");
  // None of the three years has one, or not the nearest: the moment of receipt.
  CHECK(resolved(written(2, 29, 12, 0), {}, "", "2026-03-01T00:00:00Z") == "2026-03-01T00:00:00.000Z 0 (receipt)");
  CHECK(resolved(written(2, 29, 12, 0), {}, "", "2026-11-30T00:00:00Z") == "2026-11-30T00:00:00.000Z 0 (receipt)");
  CHECK(resolved(written(2, 29, 12, 0), {}, "", "2027-03-10T00:00:00Z") == "2027-03-10T00:00:00.000Z 0 (receipt)");
  // 1993 writes the year.
  WrittenTime of_1993 = written(2, 29, 12, 0);
  of_1993.year_of_century = 26;
  CHECK(resolved(of_1993, {}, "", "2026-03-01T00:00:00Z") == "2026-03-01T00:00:00.000Z 0 (receipt)");
  of_1993.year_of_century = 24;
  CHECK(resolved(of_1993, {}, "", "2026-03-01T00:00:00Z") == "2024-02-29T12:00:00.000Z 0");
}

TEST_CASE("written times: without a zone the offset is what lies between local and transmission time") {
  CHECK(resolved(written(11, 23, 12, 9, 1), written(11, 23, 11, 9, 4), "", "2026-11-23T11:09:05Z") ==
        "2026-11-23T11:09:01.000Z 60");
  CHECK(resolved(written(11, 23, 16, 54), written(11, 23, 11, 9), "", "2026-11-23T11:09:05Z") ==
        "2026-11-23T11:09:00.000Z 345");
  CHECK(resolved(written(11, 23, 6, 9), written(11, 23, 11, 9), "", "2026-11-23T11:09:05Z") ==
        "2026-11-23T11:09:00.000Z -300");
  // They have nothing to do with each other: as UTC.
  CHECK(resolved(written(11, 20, 6, 9), written(11, 23, 11, 9), "", "2026-11-23T11:09:05Z") ==
        "2026-11-20T06:09:00.000Z 0");
}

TEST_CASE("written times: of an hour that comes twice the transmission time says which, else it is the first") {
  // 2026-10-25, 03:00 CEST becomes 02:00 CET.
  CHECK(resolved(written(10, 25, 2, 30), {}, "Europe/Vienna", "2026-10-25T03:00:00Z") ==
        "2026-10-25T00:30:00.000Z 120");
  CHECK(resolved(written(10, 25, 2, 30), written(10, 25, 1, 30), "Europe/Vienna", "2026-10-25T03:00:00Z") ==
        "2026-10-25T01:30:00.000Z 60");
}

TEST_CASE("written times: a time without a date is of the nearest day") {
  CHECK(resolved(written(0, 0, 23, 58), {}, "Europe/Vienna", "2026-11-23T23:01:00Z") == "2026-11-23T22:58:00.000Z 60");
  CHECK(resolved(written(0, 0, 0, 1), {}, "Europe/Vienna", "2026-11-23T22:59:00Z") == "2026-11-23T23:01:00.000Z 60");
}

TEST_CASE("written times: a year without a century is the nearest one of that name") {
  WrittenTime time = written(1, 23, 15, 49, 52);
  time.year_of_century = 95;
  CHECK(resolved(time, {}, "UTC", "2026-11-23T00:00:00Z") == "1995-01-23T15:49:52.000Z 0");
  time.year_of_century = 26;
  CHECK(resolved(time, {}, "UTC", "2026-11-23T00:00:00Z") == "2026-01-23T15:49:52.000Z 0");
  time.year_of_century = 0;
  CHECK(resolved(time, {}, "UTC", "2099-12-31T00:00:00Z") == "2100-01-23T15:49:52.000Z 0");
}

TEST_CASE("written times: nothing written, or no such day, is the moment of receipt") {
  CHECK(resolved({}, {}, "Europe/Vienna", "2026-07-01T12:00:00Z") == "2026-07-01T12:00:00.000Z 120 (receipt)");
  CHECK(resolved(written(4, 31, 12, 0), {}, "UTC", "2026-05-01T12:00:00Z") == "2026-05-01T12:00:00.000Z 0 (receipt)");
  CHECK(resolved(written(4, 31, 12, 0), written(4, 30, 12, 0), "UTC", "2026-05-01T12:00:00Z") ==
        "2026-04-30T12:00:00.000Z 0");
}
