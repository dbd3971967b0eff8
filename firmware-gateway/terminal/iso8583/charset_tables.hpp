// The characters of each single-byte charset that a dialect may name.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace iso8583 {

struct CharsetTable {
  std::string_view name;
  // The byte that characters[0] stands for: 128 where the bytes below are ASCII, else 0. The table goes to byte 255.
  unsigned first;
  const char16_t* characters;  // U+FFFD: the byte is no character
};

[[nodiscard]] std::span<const CharsetTable> charset_tables();

}  // namespace iso8583
