#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "firmware-gateway/redact/secret.hpp"
#include "firmware-gateway/redact/unicode.hpp"
#include "firmware-gateway/terminal/iso8583/codec.hpp"
#include "proto/base/assert.hpp"

namespace iso8583 {
namespace {

constexpr std::size_t mti_digits = 4;
constexpr std::size_t bitmap_bytes = 8;
constexpr std::string_view hex_digits = "0123456789ABCDEF";

constexpr std::uint8_t no_nibble = 255;

// '=' is the separator's D.
constexpr std::array<std::uint8_t, 256> nibble_of = [] {
  std::array<std::uint8_t, 256> table{};
  table.fill(no_nibble);
  for (std::size_t value = 0; value < hex_digits.size(); ++value) {
    const auto digit = static_cast<std::uint8_t>(hex_digits[value]);
    table[digit] = static_cast<std::uint8_t>(value);
    if (value > 9) table[digit - 'A' + 'a'] = static_cast<std::uint8_t>(value);
  }
  table['='] = 0xD;
  return table;
}();

}  // namespace

// NOLINTNEXTLINE(*-member-init): see values_
Composition::Composition(const Message& message)
    : mti_(message.mti()), secondary_bitmap_(message.has_secondary_bitmap_) {
  echo_header(message);
  fields_ = message.fields();
  std::size_t place = 0;
  for (unsigned number = fields_.next(0); number != 0; number = fields_.next(number)) {
    const std::string_view value = message.value_at(++place);
    values_[number] = {.data = value.data(), .size = value.size()};
  }
}

void Composition::set(unsigned number, std::string_view value) {
  ASSERT(is_field(number));
  fields_.add(number);
  values_[number] = {.data = value.data(), .size = value.size()};
}

bool Composition::echo(unsigned number, const Message& from) {
  if (!from.has(number)) return false;
  set(number, from.value(number));
  return true;
}

void Composition::echo_header(const Message& from) {
  if (from.has_header_) header_ = from.value(0);
}

// Writes one message. Each write_… appends its part, or says why it cannot.
class Encoder {
 public:
  Encoder(const Composition& composition, const Dialect& dialect) : composition_(composition), dialect_(dialect) {}

  base::Result<base::Bytes, EncodeError> run() {
    base::Bytes bytes;
    Failure failure;
    bytes.resize_and_overwrite(bytes_max(), [&](char* begin, std::size_t room) {
      out_ = begin;
      failure = write();
      if (!failure) return static_cast<std::size_t>(out_ - begin);
      redact::wipe(begin, room);
      return std::size_t{0};
    });
    if (failure) return base::fail(EncodeError{.reason = *failure, .field = field_});
    return bytes;
  }

 private:
  using Reason = EncodeError::Reason;
  using Failure = std::optional<Reason>;

  Failure write() {
    if (const auto failure = write_header()) return failure;
    if (const auto failure = write_mti()) return failure;
    if (const auto failure = write_bitmaps()) return failure;
    const Bitmap fields = composition_.fields_;
    for (unsigned number = fields.next(0); number != 0; number = fields.next(number)) {
      const FieldFormat& format = dialect_.fields[number];
      const Failure failure = format.listed ? write_value(format, composition_.value(number)) : Reason::not_listed;
      if (!failure) continue;
      field_ = number;
      return failure;
    }
    return std::nullopt;
  }

  // At least as many as will be written: nothing below looks whether there is room.
  [[nodiscard]] std::size_t bytes_max() const {
    constexpr std::size_t length_bytes_max = 4;
    std::size_t bytes = length_bytes_max + composition_.header_.value_or("").size() + mti_digits + 3 * 2 * bitmap_bytes;
    const Bitmap& fields = composition_.fields_;
    for (unsigned number = fields.next(0); number != 0; number = fields.next(number))
      bytes += length_bytes_max + composition_.value(number).size() + 1;
    return bytes;
  }

  Failure write_header() {
    if (!dialect_.header.listed) return composition_.header_ ? Reason::not_listed : Failure();
    if (!composition_.header_) return Reason::header;
    return write_value(dialect_.header, *composition_.header_);
  }

  Failure write_mti() {
    const std::string_view mti = composition_.mti_;
    if (mti.size() != mti_digits || !std::ranges::all_of(mti, [](char c) { return c >= '0' && c <= '9'; }))
      return Reason::mti;
    if (dialect_.mti == nullptr) return write_hex(mti);
    for (const char digit : mti) *out_++ = dialect_.mti->byte_of(digit);
    return std::nullopt;
  }

  Failure write_bitmaps() {
    Bitmap fields = composition_.fields_;
    const bool third = fields.any_of(2);
    if (third && !dialect_.tertiary) {
      field_ = fields.next(2 * 8 * bitmap_bytes);
      return Reason::not_listed;
    }
    if (third) fields.add(tertiary_bitmap_field);
    const bool second = fields.any_of(1) || composition_.secondary_bitmap_;
    if (second) fields.add(secondary_bitmap_field);
    write_bitmap(fields.word_of(0), dialect_.bitmap);
    if (second) write_bitmap(fields.word_of(1), dialect_.further_bitmap);
    if (third) write_bitmap(fields.word_of(2), dialect_.further_bitmap);
    return std::nullopt;
  }

