#include "firmware-gateway/terminal/nexo/decimal.hpp"

#include <algorithm>
#include <charconv>
#include <string>

namespace terminal::nexo {
namespace {

constexpr std::size_t minor_digits_max = 15;

bool is_digits(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

std::string_view without_zeros_behind(std::string_view decimals) {
  return decimals.substr(0, decimals.find_last_not_of('0') + 1);
}

std::string_view without_zeros_before(std::string_view digits) {
  return digits.substr(std::min(digits.find_first_not_of('0'), digits.size()));
}

std::int64_t number_of(std::string_view digits) {
  std::int64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

}  // namespace

std::optional<std::int64_t> to_minor(std::string_view literal, unsigned exponent) {
  const std::size_t point = std::min(literal.find('.'), literal.size());
  const std::string_view whole = literal.substr(0, point);
  const std::string_view written = literal.substr(std::min(point + 1, literal.size()));
  if (whole.empty() || !is_digits(whole) || !is_digits(written)) return std::nullopt;
  if (point != literal.size() && written.empty()) return std::nullopt;
  const std::string_view decimals = without_zeros_behind(written);
  if (decimals.size() > exponent || without_zeros_before(whole).size() > minor_digits_max) return std::nullopt;
  std::string digits(without_zeros_before(whole));
  digits += decimals;
  digits.append(exponent - decimals.size(), '0');
  if (without_zeros_before(digits).size() > minor_digits_max) return std::nullopt;
  return number_of(digits);
}

std::optional<std::int64_t> to_count(std::string_view literal) { return to_minor(literal, 0); }

}  // namespace terminal::nexo
