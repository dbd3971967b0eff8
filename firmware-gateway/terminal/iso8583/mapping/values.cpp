#include "firmware-gateway/terminal/iso8583/mapping/values.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>

namespace iso8583 {
namespace {

constexpr std::size_t number_digits_max = 18;
constexpr std::string_view filling("\0 ", 2);

bool all_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

std::uint8_t two(std::string_view digits, std::size_t at) {
  return static_cast<std::uint8_t>((digits[at] - '0') * 10 + (digits[at + 1] - '0'));
}

// A day that there is in some year; which one, only the moment of receipt says.
bool is_date(const redact::WrittenTime& time) {
  const std::chrono::year leap_year(2000);
  return (leap_year / time.month / time.day).ok();
}
bool is_time(const redact::WrittenTime& time) { return time.hour < 24 && time.minute < 60 && time.second <= 60; }

void set_time(redact::WrittenTime& time, std::string_view hhmmss) {
  time.hour = two(hhmmss, 0);
  time.minute = two(hhmmss, 2);
  time.second = two(hhmmss, 4);
}

void set_date(redact::WrittenTime& time, std::string_view mmdd) {
  time.month = two(mmdd, 0);
  time.day = two(mmdd, 2);
}

// 1993: YYMMDDhhmmss, or YYMMDD with the time in no field.
std::optional<redact::WrittenTime> local_time_1993(const Message& message) {
  const auto digits = digits_of(message, 12, 12);
  if (!digits) return std::nullopt;
  redact::WrittenTime time;
  time.year_of_century = two(*digits, 0);
  set_date(time, digits->substr(2));
  set_time(time, digits->substr(6));
  if (!is_date(time) || !is_time(time)) return std::nullopt;
  return time;
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(filling);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(filling) + 1 - begin);
}

std::string text_of(const Message& message, unsigned number) {
  if (!message.has(number)) return {};
  if (const auto text = message.open(number)) return std::string(trimmed(*text));
  return std::string(trimmed(redact::shown(message.sensitive(number))));
}

std::optional<std::string_view> digits_of(const Message& message, unsigned number, std::size_t count) {
  const auto text = message.open(number);
  if (!text || !all_digits(*text) || text->size() < count) return std::nullopt;
  const std::size_t wider = text->size() - count;
  if (!std::ranges::all_of(text->substr(0, wider), [](char c) { return c == '0'; })) return std::nullopt;
  return text->substr(wider);
}

std::optional<std::int64_t> to_number(std::string_view digits) {
  if (!all_digits(digits) || digits.size() > number_digits_max) return std::nullopt;
  std::int64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

std::optional<std::int64_t> amount_of(const Message& message, unsigned number) {
  const auto text = message.open(number);
  return text ? to_number(*text) : std::nullopt;
}

std::string_view currency_code(std::string_view text) {
  return text.size() == 4 && text.front() == '0' ? text.substr(1) : text;
}

std::optional<redact::WrittenTime> transmission_time(const Message& message) {
  const auto digits = digits_of(message, 7, 10);
  if (!digits) return std::nullopt;
  redact::WrittenTime time;
  set_date(time, *digits);
  set_time(time, digits->substr(4));
  if (!is_date(time) || !is_time(time)) return std::nullopt;
  return time;
}

std::optional<redact::WrittenTime> local_time(const Message& message, unsigned year) {
  if (year >= 1993)
    if (const auto time = local_time_1993(message)) return time;
  const auto clock = digits_of(message, 12, 6);
  if (!clock) return std::nullopt;
  redact::WrittenTime time;
  set_time(time, *clock);
  if (!is_time(time)) return std::nullopt;
  if (const auto date = digits_of(message, 13, 4)) set_date(time, *date);
  // Seen in the field: a year in the place of the date. The time alone still says something.
  if (!is_date(time)) set_date(time, "0000");
  return time;
}

bool set_written_times(const Message& message, unsigned year, redact::Fields& fields) {
  fields.written_local = local_time(message, year);
  fields.written_utc = transmission_time(message);
  if (fields.written_utc) return true;
  if (!fields.written_local) return false;
  const bool writes_date = year < 1993 && !text_of(message, 13).empty();
  return fields.written_local->month != 0 || !writes_date;
}

}  // namespace iso8583
