#include "proto/base/uuid.hpp"

#include <algorithm>
#include <ranges>

namespace base {
namespace {

constexpr std::uint64_t low_bits = (std::uint64_t{1} << 62U) - 1;
constexpr std::uint16_t high_bits = 0xFFF;
constexpr std::uint64_t time_bits = (std::uint64_t{1} << 48U) - 1;
constexpr std::array<std::size_t, 4> dashes{8, 13, 18, 23};

}  // namespace

std::string to_text(const Uuid& uuid) {
  std::string text = to_hex(uuid.view());
  for (const std::size_t at : dashes) text.insert(at, 1, '-');
  return text;
}

std::string uuid_text(BytesView bytes) {
  const auto uuid = from_bytes<Uuid>(bytes);
  return uuid ? to_text(*uuid) : std::string();
}

std::optional<Uuid> parse_uuid(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  std::string hex(text);
  for (const std::size_t at : dashes | std::views::reverse) {
    if (hex[at] != '-') return std::nullopt;
    hex.erase(at, 1);
  }
  const auto bytes = from_hex(hex);
  return bytes ? from_bytes<Uuid>(*bytes) : std::nullopt;
}

void UuidClock::reseed() {
  high_ = static_cast<std::uint16_t>(random_.next() & high_bits);
  low_ = random_.next() & low_bits;
}

bool UuidClock::advance() {
  low_ += 1 + (random_.next() & 0xFFFFFFFFU);
  if (low_ <= low_bits) return true;
  low_ &= low_bits;
  high_ = static_cast<std::uint16_t>(high_ + 1);
  return high_ <= high_bits;
}

Uuid UuidClock::next(UtcTime now) {
  const auto given = static_cast<std::uint64_t>(std::max<std::int64_t>(0, now.time_since_epoch().count())) & time_bits;
  if (given > milliseconds_) {
    milliseconds_ = given;
    reseed();
  } else if (!advance()) {
    ++milliseconds_;
    reseed();
  }
  Uuid uuid;
  for (std::size_t i = 0; i < 6; ++i) uuid.bytes[i] = static_cast<std::uint8_t>(milliseconds_ >> (8 * (5 - i)));
  uuid.bytes[6] = static_cast<std::uint8_t>(0x70U | (high_ >> 8U));
  uuid.bytes[7] = static_cast<std::uint8_t>(high_ & 0xFFU);
  for (std::size_t i = 0; i < 8; ++i) uuid.bytes[8 + i] = static_cast<std::uint8_t>(low_ >> (8 * (7 - i)));
  uuid.bytes[8] = static_cast<std::uint8_t>(0x80U | (uuid.bytes[8] & 0x3FU));
  return uuid;
}

}  // namespace base
