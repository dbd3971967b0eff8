#include "firmware-gateway/terminal/iso8583/format.hpp"

#include <algorithm>
#include <charconv>

namespace iso8583 {
namespace {

constexpr unsigned dots_max = 4;
constexpr std::uint32_t length_max = 9'999;
constexpr std::uint32_t bits_a_byte = 8;

std::optional<Format::Kind> kind_of(std::string_view letters) {
  if (letters == "n") return Format::Kind::numeric;
  if (letters == "z") return Format::Kind::track;
  if (letters == "x+n") return Format::Kind::amount;
  if (letters == "b") return Format::Kind::binary;
  if (!letters.empty() && std::ranges::all_of(letters, [](char c) { return std::string_view("ansbp").contains(c); }))
    return Format::Kind::text;
  return std::nullopt;
}

}  // namespace

std::optional<Format> parse_format(std::string_view text) {
  const std::size_t letters = std::min(text.find_first_not_of("abnpsxz+"), text.size());
  const auto kind = kind_of(text.substr(0, letters));
  if (!kind) return std::nullopt;
  text.remove_prefix(letters);
  const std::size_t dots = std::min(text.find_first_not_of('.'), text.size());
  text.remove_prefix(dots);
  Format format{.kind = *kind, .length_digits = static_cast<unsigned>(dots), .max = 0};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), format.max);
  if (error != std::errc() || end != text.data() + text.size() || dots > dots_max) return std::nullopt;
  if (format.max == 0 || format.max > length_max) return std::nullopt;
  if (*kind == Format::Kind::binary && dots == 0 && format.max % bits_a_byte != 0) return std::nullopt;
  return format;
}

}  // namespace iso8583
