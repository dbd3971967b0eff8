#include "proto/base/utf8.hpp"

#include <cstdint>

namespace base {
namespace {

std::size_t length_by_lead(std::uint8_t lead) {
  if (lead < 0x80U) return 1;
  if (lead >= 0xC2U && lead <= 0xDFU) return 2;
  if ((lead & 0xF0U) == 0xE0U) return 3;
  if (lead >= 0xF0U && lead <= 0xF4U) return 4;
  return 0;
}

// Overlong forms, surrogates and what is beyond U+10FFFF show in the second byte.
bool second_fits(std::uint8_t lead, std::uint8_t second) {
  switch (lead) {
    case 0xE0U:
      return second >= 0xA0U;
    case 0xEDU:
      return second <= 0x9FU;
    case 0xF0U:
      return second >= 0x90U;
    case 0xF4U:
      return second <= 0x8FU;
    default:
      return true;
  }
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
  const auto lead = static_cast<std::uint8_t>(text.front());
  const std::size_t length = length_by_lead(lead);
  if (length < 2) return length;
  if (text.size() < length) return 0;
  for (const char c : text.substr(1, length - 1)) {
    if ((static_cast<std::uint8_t>(c) & 0xC0U) != 0x80U) return 0;
  }
  return second_fits(lead, static_cast<std::uint8_t>(text[1])) ? length : 0;
}

std::size_t utf8_prefix(std::string_view text) {
  std::size_t valid = 0;
  while (valid < text.size()) {
    const std::size_t length = utf8_length(text.substr(valid));
    if (length == 0) break;
    valid += length;
  }
  return valid;
}

}  // namespace base
