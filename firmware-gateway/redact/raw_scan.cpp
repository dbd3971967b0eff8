#include "firmware-gateway/redact/raw_scan.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "firmware-gateway/redact/iin.hpp"
#include "firmware-gateway/redact/secret.hpp"

namespace redact {
namespace {

// Behind a track's separator: YYMM and service code.
constexpr std::size_t expiry_digits = 4;
constexpr std::size_t tail_digits_min = 7;
constexpr std::size_t track2_max = 37;
constexpr std::size_t track1_max = 76;
constexpr std::size_t track_name_max = 26;
constexpr std::size_t length_digits = 2;
// In a track's field: its length, a sentinel and format code, a filling nibble.
constexpr std::size_t before_number_max = 5;
// The usual ones first.
constexpr std::array<std::size_t, 8> number_sizes{16, 15, 14, 19, 18, 17, 13, 12};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool all_digits(std::string_view text) { return std::ranges::all_of(text, is_digit); }

std::size_t digits_from(std::string_view text, std::size_t at) {
  const auto rest = text.substr(std::min(at, text.size()));
  return static_cast<std::size_t>(std::ranges::find_if_not(rest, is_digit) - rest.begin());
}

std::size_t digits_before(std::string_view text, std::size_t at) {
  std::size_t begin = at;
  while (begin > 0 && is_digit(text[begin - 1])) --begin;
  return at - begin;
}

std::size_t two_digits(std::string_view text) {
  return static_cast<std::size_t>(text[0] - '0') * 10 + static_cast<std::size_t>(text[1] - '0');
}

bool begins_with_expiry(std::string_view tail) {
  if (digits_from(tail, 0) < expiry_digits) return false;
  const std::size_t month = two_digits(tail.substr(2));
  return month >= 1 && month <= 12;
}

char from_ebcdic(char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (byte >= 0xF0 && byte <= 0xF9) return static_cast<char>('0' + (byte - 0xF0));
  if (byte >= 0xC1 && byte <= 0xC6) return static_cast<char>('A' + (byte - 0xC1));
  if (byte == 0x7E) return '=';
  // cp500 and cp037.
  if (byte == 0x5F || byte == 0xB0) return '^';
  return '?';
}

// The bytes as text, in one of the three ways.
struct Stream {
  std::string_view text;
  std::size_t per_byte = 1;

  [[nodiscard]] Finding bytes(std::size_t begin, std::size_t end) const {
    return {begin / per_byte, (end + per_byte - 1) / per_byte};
  }
};

class Search {
 public:
  Search(Stream stream, const RawHints& hints, std::vector<Finding>& findings)
      : text_(stream.text), stream_(stream), hints_(hints), findings_(findings) {}

  void run() {
    for (std::size_t at = text_.find_first_of("=D^A"); at != std::string_view::npos;
         at = text_.find_first_of("=D^A", at + 1)) {
      if (text_[at] == 'A') {
        take_tag(at);
      } else if (text_[at] == '^') {
        take_track1(at);
      } else {
        take_track2(at);
      }
    }
  }

 private:
  void found(std::size_t begin, std::size_t end) { findings_.push_back(stream_.bytes(begin, end)); }

  // EMV tag 5A, length in bytes, the number.
  void take_tag(std::size_t at) {
    const bool tag = at > 0 && text_[at - 1] == '5' && (stream_.per_byte == 1 || at % 2 == 1);
    if (!tag || at + 3 > text_.size() || text_[at + 1] != '0') return;
    const char length = text_[at + 2];
    const std::size_t bytes = is_digit(length) ? static_cast<std::size_t>(length - '0') : length == 'A' ? 10 : 0;
    const std::size_t begin = at + 3;
    std::size_t digits = std::min(digits_from(text_, begin), 2 * bytes);
    if (digits + 1 < 2 * bytes || digits < pan_digits_min) return;
    if (passes_luhn(text_.substr(begin, digits))) found(begin, begin + digits);
  }

  void take_track2(std::size_t separator) {
    const std::string_view tail = text_.substr(separator + 1);
    if (!begins_with_expiry(tail)) return;
    const Finding* const field = field_at(separator);
    if (field == nullptr && digits_from(tail, 0) < tail_digits_min) return;
    const auto begin = number_before(separator, field, track2_max, text_[separator] == '=');
    if (begin) found(*begin, end_of(*begin, separator + 1, field, track2_max));
  }

  void take_track1(std::size_t caret) {
    const std::size_t second = text_.find('^', caret + 1);
    if (second == std::string_view::npos || second - caret > track_name_max + 1 || second - caret < 3) return;
    if (!begins_with_expiry(text_.substr(second + 1))) return;
    const Finding* const field = field_at(caret);
    const auto begin = number_before(caret, field, track1_max, true);
    if (begin) found(*begin, end_of(*begin, second + 1, field, track1_max));
  }

  // The field that is a track and holds this, as the message was read.
  [[nodiscard]] const Finding* field_at(std::size_t at) const {
    const std::size_t byte = at / stream_.per_byte;
    const auto field = std::ranges::find_if(
        hints_.tracks, [byte](const Finding& track) { return track.begin <= byte && byte < track.end; });
    return field == hints_.tracks.end() ? nullptr : &*field;
  }
  // Nothing but a length and a sentinel is before it.
  [[nodiscard]] bool begins_in(const Finding& field, std::size_t number) const {
    const std::size_t begin = field.begin * stream_.per_byte;
    return begin <= number && number - begin <= before_number_max;
  }

