#include "firmware-gateway/redact/unicode.hpp"

#include "proto/base/utf8.hpp"

namespace redact {
namespace {

bool in(char32_t value, char32_t first, char32_t last) { return value >= first && value <= last; }

bool is_control(char32_t value) { return value < 0x20 || in(value, 0x7F, 0x9F); }

bool is_override(char32_t value) { return in(value, 0x2028, 0x202E) || in(value, 0x2060, 0x206F) || value == 0xFEFF; }

bool is_non_character(char32_t value) { return in(value, 0xFDD0, 0xFDEF) || (value & 0xFFFE) == 0xFFFE; }

}  // namespace

std::optional<CodePoint> decode(std::string_view text) {
  constexpr std::uint8_t payload[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  const std::size_t length = base::utf8_length(text);
  if (length == 0) return std::nullopt;
  char32_t value = static_cast<std::uint8_t>(text[0]) & payload[length];
  for (const char c : text.substr(1, length - 1)) value = (value << 6U) | (static_cast<std::uint8_t>(c) & 0x3FU);
  return CodePoint{value, length};
}

std::optional<std::size_t> count_characters(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) {
    const auto next = decode(text);
    if (!next) return std::nullopt;
    text.remove_prefix(next->bytes);
  }
  return count;
}

bool is_printable(std::string_view text) {
  while (!text.empty()) {
    const auto next = decode(text);
    if (!next || is_control(next->value) || is_override(next->value) || is_non_character(next->value)) return false;
    text.remove_prefix(next->bytes);
  }
  return true;
}

}  // namespace redact
