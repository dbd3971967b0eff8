#include "firmware-gateway/redact/iin.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace redact {
namespace {

// A set of lengths as bits.
consteval std::uint32_t lengths(std::initializer_list<unsigned> list) {
  std::uint32_t set = 0;
  for (const unsigned length : list) set |= 1U << length;
  return set;
}

constexpr std::uint32_t any_16_to_19 = lengths({16, 17, 18, 19});

// Numbers whose first `digits` digits lie in first … last.
struct Range {
  std::uint32_t first;
  std::uint32_t last;
  std::size_t digits;
  std::uint32_t lengths;  // of whole numbers, as they are looked for in free text
  std::string_view brand;
};

// The more particular range stands before the wider one that contains it.
constexpr std::array ranges{
    Range{34, 34, 2, lengths({15}), "amex"},
    Range{37, 37, 2, lengths({15}), "amex"},
    Range{300, 305, 3, lengths({14, 16, 17, 18, 19}), "diners"},
    Range{309, 309, 3, lengths({14, 16, 17, 18, 19}), "diners"},
    Range{36, 36, 2, lengths({14, 15, 16, 17, 18, 19}), "diners"},
    Range{38, 39, 2, lengths({14, 16, 17, 18, 19}), "diners"},
    Range{3528, 3589, 4, any_16_to_19, "jcb"},
    Range{2200, 2204, 4, any_16_to_19, "mir"},
    Range{2205, 2205, 4, lengths({16}), "paypak"},
    Range{2221, 2720, 4, lengths({16}), "mastercard"},
    Range{51, 55, 2, lengths({16}), "mastercard"},
    Range{4, 4, 1, any_16_to_19, "visa"},
    Range{5019, 5019, 4, lengths({16}), "dankort"},
    Range{506099, 506198, 6, lengths({16, 18, 19}), "verve"},
    Range{650002, 650027, 6, lengths({16, 18, 19}), "verve"},
    Range{508500, 508999, 6, lengths({16}), "rupay"},
    Range{606985, 607984, 6, lengths({16}), "rupay"},
    Range{608001, 608500, 6, lengths({16}), "rupay"},
    Range{652150, 653149, 6, lengths({16}), "rupay"},
    Range{606282, 606282, 6, lengths({16}), "hipercard"},
    Range{6011, 6011, 4, any_16_to_19, "discover"},
    Range{622126, 622925, 6, any_16_to_19, "unionpay"},
    Range{644, 649, 3, any_16_to_19, "discover"},
    Range{65, 65, 2, any_16_to_19, "discover"},
    Range{62, 62, 2, any_16_to_19, "unionpay"},
    Range{8100, 8171, 4, any_16_to_19, "unionpay"},
    Range{82, 82, 2, lengths({16}), "rupay"},
    Range{8600, 8600, 4, lengths({16}), "uzcard"},
    Range{9704, 9704, 4, lengths({16, 19}), "napas"},
    Range{9792, 9792, 4, lengths({16}), "troy"},
    Range{9860, 9860, 4, lengths({16}), "humo"},
    Range{50, 50, 2, lengths({13, 14, 15, 16, 17, 18, 19}), "maestro"},
    Range{56, 58, 2, lengths({13, 14, 15, 16, 17, 18, 19}), "maestro"},
    Range{6, 6, 1, lengths({13, 14, 15, 16, 17, 18, 19}), "maestro"},
};

const Range* find_range(std::string_view digits) {
  const auto holds = [digits](const Range& range) {
    if (digits.size() < range.digits) return false;
    std::uint32_t prefix = 0;
    std::from_chars(digits.data(), digits.data() + range.digits, prefix);
    return prefix >= range.first && prefix <= range.last;
  };
  const auto* const found = std::ranges::find_if(ranges, holds);
  return found == ranges.end() ? nullptr : found;
}

}  // namespace

bool passes_luhn(std::string_view digits) {
  unsigned sum = 0;
  bool doubled = false;
  for (auto at = digits.rbegin(); at != digits.rend(); ++at, doubled = !doubled) {
    const auto digit = static_cast<unsigned>(*at - '0') * (doubled ? 2U : 1U);
    sum += digit > 9 ? digit - 9 : digit;
  }
  return sum % 10 == 0;
}

std::string_view brand_of(std::string_view leading_digits) {
  const Range* const range = find_range(leading_digits);
  return range == nullptr ? std::string_view() : range->brand;
}

bool has_card_prefix(std::string_view digits) {
  const Range* const range = find_range(digits);
  return range != nullptr && ((range->lengths >> digits.size()) & 1U) != 0;
}

bool looks_like_embedded_pan(std::string_view digits) {
  if (!looks_like_pan(digits)) return false;
  const std::string_view brand = brand_of(digits);
  if (brand == "maestro") return false;
  if (brand == "amex") return true;
  return digits.size() == (brand == "diners" ? 14 : 16);
}

bool looks_like_pan(std::string_view digits) { return has_card_prefix(digits) && passes_luhn(digits); }

}  // namespace redact
