#include "firmware-gateway/redact/escapes.hpp"

#include <charconv>
#include <cstdint>

namespace redact {
namespace {

constexpr std::size_t entity_max = 10;

std::optional<std::uint32_t> number(std::string_view digits, int base) {
  std::uint32_t value = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  return parsed.ec == std::errc{} && parsed.ptr == digits.data() + digits.size() && !digits.empty()
             ? std::optional(value)
             : std::nullopt;
}

// `size` hexadecimal digits behind `prefix` characters.
std::optional<CodePoint> hexadecimal(std::string_view text, std::size_t prefix, std::size_t size) {
  if (text.size() < prefix + size) return std::nullopt;
  const auto value = number(text.substr(prefix, size), 16);
  return value ? std::optional(CodePoint{.value = *value, .bytes = prefix + size}) : std::nullopt;
}

std::optional<CodePoint> percent(std::string_view text) {
  auto byte = hexadecimal(text, 1, 2);
  if (byte && byte->value >= 0x80) byte->value = ' ';
  return byte;
}

std::optional<CodePoint> entity(std::string_view text) {
  const std::size_t end = text.substr(0, entity_max).find(';');
  if (end == std::string_view::npos || end < 2) return std::nullopt;
  const std::string_view name = text.substr(1, end - 1);
  if (!name.starts_with('#')) {
    for (const char c : name)
      if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z')) return std::nullopt;
    return CodePoint{.value = ' ', .bytes = end + 1};
  }
  const bool hex = name.size() > 2 && (name[1] == 'x' || name[1] == 'X');
  const auto value = hex ? number(name.substr(2), 16) : number(name.substr(1), 10);
  return value ? std::optional(CodePoint{.value = *value, .bytes = end + 1}) : std::nullopt;
}

std::optional<CodePoint> backslash(std::string_view text) {
  if (text.size() < 2) return std::nullopt;
  switch (text[1]) {
    case 'u':
    case 'U':
      return hexadecimal(text, 2, 4);
    case 'x':
    case 'X':
      return hexadecimal(text, 2, 2);
    case 'n':
    case 'r':
    case 't':
      return CodePoint{.value = ' ', .bytes = 2};
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<CodePoint> undo_escape(std::string_view text) {
  switch (text.empty() ? '\0' : text.front()) {
    case '%':
      return percent(text);
    case '&':
      return entity(text);
    case '\\':
      return backslash(text);
    default:
      return std::nullopt;
  }
}

bool may_hold_escapes(std::string_view text) { return text.find_first_of("%&\\") != std::string_view::npos; }

}  // namespace redact
