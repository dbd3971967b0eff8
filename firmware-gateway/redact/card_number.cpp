#include "firmware-gateway/redact/card_number.hpp"

#include <algorithm>
#include <utility>

#include "firmware-gateway/redact/iin.hpp"
#include "firmware-gateway/redact/unicode.hpp"

namespace redact {
namespace {

constexpr std::size_t text_bytes_max = 128;
constexpr std::size_t leading_digits_max = 8;
constexpr std::size_t last_digits = 4;
constexpr std::size_t digits_and_masks_max = 24;
constexpr char mask = '*';

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_mask(char32_t c) { return std::u32string_view(U"*xX#._?•·●∙…＊×").contains(c); }

bool is_blank_or_dash(char32_t c) { return c == U' ' || c == U'-' || c == 0x00A0 || c == 0x2011 || c == 0x202F; }

// The text as digits and '*' alone; nothing when it holds anything else, or more than one blank or dash in a row.
std::optional<Secret> simplify(std::string_view text) {
  if (text.size() > text_bytes_max) return std::nullopt;
  Secret simple;
  bool separated = true;  // none at the beginning
  while (!text.empty()) {
    const auto next = decode(text);
    if (!next) return std::nullopt;
    text.remove_prefix(next->bytes);
    if (is_blank_or_dash(next->value)) {
      if (std::exchange(separated, true)) return std::nullopt;
      continue;
    }
    separated = false;
    const char c = is_mask(next->value) ? mask : static_cast<char>(next->value);
    if (next->value >= 0x80 && c != mask) return std::nullopt;
    if (c != mask && !is_digit(c)) return std::nullopt;
    simple.append(std::string_view(&c, 1));
  }
  if (separated) return std::nullopt;
  return simple;
}

std::optional<CardNumber> read_clear(Secret digits) {
  const std::string_view pan = digits.view();
  if (pan.size() < pan_digits_min || pan.size() > pan_digits_max || !passes_luhn(pan)) return std::nullopt;
  CardNumber card;
  card.last4 = pan.substr(pan.size() - last_digits);
  card.brand = brand_of(pan);
  card.pan = std::move(digits);
  return card;
}

std::optional<CardNumber> read_masked(std::string_view simple) {
  const std::size_t first_mask = simple.find(mask);
  const std::size_t last_mask = simple.rfind(mask);
  const std::string_view leading = simple.substr(0, first_mask);
  const std::string_view tail = simple.substr(last_mask + 1);
  const std::string_view middle = simple.substr(first_mask, last_mask + 1 - first_mask);
  const bool masked_between = std::ranges::all_of(middle, [](char c) { return c == mask; });
  if (!masked_between || leading.size() > leading_digits_max || simple.size() > digits_and_masks_max)
    return std::nullopt;
  if (!tail.empty() && tail.size() != last_digits) return std::nullopt;
  CardNumber card;
  card.last4 = tail;
  card.brand = brand_of(leading);
  return card;
}

}  // namespace

bool is_clear(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, is_digit)) > leading_digits_max + last_digits ||
         (std::ranges::count_if(text, is_digit) == static_cast<std::ptrdiff_t>(pan_digits_min) &&
          std::ranges::none_of(text, [](char c) { return !is_digit(c) && c != ' ' && c != '-'; }));
}

std::optional<CardNumber> read_card_number(std::string_view text) {
  auto simple = simplify(text);
  if (!simple || simple->empty()) return std::nullopt;
  if (simple->view().contains(mask)) return read_masked(simple->view());
  return read_clear(std::move(*simple));
}

}  // namespace redact
