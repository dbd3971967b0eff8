#include "proto/base/timestamp.hpp"

#include <fmt/format.h>

#include "proto/base/text.hpp"

namespace base {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

// Takes a text apart from the left. Once something does not fit, ok() stays false.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool done() const { return rest_.empty(); }

  int number(std::size_t digits) {
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) value = value * 10 + digit();
    return value;
  }

  // One of these characters; '\0' when it is another.
  char one_of(std::string_view allowed) {
    const char next = peek();
    if (next == '\0' || !allowed.contains(next)) return fail();
    rest_.remove_prefix(1);
    return next;
  }

  [[nodiscard]] bool next_is_digit() const { return peek() >= '0' && peek() <= '9'; }
  [[nodiscard]] char peek() const { return rest_.empty() ? '\0' : rest_.front(); }

  int digit() {
    if (!next_is_digit()) return fail();
    const int value = rest_.front() - '0';
    rest_.remove_prefix(1);
    return value;
  }

 private:
  char fail() {
    ok_ = false;
    return '\0';
  }

  std::string_view rest_;
  bool ok_ = true;
};

// ".123456" as milliseconds; nothing when there is no fraction.
milliseconds read_fraction(Cursor& cursor) {
  if (cursor.peek() != '.') return {};
  cursor.one_of(".");
  int value = cursor.digit() * 100;
  for (int weight = 10; cursor.next_is_digit(); weight /= 10) value += cursor.digit() * weight;
  return milliseconds(value);
}

std::optional<minutes> read_offset(Cursor& cursor) {
  const char sign = cursor.one_of("Zz+-");
  if (sign == 'Z' || sign == 'z') return minutes(0);
  const int hours = cursor.number(2);
  cursor.one_of(":");
  const int rest = cursor.number(2);
  if (!cursor.ok() || hours > 23 || rest > 59) return std::nullopt;
  return minutes((sign == '-' ? -1 : 1) * (hours * 60 + rest));
}

// The last minute of a month, in UTC: the only place for a leap second.
bool may_hold_leap_second(std::chrono::sys_time<minutes> minute) {
  const auto day = std::chrono::floor<std::chrono::days>(minute);
  const std::chrono::year_month_day next_day(day + std::chrono::days(1));
  return minute - day == minutes(23 * 60 + 59) && next_day.day() == std::chrono::day(1);
}

bool in_range(UtcTime time) {
  using std::chrono::January;
  using std::chrono::sys_days;
  constexpr UtcTime first = sys_days(std::chrono::year(1900) / January / 1);
  constexpr UtcTime last = sys_days(std::chrono::year(10000) / January / 1);
  return time >= first && time < last;
}

std::optional<std::chrono::sys_days> read_date(Cursor& cursor) {
  const int year = cursor.number(4);
  cursor.one_of("-");
  const int month = cursor.number(2);
  cursor.one_of("-");
  const int day = cursor.number(2);
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!cursor.ok() || !date.ok()) return std::nullopt;
  return std::chrono::sys_days(date);
}

struct Clock {
  minutes minute;
  milliseconds second;
};

std::optional<Clock> read_clock(Cursor& cursor) {
  const int hour = cursor.number(2);
  cursor.one_of(":");
  const int minute = cursor.number(2);
  cursor.one_of(":");
  const int second = cursor.number(2);
  const milliseconds fraction = read_fraction(cursor);
  if (!cursor.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  return Clock{minutes(hour * 60 + minute), milliseconds(second * 1000) + fraction};
}

}  // namespace

std::optional<Timestamp> parse_rfc3339(std::string_view text) {
  if (text.size() > timestamp_chars_max) return std::nullopt;
  Cursor cursor(text);
  const auto date = read_date(cursor);
  if (!date) return std::nullopt;
  cursor.one_of("Tt ");
  const auto clock = read_clock(cursor);
  if (!clock) return std::nullopt;
  const auto offset = read_offset(cursor);
  if (!offset || !cursor.ok() || !cursor.done()) return std::nullopt;

  const std::chrono::sys_time<minutes> minute = *date + clock->minute - *offset;
  constexpr milliseconds one_minute(60'000);
  milliseconds second = clock->second;
  if (second >= one_minute) {
    if (!may_hold_leap_second(minute)) return std::nullopt;
    second = one_minute - milliseconds(1);
  }
  const UtcTime utc = minute + second;
  if (!in_range(utc)) return std::nullopt;
  return Timestamp{utc, *offset};
}

std::string to_rfc3339(const Timestamp& time) {
  std::string text = to_rfc3339(time.utc + time.offset);
  text.pop_back();
  const auto minutes = std::chrono::abs(time.offset).count();
  return fmt::format("{}{}{:02}:{:02}", text, time.offset < std::chrono::minutes(0) ? '-' : '+', minutes / 60,
                     minutes % 60);
}

}  // namespace base