  void write_bitmap(std::uint64_t bits, const Charset* charset) {
    const unsigned step = charset == nullptr ? 8 : 4;
    for (unsigned shift = 8 * bitmap_bytes; shift != 0; shift -= step) {
      const std::uint64_t part = bits >> (shift - step);
      *out_++ = charset == nullptr ? static_cast<char>(part & 0xFFU) : charset->byte_of(hex_digits[part & 0x0FU]);
    }
  }

  // The length first, into a place kept free: what it counts is known afterwards only.
  Failure write_value(const FieldFormat& format, std::string_view value) {
    char* const length_at = out_;
    out_ += format.length_bytes;
    const auto length = write_data(format, value);
    if (!length) return length.error();
    if (format.length_code == LengthCode::fixed ? *length != format.max : *length > format.max) return Reason::too_long;
    return write_length(format, length_at, *length);
  }

  static Failure write_length(const FieldFormat& format, char* at, std::size_t length) {
    for (std::size_t i = format.length_bytes; i-- > 0;) {
      switch (format.length_code) {
        case LengthCode::binary:
          at[i] = static_cast<char>(length & 0xFFU);
          length >>= 8U;
          break;
        case LengthCode::bcd:
          at[i] = static_cast<char>(((length / 10 % 10) << 4U) | length % 10);
          length /= 100;
          break;
        case LengthCode::digits:
          at[i] = format.length_charset->byte_of(static_cast<char>('0' + length % 10));
          length /= 10;
          break;
        case LengthCode::fixed:
          ASSERT(false);
      }
    }
    return length == 0 || format.length_code == LengthCode::fixed ? Failure() : Reason::too_long;
  }

  // Appends the value, and says its length as the dialect counts it.
  base::Result<std::size_t, Reason> write_data(const FieldFormat& format, std::string_view value) {
    switch (format.data) {
      case Data::text: {
        char* const begin = out_;
        if (!write_text(format, value)) return base::fail(Reason::character);
        const auto bytes = static_cast<std::size_t>(out_ - begin);
        return format.nibbles ? 2 * bytes : bytes;
      }
      case Data::raw:
      case Data::track: {
        const auto failure = format.nibbles || value.size() % 2 == 0 ? write_nibbles(format, value) : Reason::padding;
        if (failure) return base::fail(*failure);
        return format.nibbles ? value.size() : value.size() / 2;
      }
      case Data::amount: {
        if (value.empty()) return std::size_t{0};
        const auto sign = redact::decode(value);
        if (!sign || !write_text(format, value.substr(0, sign->bytes))) return base::fail(Reason::character);
        const std::string_view digits = value.substr(sign->bytes);
        if (const auto failure = write_nibbles(format, digits)) return base::fail(*failure);
        return 1 + digits.size();
      }
    }
    ASSERT(false);
  }

  bool write_text(const FieldFormat& format, std::string_view value) {
    char* const end = format.charset->encode(value, out_);
    if (end == nullptr) return false;
    out_ = end;
    return true;
  }

  Failure write_nibbles(const FieldFormat& format, std::string_view value) {
    if (value.size() % 2 == 0) return write_hex(value);
    const Padding& padding = format.padding;
    if (padding.left == 0 && padding.right == 0) return Reason::padding;
    const bool right = padding.left == 0 || (padding.right != 0 && padding.writes_right);
    redact::Secret padded;
    if (!right) padded.append({&padding.left, 1});
    padded.append(value);
    if (right) padded.append({&padding.right, 1});
    return write_hex(padded.view());
  }

  // An even number of hex digits.
  Failure write_hex(std::string_view digits) {
    unsigned seen = 0;
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
      const std::uint8_t high = nibble_of[static_cast<std::uint8_t>(digits[i])];
      const std::uint8_t low = nibble_of[static_cast<std::uint8_t>(digits[i + 1])];
      seen |= high | low;
      *out_++ = static_cast<char>((high << 4U) | low);
    }
    return seen == no_nibble ? Failure(Reason::character) : std::nullopt;
  }

  const Composition& composition_;
  const Dialect& dialect_;
  char* out_ = nullptr;
  unsigned field_ = 0;
};

std::string EncodeError::text() const {
  std::string where = field == 0 ? std::string("MTI or header") : fmt::format("field {}", field);
  switch (reason) {
    case Reason::mti:
      return "the MTI is not four digits";
    case Reason::not_listed:
      return fmt::format("{} is not in the dialect", where);
    case Reason::too_long:
      return fmt::format("{} is not as long as the dialect says", where);
    case Reason::character:
      return fmt::format("{} holds a character that cannot be written", where);
    case Reason::padding:
      return fmt::format("{} has an odd number of digits, and the dialect says no padding", where);
    case Reason::header:
      return "the dialect has a header, and none is given";
  }
  return where;
}

base::Result<base::Bytes, EncodeError> encode(const Composition& composition, const Dialect& dialect) {
  return Encoder(composition, dialect).run();
}

}  // namespace iso8583