  // A track ends with its field. Where it does not begin in one, its last digits are anywhere; where it is in no such
  // field at all, other digits may follow it.
  [[nodiscard]] std::size_t end_of(std::size_t number, std::size_t tail, const Finding* field,
                                   std::size_t track_max) const {
    if (field == nullptr) return std::min(text_.size(), tail + tail_digits_min);
    if (begins_in(*field, number)) return field->end * stream_.per_byte;
    return std::min(tail + digits_from(text_, tail), number + track_max);
  }

  // Where the number before a separator begins.
  [[nodiscard]] std::optional<std::size_t> number_before(std::size_t separator, const Finding* field,
                                                         std::size_t track_max, bool certain) const {
    const std::size_t digits = digits_before(text_, separator);
    if (digits < pan_digits_min) return std::nullopt;
    if (stands_behind_sentinel(separator - digits, digits)) return separator - digits;
    std::optional<std::size_t> as_read;
    for (std::size_t size = std::min(digits, pan_digits_max); field != nullptr && size >= pan_digits_min; --size) {
      if (!begins_in(*field, separator - size)) continue;
      if (passes_luhn(text_.substr(separator - size, size))) return separator - size;
      if (!as_read) as_read = separator - size;
    }
    for (const std::size_t size : number_sizes) {
      if (size > digits || !looks_like_pan(text_.substr(separator - size, size))) continue;
      if (!as_read || stands_behind_length(separator - size, size, track_max)) return separator - size;
    }
    if (as_read) return as_read;
    return certain ? std::optional(separator - pan_digits_min) : std::nullopt;
  }

  // Track 2's ';', track 1's format code 'B'.
  [[nodiscard]] bool stands_behind_sentinel(std::size_t begin, std::size_t size) const {
    if (begin == 0 || size > pan_digits_max || (text_[begin - 1] != ';' && text_[begin - 1] != 'B')) return false;
    return passes_luhn(text_.substr(begin, size));
  }

  // Of a track with a number of that size.
  [[nodiscard]] bool stands_behind_length(std::size_t begin, std::size_t size, std::size_t track_max) const {
    if (begin < length_digits || !all_digits(text_.substr(begin - length_digits, length_digits))) return false;
    const std::size_t length = two_digits(text_.substr(begin - length_digits));
    return length > size + tail_digits_min && length <= track_max;
  }

  std::string_view text_;
  Stream stream_;
  const RawHints& hints_;
  std::vector<Finding>& findings_;
};

class Numbers {
 public:
  Numbers(std::string_view bytes, std::string_view ebcdic, std::string_view nibbles, std::vector<Finding>& findings)
      : bytes_(bytes), ebcdic_(ebcdic), nibbles_(nibbles), findings_(findings) {}

  // One whose length begins here, in two digits, however they are written.
  void take(std::size_t at) {
    for (const std::string_view text : {bytes_, ebcdic_})
      if (digits_from(text.substr(0, std::min(text.size(), at + length_digits)), at) == length_digits)
        take(at + length_digits, two_digits(text.substr(at)));
    if (at >= bytes_.size()) return;
    if (const std::string_view packed = nibbles_.substr(2 * at, 2); all_digits(packed))
      take(at + 1, two_digits(packed));
  }
  // In one byte.
  void take_binary(std::size_t at) {
    if (at < bytes_.size()) take(at + 1, static_cast<unsigned char>(bytes_[at]));
  }

 private:
  void take(std::size_t begin, std::size_t size) {
    if (size < pan_digits_min || size > pan_digits_max) return;
    for (const std::string_view text : {bytes_, ebcdic_})
      if (is_number(text, begin, size)) findings_.push_back({begin, begin + size});
    for (std::size_t filling = 0; filling <= size % 2; ++filling)
      if (is_number(nibbles_, 2 * begin + filling, size)) findings_.push_back({begin, begin + (size + 1) / 2});
  }

  [[nodiscard]] static bool is_number(std::string_view text, std::size_t begin, std::size_t size) {
    return digits_from(text.substr(0, std::min(text.size(), begin + size)), begin) == size &&
           looks_like_pan(text.substr(begin, size));
  }

  std::string_view bytes_;
  std::string_view ebcdic_;
  std::string_view nibbles_;
  std::vector<Finding>& findings_;
};

}  // namespace

std::vector<Finding> find_raw_card_data(std::string_view bytes, const RawHints& hints) {
  constexpr std::string_view hex_digits = "0123456789ABCDEF";
  std::string ebcdic(bytes.size(), '\0');
  std::ranges::transform(bytes, ebcdic.begin(), from_ebcdic);
  std::string nibbles(2 * bytes.size(), '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    nibbles[2 * i] = hex_digits[static_cast<unsigned char>(bytes[i]) >> 4U];
    nibbles[2 * i + 1] = hex_digits[static_cast<unsigned char>(bytes[i]) & 15U];
  }
  std::vector<Finding> findings;
  Search({.text = bytes}, hints, findings).run();
  Search({.text = ebcdic}, hints, findings).run();
  Search({.text = nibbles, .per_byte = 2}, hints, findings).run();
  Numbers numbers(bytes, ebcdic, nibbles, findings);
  for (const std::size_t at : hints.lengths_at) numbers.take(at);
  for (const std::size_t at : hints.binary_lengths_at) numbers.take_binary(at);
  wipe(ebcdic);
  wipe(nibbles);
  return findings;
}

}  // namespace redact
