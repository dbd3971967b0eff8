#include "firmware-gateway/terminal/iso8583/mapping/placement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "firmware-gateway/redact/iin.hpp"
#include "firmware-gateway/redact/raw_scan.hpp"
#include "firmware-gateway/redact/sensitive.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/values.hpp"
#include "proto/base/currency.hpp"

namespace iso8583 {
namespace {

using redact::Finding;

// n in 1987 and 1993 alike.
constexpr std::array numeric = {3U, 4U, 5U, 6U, 8U, 9U, 10U, 11U, 15U, 16U, 18U, 19U, 24U, 25U};
constexpr std::array letters_and_digits = {37U, 38U, 39U};
constexpr std::array printable = {41U, 42U};
constexpr std::array tracks = {35U, 36U, 45U};
constexpr unsigned number_field = 2;
constexpr unsigned amount_field = 4;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
bool is_letter_or_digit(char c) { return is_digit(c) || is_letter(c) || c == ' '; }
// But for the separators of tracks.
bool is_shown(char c) { return c >= ' ' && c <= '~' && c != '=' && c != '^'; }

bool overlap(const Finding& a, const Finding& b) { return a.begin < b.end && b.begin < a.end; }
bool holds(const Finding& outer, const Finding& inner) { return outer.begin <= inner.begin && inner.end <= outer.end; }

// Where the fields begin when the bitmaps are bytes, or hex digits, and say that a card number is the first of them.
std::vector<std::size_t> numbers_behind_bitmaps(base::BytesView bytes, std::size_t bitmap_at) {
  constexpr std::size_t raw_bytes = 8;
  constexpr std::size_t hex_bytes = 16;
  std::vector<std::size_t> places;
  const auto add = [&](unsigned first_bits, std::size_t size) {
    constexpr unsigned number_bit = 4;
    if ((first_bits & number_bit) == 0) return;
    // The bit of the second bitmap may be wrong, too.
    places.push_back(bitmap_at + size);
    places.push_back(bitmap_at + 2 * size);
  };
  if (bitmap_at >= bytes.size()) return places;
  add(static_cast<unsigned char>(bytes[bitmap_at]) >> 4U, raw_bytes);
  for (const std::string_view name : {"ascii", "cp500"}) {
    const Charset& charset = *Charset::find(name);
    const std::string_view digits = bytes.substr(bitmap_at, hex_bytes);
    if (std::ranges::all_of(digits, [&](char c) { return charset.hex_digit(c) < 16; }))
      add(charset.hex_digit(digits.front()), hex_bytes);
  }
  return places;
}

class Examination {
 public:
  Examination(const Message& read, const Dialect& dialect) : read_(read), dialect_(dialect) {}

  Placement of(base::BytesView bytes) {
    doubt([&] {
      expect(numeric, is_digit);
      expect(printable, is_shown);
      expect(letters_and_digits, is_letter_or_digit);
    });
    doubt([&] { expect_times(); });
    doubt([&] { expect_currency(); });
    doubt([&] { expect_cards(); });
    for (const Finding& card_data : redact::find_raw_card_data(bytes, hints(bytes))) place(card_data);
    return placement_;
  }

 private:
  // One kind of field, one doubt.
  template <class Expect>
  void doubt(Expect expect) {
    const std::size_t before = placement_.implausible.count();
    expect();
    if (placement_.implausible.count() > before) ++placement_.doubts;
  }

  [[nodiscard]] redact::RawHints hints(base::BytesView bytes) const;
  void place(const Finding& card_data);
  template <class Test>
  void expect(const auto& fields, Test test);
  void expect_times();
  void expect_currency();
  void expect_cards();
  void refuse(unsigned number) { placement_.implausible.add(number); }

  [[nodiscard]] bool is_blank(unsigned number) const {
    const auto text = read_.open(number);
    return !text || trimmed(*text).empty();
  }
  [[nodiscard]] bool holds_date(unsigned number) const;

