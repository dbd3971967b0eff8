#include "firmware-gateway/terminal/iso8583/charset.hpp"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "firmware-gateway/redact/unicode.hpp"
#include "firmware-gateway/terminal/iso8583/charset_tables.hpp"
#include "proto/base/utf8.hpp"

namespace iso8583 {
namespace {

constexpr char16_t no_character = 0xFFFD;
constexpr std::uint8_t no_digit = 255;
using Characters = std::array<char16_t, 256>;

constexpr std::array<std::pair<std::string_view, std::string_view>, 19> other_names{{{"us-ascii", "ascii"},
                                                                                     {"iso8859-1", "latin-1"},
                                                                                     {"iso-8859-1", "latin-1"},
                                                                                     {"latin1", "latin-1"},
                                                                                     {"utf8", "utf-8"},
                                                                                     {"ebcdic", "cp500"},
                                                                                     {"ibm037", "cp037"},
                                                                                     {"ibm273", "cp273"},
                                                                                     {"ibm437", "cp437"},
                                                                                     {"ibm500", "cp500"},
                                                                                     {"ibm850", "cp850"},
                                                                                     {"ibm852", "cp852"},
                                                                                     {"ibm858", "cp858"},
                                                                                     {"ibm1026", "cp1026"},
                                                                                     {"ibm1047", "cp1047"},
                                                                                     {"ibm1140", "cp1140"},
                                                                                     {"windows-1250", "cp1250"},
                                                                                     {"windows-1251", "cp1251"},
                                                                                     {"windows-1252", "cp1252"}}};

Characters first_bytes_as_they_are(unsigned known) {
  Characters characters;
  characters.fill(no_character);
  for (unsigned byte = 0; byte < known; ++byte) characters.at(byte) = static_cast<char16_t>(byte);
  return characters;
}

Characters characters_of(const CharsetTable& table) {
  Characters characters = first_bytes_as_they_are(table.first);
  for (unsigned byte = table.first; byte < characters.size(); ++byte)
    characters.at(byte) = table.characters[byte - table.first];
  return characters;
}

char* append_utf8(char16_t character, char* out) {
  if (character < 0x80) {
    *out++ = static_cast<char>(character);
  } else if (character < 0x800) {
    *out++ = static_cast<char>(0xC0U | (character >> 6U));
    *out++ = static_cast<char>(0x80U | (character & 0x3FU));
  } else {
    *out++ = static_cast<char>(0xE0U | (character >> 12U));
    *out++ = static_cast<char>(0x80U | ((character >> 6U) & 0x3FU));
    *out++ = static_cast<char>(0x80U | (character & 0x3FU));
  }
  return out;
}

constexpr std::uint64_t beyond_ascii = 0x8080'8080'8080'8080U;

std::uint64_t word_at(const char* bytes) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

// Copies, and says whether all of it was ASCII. Words overlap at the end: fields are short, and many.
bool copy_ascii(std::string_view bytes, char* out) {
  constexpr std::size_t step = sizeof(std::uint64_t);
  std::uint64_t seen = 0;
  if (bytes.size() < step) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      seen |= static_cast<std::uint8_t>(bytes[i]);
      out[i] = bytes[i];
    }
    return (seen & beyond_ascii) == 0;
  }
  const auto copy_word = [&](std::size_t at) {
    const std::uint64_t word = word_at(bytes.data() + at);
    seen |= word;
    std::memcpy(out + at, &word, step);
  };
  for (std::size_t at = 0; at + step <= bytes.size(); at += step) copy_word(at);
  copy_word(bytes.size() - step);
  return (seen & beyond_ascii) == 0;
}

bool all_ascii(std::string_view bytes) {
  unsigned seen = 0;
  for (const char byte : bytes) seen |= static_cast<std::uint8_t>(byte);
  return seen < 0x80;
}

}  // namespace

// All of them, built once.
class Charsets {
 public:
  static const Charsets& all() {
    static const Charsets charsets;
    return charsets;
  }

  [[nodiscard]] const Charset* find(std::string_view name) const {
    const auto found = std::ranges::find(charsets_, name, &Charset::name);
    return found == charsets_.end() ? nullptr : &*found;
  }
  [[nodiscard]] std::span<const std::string_view> names() const { return names_; }

