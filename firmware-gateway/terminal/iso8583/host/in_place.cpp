#include "firmware-gateway/terminal/iso8583/host/in_place.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "firmware-gateway/redact/iin.hpp"
#include "firmware-gateway/redact/sensitive.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/values.hpp"
#include "proto/base/currency.hpp"

namespace iso8583 {
namespace {

// n in 1987 and 1993 alike.
constexpr std::array numeric = {3U, 4U, 5U, 6U, 8U, 9U, 10U, 11U, 15U, 16U, 18U, 19U, 24U, 25U};
constexpr std::array letters_and_digits = {37U, 38U, 39U};
constexpr std::array printable = {41U, 42U};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
// But for the separators of tracks.
bool is_shown(char c) { return c >= ' ' && c <= '~' && c != '=' && c != '^'; }

// An open field that is there, and not blank, holds nothing but such characters.
template <class Test>
bool holds_only(const Message& read, unsigned number, Test test) {
  const auto text = read.open(number);
  return !text || std::ranges::all_of(trimmed(*text), test);
}

bool is_blank(const Message& read, unsigned number) {
  const auto text = read.open(number);
  return !text || trimmed(*text).empty();
}

bool holds_date(const Message& read, unsigned number) {
  const auto digits = digits_of(read, number, 4);
  const auto month = digits ? to_number(digits->substr(0, 2)) : std::nullopt;
  const auto day = digits ? to_number(digits->substr(2)) : std::nullopt;
  return month && *month >= 1 && *month <= 12 && *day >= 1 && *day <= 31;
}

bool times_in_place(const Message& read, unsigned year) {
  return (is_blank(read, 7) || transmission_time(read)) && (is_blank(read, 12) || local_time(read, year)) &&
         (year >= 1993 || is_blank(read, 13) || holds_date(read, 13));
}

// Where there are such fields, there is a card number in them: one and the same.
bool card_data_in_place(const Message& read) {
  const redact::Secret number = redact::pan_of_number(read.sensitive(2));
  if (number.empty() && !read.sensitive(2).empty()) return false;
  const auto holds = [&](unsigned field_number, auto pan_of) {
    const auto field = read.sensitive(field_number);
    if (field.empty()) return true;
    const redact::Secret pan = pan_of(field);
    if (pan.empty()) return false;
    return number.empty() ? redact::passes_luhn(pan.view()) : pan.view() == number.view();
  };
  return holds(35, redact::pan_of_track2) && holds(45, redact::pan_of_track1) &&
         redact::read_tlv(read.sensitive(55)).complete;
}

bool currency_in_place(const Message& read) {
  if (is_blank(read, 49)) return true;
  return base::find_currency(currency_code(trimmed(*read.open(49)))).has_value();
}

}  // namespace

bool is_in_place(const Message& read, unsigned year) {
  const auto all = [&read](const auto& fields, auto test) {
    return std::ranges::all_of(fields, [&](unsigned number) { return holds_only(read, number, test); });
  };
  return all(numeric, is_digit) &&
         all(letters_and_digits, [](char c) { return is_digit(c) || is_letter(c) || c == ' '; }) &&
         all(printable, is_shown) && times_in_place(read, year) && currency_in_place(read) && card_data_in_place(read);
}

}  // namespace iso8583