  const Message& read_;
  const Dialect& dialect_;
  Placement placement_;
};

redact::RawHints Examination::hints(base::BytesView bytes) const {
  redact::RawHints hints;
  for (const unsigned number : tracks)
    if (read_.has(number)) hints.tracks.push_back(read_.bytes_of(number));
  if (read_.bitmap_at() == 0) return hints;
  hints.lengths_at = hints.binary_lengths_at = numbers_behind_bitmaps(bytes, read_.bitmap_at());
  // The bit of field 2 may be the one that is wrong. A date in October begins like a number of 16 digits whose length
  // is one byte, and no processing code or amount does.
  hints.lengths_at.push_back(read_.fields_at());
  const bool begins_as_usual = read_.fields().next(0) <= amount_field;
  if (begins_as_usual || placement_.doubts > 0) hints.binary_lengths_at.push_back(read_.fields_at());
  return hints;
}

// In one field, and one that may hold it.
void Examination::place(const Finding& card_data) {
  if (card_data.begin < read_.fields_at()) placement_.bitmap_astray = true;
  for (unsigned number = read_.fields().next(0); number != 0; number = read_.fields().next(number)) {
    const Finding field = read_.bytes_of(number);
    if (!overlap(field, card_data)) continue;
    placement_.card_data.add(number);
    if (read_.sensitive(number).data_class() == DataClass::open || !holds(field, card_data))
      placement_.astray.add(number);
  }
}

// An open field that is there, and not blank, holds nothing but such characters.
template <class Test>
void Examination::expect(const auto& fields, Test test) {
  for (const unsigned number : fields) {
    const auto text = read_.open(number);
    if (text && !std::ranges::all_of(trimmed(*text), test)) refuse(number);
  }
}

bool Examination::holds_date(unsigned number) const {
  const auto digits = digits_of(read_, number, 4);
  const auto month = digits ? to_number(digits->substr(0, 2)) : std::nullopt;
  const auto day = digits ? to_number(digits->substr(2)) : std::nullopt;
  return month && *month >= 1 && *month <= 12 && *day >= 1 && *day <= 31;
}

void Examination::expect_times() {
  if (!is_blank(7) && !transmission_time(read_)) refuse(7);
  if (!is_blank(12) && !local_time(read_, dialect_.year)) refuse(12);
  if (dialect_.year < 1993 && !is_blank(13) && !holds_date(13)) refuse(13);
}

void Examination::expect_currency() {
  if (!is_blank(49) && !base::find_currency(currency_code(trimmed(*read_.open(49))))) refuse(49);
}

// Where there are such fields, there is a card number in them: one and the same.
void Examination::expect_cards() {
  const redact::Secret number = redact::pan_of_number(read_.sensitive(number_field));
  if (number.empty() && !read_.sensitive(number_field).empty()) refuse(number_field);
  const auto expect = [&](unsigned field_number, auto pan_of) {
    const auto field = read_.sensitive(field_number);
    if (field.empty()) return;
    const redact::Secret pan = pan_of(field);
    const bool fits = !pan.empty() && (number.empty() ? redact::passes_luhn(pan.view()) : pan.view() == number.view());
    if (!fits) refuse(field_number);
  };
  expect(35, redact::pan_of_track2);
  expect(45, redact::pan_of_track1);
  if (!redact::read_tlv(read_.sensitive(55)).complete) refuse(55);
}

}  // namespace

std::string Placement::text() const {
  if (card_data_is_astray())
    return "a card number or track lies in fields that hold none: it is another dialect's, or its bitmap is wrong";
  std::string list;
  for (unsigned number = implausible.next(0); number != 0; number = implausible.next(number))
    list += fmt::format(" {}", number);
  return fmt::format("fields{} do not hold what they must: it is another dialect's, or its bitmap is wrong", list);
}

Hidden hidden_in(const Message& read, const Placement& placement, bool misplaced) {
  Hidden hidden{.header = misplaced, .fields = {}};
  for (unsigned number = read.fields().next(0); number != 0; number = read.fields().next(number)) {
    const bool is_text = read.sensitive(number).data_class() == DataClass::text;
    if (misplaced || (is_text && placement.card_data.has(number))) hidden.fields.add(number);
  }
  return hidden;
}

Placement placement_of(const Message& read, base::BytesView bytes, const Dialect& dialect) {
  return Examination(read, dialect).of(bytes);
}

}  // namespace iso8583
