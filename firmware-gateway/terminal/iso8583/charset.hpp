// Charset: how a field's characters are bytes. Values are UTF-8 everywhere else in the house.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace iso8583 {

// The most bytes of UTF-8 that a byte of any charset may become.
inline constexpr std::size_t charset_growth_max = 3;

// Immutable, lives as long as the program.
class Charset {
 public:
  // "ascii", "latin-1", "cp500" …, also by the usual other names ("iso8859-1", "ebcdic", "ibm037"), in upper or lower
  // case; nothing when it is not known.
  [[nodiscard]] static const Charset* find(std::string_view name);
  // The names that find() knows, without the other spellings.
  [[nodiscard]] static std::span<const std::string_view> names();

  [[nodiscard]] std::string_view name() const { return name_; }

  // Writes the bytes as UTF-8 to `out`, which has room for charset_growth_max times as many. The end of what was
  // written, or null when a byte is no character.
  [[nodiscard]] char* decode(std::string_view bytes, char* out) const;
  // Writes a UTF-8 text to `out`, which has room for as many bytes. The end of what was written, or null when a
  // character is not in this charset.
  [[nodiscard]] char* encode(std::string_view text, char* out) const;

  // The value of a byte that is one of the digits 0 to 9 in this charset; 255 for any other.
  [[nodiscard]] std::uint8_t digit(char byte) const { return digits_[static_cast<std::uint8_t>(byte)]; }
  // The same for 0 to 9, A to F and a to f.
  [[nodiscard]] std::uint8_t hex_digit(char byte) const { return hex_digits_[static_cast<std::uint8_t>(byte)]; }
  // The byte of an ASCII character.
  [[nodiscard]] char byte_of(char ascii) const { return static_cast<char>(ascii_[static_cast<std::uint8_t>(ascii)]); }

 private:
  friend class Charsets;
  Charset(std::string_view name, const std::array<char16_t, 256>& characters, bool is_utf8);
  [[nodiscard]] std::optional<std::uint8_t> byte_of_character(char32_t character) const;

  std::string_view name_;
  std::array<char16_t, 256> characters_;
  std::array<std::uint8_t, 128> ascii_{};
  std::array<std::uint8_t, 256> digits_{};
  std::array<std::uint8_t, 256> hex_digits_{};
  bool is_utf8_;
  // Bytes below 128 are ASCII's; each character of ASCII has a byte.
  bool ascii_below_128_ = true;
  bool has_all_ascii_ = true;
};

}  // namespace iso8583