 private:
  Charsets() {
    charsets_.push_back(Charset("ascii", first_bytes_as_they_are(128), false));
    charsets_.push_back(Charset("latin-1", first_bytes_as_they_are(256), false));
    charsets_.push_back(Charset("utf-8", first_bytes_as_they_are(128), true));
    for (const CharsetTable& table : charset_tables())
      charsets_.push_back(Charset(table.name, characters_of(table), false));
    for (const Charset& charset : charsets_) names_.push_back(charset.name());
  }

  std::vector<Charset> charsets_;
  std::vector<std::string_view> names_;
};

Charset::Charset(std::string_view name, const Characters& characters, bool is_utf8)
    : name_(name), characters_(characters), is_utf8_(is_utf8) {
  digits_.fill(no_digit);
  hex_digits_.fill(no_digit);
  for (unsigned byte = 0; byte < characters_.size(); ++byte) {
    const char16_t character = characters_[byte];
    if (character == no_character) continue;
    if (byte < 0x80 && character != byte) ascii_below_128_ = false;
    if (character >= 0x80) continue;
    ascii_[character] = static_cast<std::uint8_t>(byte);
    const auto c = static_cast<char>(character);
    if (c >= '0' && c <= '9') digits_[byte] = hex_digits_[byte] = static_cast<std::uint8_t>(c - '0');
    if (c >= 'A' && c <= 'F') hex_digits_[byte] = static_cast<std::uint8_t>(c - 'A' + 10);
    if (c >= 'a' && c <= 'f') hex_digits_[byte] = static_cast<std::uint8_t>(c - 'a' + 10);
  }
  for (unsigned character = 0; character < ascii_.size(); ++character)
    has_all_ascii_ = has_all_ascii_ && characters_[ascii_[character]] == character;
}

const Charset* Charset::find(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == '_') c = '-';
  }
  const auto* const other =
      std::ranges::find(other_names, std::string_view(lower), &std::pair<std::string_view, std::string_view>::first);
  return Charsets::all().find(other == other_names.end() ? std::string_view(lower) : other->second);
}

std::span<const std::string_view> Charset::names() { return Charsets::all().names(); }

char* Charset::decode(std::string_view bytes, char* out) const {
  if (ascii_below_128_ && copy_ascii(bytes, out)) return out + bytes.size();
  if (is_utf8_) return base::utf8_prefix(bytes) == bytes.size() ? std::ranges::copy(bytes, out).out : nullptr;
  for (const char byte : bytes) {
    const char16_t character = characters_[static_cast<std::uint8_t>(byte)];
    if (character == no_character) return nullptr;
    if (character < ascii_.size()) {
      *out++ = static_cast<char>(character);
    } else {
      out = append_utf8(character, out);
    }
  }
  return out;
}

char* Charset::encode(std::string_view text, char* out) const {
  if (ascii_below_128_ && copy_ascii(text, out)) return out + text.size();
  if (has_all_ascii_ && all_ascii(text))
    return std::ranges::transform(text, out, [this](char c) { return byte_of(c); }).out;
  if (is_utf8_) {
    if (base::utf8_prefix(text) != text.size()) return nullptr;
    return std::ranges::copy(text, out).out;
  }
  while (!text.empty()) {
    const auto first = static_cast<std::uint8_t>(text.front());
    const auto next = first < ascii_.size() ? redact::CodePoint{first, 1} : redact::decode(text);
    if (!next) return nullptr;
    text.remove_prefix(next->bytes);
    const auto byte = byte_of_character(next->value);
    if (!byte) return nullptr;
    *out++ = static_cast<char>(*byte);
  }
  return out;
}

std::optional<std::uint8_t> Charset::byte_of_character(char32_t character) const {
  if (character < ascii_.size()) {
    const std::uint8_t byte = ascii_[character];
    return characters_[byte] == character ? std::optional(byte) : std::nullopt;
  }
  const auto byte = std::ranges::find(characters_, character);
  if (character == no_character || byte == characters_.end()) return std::nullopt;
  return static_cast<std::uint8_t>(byte - characters_.begin());
}

}  // namespace iso8583
