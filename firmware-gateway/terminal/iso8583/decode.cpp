#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "firmware-gateway/terminal/iso8583/codec.hpp"
#include "firmware-gateway/terminal/iso8583/field_table.hpp"
#include "proto/base/assert.hpp"

namespace iso8583 {
namespace {

constexpr std::size_t mti_digits = 4;
constexpr std::size_t bitmap_bytes = 8;
constexpr std::uint8_t no_digit = 255;
constexpr std::string_view hex_digits = "0123456789ABCDEF";

constexpr std::array<std::array<char, 2>, 256> hex_of_bytes = [] {
  std::array<std::array<char, 2>, 256> table{};
  for (std::size_t byte = 0; byte < table.size(); ++byte)
    table[byte] = {hex_digits[byte >> 4U], hex_digits[byte & 15U]};
  return table;
}();

std::uint8_t high(char byte) { return static_cast<std::uint8_t>(static_cast<std::uint8_t>(byte) >> 4U); }
std::uint8_t low(char byte) { return static_cast<std::uint8_t>(byte) & 0x0FU; }

char* write_hex(std::string_view bytes, char* out) {
  for (const char byte : bytes) out = std::ranges::copy(hex_of_bytes[static_cast<std::uint8_t>(byte)], out).out;
  return out;
}

std::string name_of(Part part, unsigned field, unsigned year) {
  switch (part) {
    case Part::header:
      return "the header";
    case Part::mti:
      return "the MTI";
    case Part::bitmap:
      return "the bitmap";
    case Part::secondary_bitmap:
      return "the second bitmap";
    case Part::tertiary_bitmap:
      return "the third bitmap";
    case Part::field:
      return fmt::format("field {} ({})", field, field_name(field, year));
    case Part::end:
      return "the end";
  }
  return "";
}

}  // namespace

std::string_view words_of(Reason reason) {
  switch (reason) {
    case Reason::too_large:
      return "is longer than any message may be";
    case Reason::truncated:
      return "the message ends before it does";
    case Reason::mti:
      return "is not four digits";
    case Reason::bitmap:
      return "holds a character that is no hex digit";
    case Reason::tertiary_bitmap:
      return "stands for a third bitmap, which the dialect does not have";
    case Reason::not_listed:
      return "is not in the dialect, so that its end cannot be found";
    case Reason::length:
      return "its length is not a number";
    case Reason::too_long:
      return "is longer than the dialect allows";
    case Reason::character:
      return "holds a byte that is no character of the dialect's charset";
    case Reason::padding:
      return "has an odd number of digits, and not the padding that the dialect says";
    case Reason::trailing_bytes:
      return "more bytes follow the last field";
  }
  return "";
}

// One pass over one message. Each read_… takes its part from the front of what is left, or says why it cannot.
class Decoder {
 public:
  Decoder(std::string_view bytes, const Dialect& dialect) : dialect_(dialect), bytes_(bytes) {}

  base::Result<Message, DecodeError> run() {
    if (const auto reason = read()) {
      return base::fail(DecodeError{.reason = *reason,
                                    .part = part_,
                                    .field = part_ == Part::field ? field_ : 0,
                                    .position = part_begin_,
                                    .bytes = bytes_.size(),
                                    .read = std::move(message_)});
    }
    return std::move(message_);
  }

 private:
  using Failure = std::optional<Reason>;

  Failure read() {
    part_ = Part::header;
    if (bytes_.size() > message_bytes_max) return Reason::too_large;
    // Whoever has a header reads it before the number of fields is known.
    if (dialect_.header.listed) reserve(field_max + 1);
    if (const auto failure = read_header()) return failure;
    begin(Part::mti);
    if (const auto failure = read_mti()) return failure;
    if (const auto failure = read_bitmaps()) return failure;
    if (!dialect_.header.listed) reserve(1 + announced_.count());
    if (const auto failure = read_fields()) return failure;
    begin(Part::end);
    if (at_ != bytes_.size()) return Reason::trailing_bytes;
    return std::nullopt;
  }

