#include "firmware-gateway/ingest/written_time.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

namespace ingest {
namespace {

using base::UtcTime;
using redact::WrittenTime;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr seconds offset_max = std::chrono::hours(14);
// Zones differ from UTC by whole quarters of an hour.
constexpr seconds offset_step = minutes(15);

std::chrono::milliseconds distance(UtcTime a, UtcTime b) { return a < b ? b - a : a - b; }

UtcTime at(std::chrono::year_month_day date, const WrittenTime& time) {
  return std::chrono::sys_days(date) + std::chrono::hours(time.hour) + minutes(time.minute) +
         std::min(seconds(time.second), seconds(59));
}

// The candidate nearest to the clock; nothing when that one is no day of the calendar: the 29th of February of another
// year than this is years away.
template <std::size_t N>
std::optional<UtcTime> nearest(const std::array<std::chrono::year_month_day, N>& dates, const WrittenTime& time,
                               UtcTime clock) {
  const auto date = std::ranges::min(dates, {}, [&](auto candidate) { return distance(at(candidate, time), clock); });
  return date.ok() ? std::optional(at(date, time)) : std::nullopt;
}

// The written time as a number, on a clock that shows `clock` at the moment of receipt.
std::optional<UtcTime> place(const WrittenTime& time, UtcTime clock) {
  using namespace std::chrono;
  const auto today = floor<days>(clock);
  if (time.month == 0) {
    return nearest(std::array{year_month_day(today - days(1)), year_month_day(today), year_month_day(today + days(1))},
                   time, clock);
  }
  const month month_of_year(time.month);
  const day day_of_month(time.day);
  const int this_year = static_cast<int>(year_month_day(today).year());
  if (time.year_of_century) {
    const int century = this_year - this_year % 100;
    const auto in = [&](int first) { return year(first + *time.year_of_century) / month_of_year / day_of_month; };
    return nearest(std::array{in(century - 100), in(century), in(century + 100)}, time, clock);
  }
  const auto in = [&](int year_number) { return year(year_number) / month_of_year / day_of_month; };
  return nearest(std::array{in(this_year - 1), in(this_year), in(this_year + 1)}, time, clock);
}

seconds rounded(seconds offset) {
  const seconds half = offset_step / 2;
  const auto steps = (offset + (offset < seconds(0) ? -half : half)) / offset_step;
  return steps * offset_step;
}

// The offsets that make this local time a moment of the zone: none in an hour that is skipped, two in one that comes
// twice.
std::vector<seconds> offsets_of(UtcTime local, std::string_view zone, const TimeZones& zones) {
  std::vector<seconds> offsets;
  // Whatever holds within a day of it; earlier moments first.
  for (const auto hours : {-24, 24}) {
    const auto offset = zones.offset_at(zone, local + std::chrono::hours(hours));
    if (!offset || zones.offset_at(zone, local - *offset) != offset) continue;
    if (offsets.empty() || offsets.front() != *offset) offsets.push_back(*offset);
  }
  return offsets;
}

seconds offset_of(UtcTime local, std::optional<UtcTime> utc, std::string_view zone, const TimeZones& zones) {
  if (zone.empty()) {
    const seconds between = utc ? rounded(std::chrono::floor<seconds>(local - *utc)) : seconds(0);
    return between < -offset_max || between > offset_max ? seconds(0) : between;
  }
  const std::vector<seconds> offsets = offsets_of(local, zone, zones);
  if (offsets.empty()) return zones.offset_at(zone, local).value_or(seconds(0));
  if (utc && offsets.size() > 1 && distance(local - offsets[1], *utc) < distance(local - offsets[0], *utc))
    return offsets[1];
  return offsets.front();
}

base::Timestamp stamp(UtcTime utc, seconds offset) {
  return {.utc = utc, .offset = std::chrono::floor<minutes>(offset)};
}

}  // namespace

When resolve(const std::optional<WrittenTime>& local, const std::optional<WrittenTime>& utc, std::string_view time_zone,
             const TimeZones& zones, UtcTime received) {
  const seconds zone_now = time_zone.empty() ? seconds(0) : zones.offset_at(time_zone, received).value_or(seconds(0));
  const auto sent = utc ? place(*utc, received) : std::nullopt;
  // What the terminal's own clock shows now decides about its year and its day.
  const auto shown = local ? place(*local, sent.value_or(received) + zone_now) : std::nullopt;
  if (shown) {
    const seconds offset = offset_of(*shown, sent, time_zone, zones);
    return {.time = stamp(*shown - offset, offset)};
  }
  const UtcTime moment = sent.value_or(received);
  const auto zone = time_zone.empty() ? std::nullopt : zones.offset_at(time_zone, moment);
  return {.time = stamp(moment, zone.value_or(seconds(0))), .is_receipt = !sent};
}

}  // namespace ingest
