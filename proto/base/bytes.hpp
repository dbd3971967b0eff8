// Bytes, digests and random ids.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace base {

// Raw bytes. std::string, because protobuf, SQLite and MQTT all take it without a copy.
using Bytes = std::string;
using BytesView = std::string_view;

// A SHA-256 value.
struct Digest {
  std::array<std::uint8_t, 32> bytes{};

  [[nodiscard]] BytesView view() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
  friend bool operator==(const Digest&, const Digest&) = default;
};

// A random 128-bit id of one kind. All zeros means "none".
template <class Tag>
struct Id {
  std::array<std::uint8_t, 16> bytes{};

  [[nodiscard]] bool empty() const { return *this == Id{}; }
  [[nodiscard]] BytesView view() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
  friend auto operator<=>(const Id&, const Id&) = default;
};

// Lower-case hex of any bytes.
[[nodiscard]] std::string to_hex(BytesView bytes);
// The bytes of an even number of hex digits of either case; nothing for anything else.
[[nodiscard]] std::optional<Bytes> from_hex(std::string_view hex);
// RFC 4648 base32, lower case, without padding.
[[nodiscard]] std::string to_base32(BytesView bytes);

// Reads a fixed-size value (Digest, Id) from exactly as many bytes; nothing for another length.
template <class Fixed>
[[nodiscard]] std::optional<Fixed> from_bytes(BytesView bytes) {
  Fixed fixed;
  if (bytes.size() != fixed.bytes.size()) return std::nullopt;
  std::memcpy(fixed.bytes.data(), bytes.data(), bytes.size());
  return fixed;
}

}  // namespace base

template <class Tag>
struct std::hash<base::Id<Tag>> {
  std::size_t operator()(const base::Id<Tag>& id) const noexcept { return std::hash<std::string_view>{}(id.view()); }
};
