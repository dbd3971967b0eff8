// The scanner against a second reading of what its README promises: by brute force, without looking at how the scanner
// goes about it. What comes out of it holds no card number in any grouping, and a second look finds nothing more.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "firmware-gateway/redact/card_number.hpp"
#include "firmware-gateway/redact/iin.hpp"
#include "firmware-gateway/redact/scan.hpp"
#include "firmware-gateway/redact/unicode.hpp"
#include "proto/base/assert.hpp"

namespace {

constexpr std::size_t kTextMax = 2048;
constexpr std::size_t kBetweenMax = 3;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// One unbroken run of digits, and how many characters stand between it and the next one; nothing: a letter does, or
// more than the README says.
struct Group {
  std::string digits;
  bool continues = false;
};

// Plain ASCII and a few other characters: what this oracle knows for sure.
bool may_stand_between(char32_t c) {
  if (c < 0x80) return !is_letter(static_cast<char>(c)) && !is_digit(static_cast<char>(c));
  return c == 0xA0 || c == 0xAD || c == 0x2009 || c == 0x200B || c == 0x2013 || c == 0xFEFF;
}

std::optional<char> digit(char32_t c) {
  if (c >= '0' && c <= '9') return static_cast<char>(c);
  if (c >= 0xFF10 && c <= 0xFF19) return static_cast<char>('0' + (c - 0xFF10));
  if (c >= 0x0660 && c <= 0x0669) return static_cast<char>('0' + (c - 0x0660));
  return std::nullopt;
}

std::vector<Group> groups_of(std::string_view text) {
  std::vector<Group> groups;
  std::size_t between = 0;
  bool joined = false;
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const auto next = redact::decode(text.substr(at)).value_or(redact::CodePoint{0xFFFD, 1});
    at += next.bytes;
    if (const auto value = digit(next.value)) {
      if (!inside && !groups.empty()) groups.back().continues = joined && between <= kBetweenMax;
      if (!inside) groups.emplace_back();
      groups.back().digits += *value;
      inside = joined = true;
      between = 0;
    } else {
      inside = false;
      ++between;
      joined = joined && may_stand_between(next.value);
    }
  }
  return groups;
}

bool holds_card_number(std::string_view text) {
  const std::vector<Group> groups = groups_of(text);
  for (std::size_t first = 0; first < groups.size(); ++first) {
    std::string digits;
    for (std::size_t last = first; last < groups.size(); ++last) {
      digits += groups[last].digits;
      if (digits.size() > redact::pan_digits_max) break;
      if (digits.size() >= 13 && redact::looks_like_pan(digits)) return true;
      if (!groups[last].continues) break;
    }
    const std::string_view run = groups[first].digits;
    for (std::size_t size = 14; size <= 16 && size < run.size(); ++size) {
      if (redact::looks_like_embedded_pan(run.substr(0, size))) return true;
      if (redact::looks_like_embedded_pan(run.substr(run.size() - size))) return true;
    }
  }
  return false;
}

void check_scan(std::string_view text) {
  const auto findings = redact::find_card_data(text);
  std::size_t end = 0;
  for (const auto& finding : findings) {
    ASSERT(finding.begin >= end && finding.begin < finding.end && finding.end <= text.size());
    end = finding.end;
  }
  ASSERT(!holds_card_number(text) || !findings.empty());
  std::string masked(text);
  ASSERT(redact::mask_card_data(masked, [](std::string_view) { return "[card data]"; }) == findings.size());
  ASSERT(!holds_card_number(masked));
  ASSERT(redact::find_card_data(masked).empty());
}

void check_card_number(std::string_view text) {
  const auto card = redact::read_card_number(text);
  if (!card) return;
  ASSERT(card->last4.empty() || (card->last4.size() == 4 && std::ranges::all_of(card->last4, is_digit)));
  const std::string_view pan = card->pan.view();
  if (pan.empty()) {
    ASSERT(!redact::is_clear(text));
    return;
  }
  ASSERT(redact::is_clear(text));
  ASSERT(pan.size() >= redact::pan_digits_min && pan.size() <= redact::pan_digits_max && redact::passes_luhn(pan));
  ASSERT(pan.ends_with(card->last4));
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > kTextMax) return 0;
  const std::string_view text(size == 0 ? "" : reinterpret_cast<const char*>(data), size);
  check_scan(text);
  check_card_number(text);
  return 0;
}
