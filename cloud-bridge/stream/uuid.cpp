#include "cloud-bridge/stream/uuid.hpp"

namespace stream {

std::string uuid_text(base::BytesView bytes) {
  if (bytes.size() != kUuidBytes) return {};
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(36, '-');
  std::size_t at = 0;
  for (std::size_t i = 0; i < kUuidBytes; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) ++at;
    const auto byte = static_cast<std::uint8_t>(bytes[i]);
    text[at++] = kDigits[byte >> 4U];
    text[at++] = kDigits[byte & 15U];
  }
  return text;
}

std::string uuid_text(const base::Digest& digest) {
  base::Bytes bytes(digest.view().substr(0, kUuidBytes));
  bytes[6] = static_cast<char>((static_cast<std::uint8_t>(bytes[6]) & 0x0fU) | 0x80U);
  bytes[8] = static_cast<char>((static_cast<std::uint8_t>(bytes[8]) & 0x3fU) | 0x80U);
  return uuid_text(base::BytesView(bytes));
}

}  // namespace stream