  void reserve(std::size_t values) {
    message_.reserve(values, bytes_.size() * charset_growth_max);
    out_ = message_.text();
  }

  void begin(Part part) {
    part_ = part;
    part_begin_ = at_;
  }

  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }

  // The next bytes, which must be there.
  std::string_view take(std::size_t bytes) {
    const std::string_view taken = bytes_.substr(at_, bytes);
    at_ += bytes;
    return taken;
  }

  Failure read_header() {
    if (!dialect_.header.listed) return std::nullopt;
    if (const auto failure = read_value(0, dialect_.header)) return failure;
    message_.has_header_ = true;
    return std::nullopt;
  }

  Failure read_mti() {
    const std::size_t bytes = dialect_.mti == nullptr ? mti_digits / 2 : mti_digits;
    if (left() < bytes) return Reason::truncated;
    const std::string_view coded = take(bytes);
    for (std::size_t i = 0; i < mti_digits; ++i) {
      const std::uint8_t digit = dialect_.mti != nullptr ? dialect_.mti->digit(coded[i])
                                 : i % 2 == 0            ? high(coded[i / 2])
                                                         : low(coded[i / 2]);
      if (digit > 9) return Reason::mti;
      message_.mti_[i] = static_cast<char>('0' + digit);
    }
    message_.mti_bytes_ = mti_digits;
    return std::nullopt;
  }

  Failure read_bitmaps() {
    begin(Part::bitmap);
    message_.bitmap_at_ = static_cast<std::uint32_t>(at_);
    if (const auto failure = read_bitmap(0, dialect_.bitmap)) return failure;
    if (announced_.has(secondary_bitmap_field)) {
      begin(Part::secondary_bitmap);
      if (const auto failure = read_bitmap(1, dialect_.further_bitmap)) return failure;
      announced_.remove(secondary_bitmap_field);
      message_.has_secondary_bitmap_ = true;
    }
    if (announced_.has(tertiary_bitmap_field)) {
      begin(Part::tertiary_bitmap);
      if (!dialect_.tertiary) return Reason::tertiary_bitmap;
      if (const auto failure = read_bitmap(2, dialect_.further_bitmap)) return failure;
      announced_.remove(tertiary_bitmap_field);
    }
    message_.fields_at_ = static_cast<std::uint32_t>(at_);
    return std::nullopt;
  }

  Failure read_bitmap(std::size_t index, const Charset* charset) {
    const std::size_t bytes = charset == nullptr ? bitmap_bytes : 2 * bitmap_bytes;
    if (left() < bytes) return Reason::truncated;
    const std::string_view coded = take(bytes);
    std::uint64_t bits = 0;
    if (charset == nullptr) {
      for (const char byte : coded) bits = (bits << 8U) | static_cast<std::uint8_t>(byte);
    } else {
      unsigned seen = 0;
      for (const char byte : coded) {
        const std::uint8_t digit = charset->hex_digit(byte);
        seen |= digit;
        bits = (bits << 4U) | (digit & 0x0FU);
      }
      if (seen > 0x0F) return Reason::bitmap;
    }
    announced_.set_word(index, bits);
    return std::nullopt;
  }

  // In locals, not members: this loop is where the time goes.
  Failure read_fields() {
    part_ = Part::field;
    const Bitmap announced = announced_;
    std::size_t place = 0;
    for (unsigned number = announced.next(0); number != 0; number = announced.next(number)) {
      part_begin_ = at_;
      const FieldFormat& format = dialect_.fields[number];
      const Failure failure = format.listed ? read_value(++place, format) : Reason::not_listed;
      if (!failure) continue;
      field_ = number;
      message_.fields_ = announced.below(number);
      return failure;
    }
    message_.fields_ = announced;
    return std::nullopt;
  }

