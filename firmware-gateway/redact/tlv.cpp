#include "firmware-gateway/redact/tlv.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace redact {
namespace {

struct KeptTag {
  std::string_view tag;
  std::size_t length_min;
  std::size_t length_max;
};

constexpr std::array<KeptTag, 21> kept_tags{{
    {"4F", 5, 16},     // application identifier (card)
    {"84", 5, 16},     // dedicated file name: the application chosen
    {"50", 1, 16},     // application label
    {"9F12", 1, 16},   // application preferred name
    {"9F11", 1, 1},    // its code table
    {"82", 2, 2},      // application interchange profile
    {"95", 5, 5},      // terminal verification results
    {"9B", 2, 2},      // transaction status information
    {"9A", 3, 3},      // transaction date
    {"9C", 1, 1},      // transaction type
    {"9F21", 3, 3},    // transaction time
    {"9F02", 6, 6},    // amount authorised
    {"9F03", 6, 6},    // amount other
    {"5F2A", 2, 2},    // transaction currency
    {"5F36", 1, 1},    // its exponent
    {"9F1A", 2, 2},    // terminal country
    {"9F24", 29, 29},  // payment account reference
    {"9F27", 1, 1},    // cryptogram information data: which kind, not the cryptogram
    {"9F33", 3, 3},    // terminal capabilities
    {"9F34", 3, 3},    // cardholder verification method results
    {"9F35", 1, 1},    // terminal type
}};

std::uint8_t byte_at(std::string_view bytes, std::size_t at) { return static_cast<std::uint8_t>(bytes[at]); }

// Bytes of the tag; 0 when it does not end.
std::size_t tag_length(std::string_view bytes) {
  constexpr std::size_t tag_bytes_max = 4;
  if (bytes.empty()) return 0;
  if ((byte_at(bytes, 0) & 0x1FU) != 0x1FU) return 1;
  for (std::size_t at = 1; at < std::min(bytes.size(), tag_bytes_max); ++at)
    if ((byte_at(bytes, at) & 0x80U) == 0) return at + 1;
  return 0;
}

// The length and its own bytes.
struct Length {
  std::size_t value;
  std::size_t bytes;
};

std::optional<Length> length_of(std::string_view bytes) {
  if (bytes.empty()) return std::nullopt;
  const std::uint8_t first = byte_at(bytes, 0);
  if (first < 0x80) return Length{first, 1};
  const std::size_t more = first & 0x7FU;
  if (more == 0 || more > 2 || bytes.size() < 1 + more) return std::nullopt;
  std::size_t value = 0;
  for (std::size_t at = 1; at <= more; ++at) value = (value << 8U) | byte_at(bytes, at);
  return Length{value, 1 + more};
}

}  // namespace

std::optional<Tlv> take_tlv(std::string_view& bytes) {
  const std::size_t tag_bytes = tag_length(bytes);
  if (tag_bytes == 0) return std::nullopt;
  const auto length = length_of(bytes.substr(tag_bytes));
  if (!length) return std::nullopt;
  const std::size_t begin = tag_bytes + length->bytes;
  if (bytes.size() - begin < length->value) return std::nullopt;
  const Tlv tlv{.tag = bytes.substr(0, tag_bytes), .value = bytes.substr(begin, length->value)};
  bytes.remove_prefix(begin + length->value);
  return tlv;
}

void skip_filling(std::string_view& bytes) {
  while (!bytes.empty() && (bytes.front() == '\0' || bytes.front() == '\xFF')) bytes.remove_prefix(1);
}

bool tlv_may_be_kept(std::string_view tag, std::size_t length) {
  const auto* const found = std::ranges::find(kept_tags, tag, &KeptTag::tag);
  return found != kept_tags.end() && found->length_min <= length && length <= found->length_max;
}

}  // namespace redact