  Failure read_value(std::size_t place, const FieldFormat& format) {
    const auto bytes_begin = static_cast<std::uint32_t>(at_);
    const auto length = read_length(format);
    if (!length) return length.error();
    char* const begin = out_;
    if (const auto failure = read_data(format, *length)) {
      out_ = begin;
      return failure;
    }
    Message::Value& value = message_.values_[place];
    value.begin = static_cast<std::uint32_t>(begin - message_.text());
    value.size = static_cast<std::uint32_t>(out_ - begin) & 0x0FFF'FFFFU;
    value.data_class = static_cast<std::uint8_t>(format.data_class) & 0x0FU;
    value.bytes_begin = bytes_begin;
    value.bytes_end = static_cast<std::uint32_t>(at_);
    return std::nullopt;
  }

  base::Result<std::size_t, Reason> read_length(const FieldFormat& format) {
    if (format.length_code == LengthCode::fixed) return format.max;
    if (left() < format.length_bytes) return base::fail(Reason::truncated);
    std::size_t length = 0;
    for (const char byte : take(format.length_bytes)) {
      switch (format.length_code) {
        case LengthCode::binary:
          length = (length << 8U) | static_cast<std::uint8_t>(byte);
          break;
        case LengthCode::bcd:
          if (high(byte) > 9 || low(byte) > 9) return base::fail(Reason::length);
          length = 100 * length + 10UZ * high(byte) + low(byte);
          break;
        case LengthCode::digits:
          if (format.length_charset->digit(byte) == no_digit) return base::fail(Reason::length);
          length = 10 * length + format.length_charset->digit(byte);
          break;
        case LengthCode::fixed:
          ASSERT(false);
      }
    }
    if (length > format.max) return base::fail(Reason::too_long);
    return length;
  }

  Failure read_data(const FieldFormat& format, std::size_t length) {
    if (length == 0) return std::nullopt;
    switch (format.data) {
      case Data::text:
        return read_text(format, format.nibbles ? (length + 1) / 2 : length);
      case Data::raw:
        return format.nibbles ? read_nibbles(format, length) : read_raw(length);
      case Data::track: {
        char* const begin = out_;
        if (const auto failure = read_nibbles(format, length)) return failure;
        std::replace(begin, out_, 'D', '=');
        return std::nullopt;
      }
      case Data::amount:
        if (const auto failure = read_text(format, 1)) return failure;
        return length == 1 ? std::nullopt : read_nibbles(format, length - 1);
    }
    ASSERT(false);
  }

  Failure read_text(const FieldFormat& format, std::size_t bytes) {
    if (left() < bytes) return Reason::truncated;
    char* const end = format.charset->decode(take(bytes), out_);
    if (end == nullptr) return Reason::character;
    out_ = end;
    return std::nullopt;
  }

  Failure read_raw(std::size_t bytes) {
    if (left() < bytes) return Reason::truncated;
    out_ = write_hex(take(bytes), out_);
    return std::nullopt;
  }

  Failure read_nibbles(const FieldFormat& format, std::size_t nibbles) {
    const std::size_t bytes = (nibbles + 1) / 2;
    if (left() < bytes) return Reason::truncated;
    char* const begin = out_;
    out_ = write_hex(take(bytes), out_);
    if (nibbles % 2 == 0) return std::nullopt;
    const Padding& padding = format.padding;
    const bool left = padding.left != 0 && *begin == padding.left;
    const bool right = padding.right != 0 && *(out_ - 1) == padding.right;
    if (!left && !right && !padding.any_left && !padding.any_right) return Reason::padding;
    if (left || (!right && !padding.any_right)) std::copy(begin + 1, out_, begin);
    --out_;
    return std::nullopt;
  }

  const Dialect& dialect_;
  std::string_view bytes_;
  std::size_t at_ = 0;
  Part part_ = Part::header;
  std::size_t part_begin_ = 0;
  unsigned field_ = 0;
  Bitmap announced_;
  Message message_;
  char* out_ = nullptr;
};

std::string DecodeError::text(unsigned year) const {
  return fmt::format("{} at byte {} of {}: {}", name_of(part, field, year), position, bytes, words_of(reason));
}

base::Result<Message, DecodeError> decode(base::BytesView bytes, const Dialect& dialect) {
  return Decoder(bytes, dialect).run();
}

}  // namespace iso8583
