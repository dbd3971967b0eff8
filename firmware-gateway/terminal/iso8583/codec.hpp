// decode and encode: one message between bytes and values, as a dialect says. Framing is not its concern.
//
// Every read is bounded by the message's end and the dialect's limits. What is wrong is told by where, which field and
// why, never by a value: not even a length, whose digits may be a misplaced card number's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "firmware-gateway/terminal/iso8583/dialect.hpp"
#include "firmware-gateway/terminal/iso8583/message.hpp"
#include "proto/base/bytes.hpp"
#include "proto/base/result.hpp"

namespace iso8583 {

inline constexpr std::size_t message_bytes_max = 64UL * 1024;

enum class Reason : std::uint8_t {
  too_large,        // more than message_bytes_max: nothing was read
  truncated,        // the message ends before the part does
  mti,              // is not four digits
  bitmap,           // holds what is no hex digit
  tertiary_bitmap,  // a third bitmap, which the dialect does not have
  not_listed,       // a field that the dialect does not have
  length,           // holds what is no digit
  too_long,         // longer than the dialect allows
  character,        // holds a byte that is no character
  padding,          // an odd number of digits, and no such padding
  trailing_bytes,   // more bytes after the last field
};

[[nodiscard]] std::string_view words_of(Reason reason);

enum class Part : std::uint8_t { header, mti, bitmap, secondary_bitmap, tertiary_bitmap, field, end };

struct DecodeError {
  Reason reason{};
  Part part{};
  unsigned field = 0;        // Part::field
  std::size_t position = 0;  // bytes from the message's beginning to where the part begins
  std::size_t bytes = 0;     // of the message
  // What had been read until then.
  Message read{};

  // "field 4 (Amount, transaction) at byte 38 of 45: the message ends before the field does"
  [[nodiscard]] std::string text(unsigned year = 1987) const;
};

[[nodiscard]] base::Result<Message, DecodeError> decode(base::BytesView bytes, const Dialect& dialect);

// A message to be written: its MTI and fields. Holds views: what they point to must outlive encode().
class Composition {
 public:
  explicit Composition(std::string_view mti) : mti_(mti) {}  // NOLINT(*-member-init): see values_
  // All of a message that was decoded, to be written as it came (but for what the dialect writes in one way only: hex
  // digits in upper case, padding).
  explicit Composition(const Message& message);

  void set(unsigned number, std::string_view value);
  // A field as it came in another message, whatever its class. False when it is not there: nothing is set.
  bool echo(unsigned number, const Message& from);
  void echo_header(const Message& from);
  void set_header(std::string_view value) { header_ = value; }

 private:
  friend class Encoder;

  std::string_view mti_;
  std::optional<std::string_view> header_;
  bool secondary_bitmap_ = false;
  struct Value {
    const char* data;
    std::size_t size;
  };
  [[nodiscard]] std::string_view value(unsigned number) const { return {values_[number].data, values_[number].size}; }

  Bitmap fields_;
  // Those in fields_; the others are not even initialised: there are 190 of them, and 20 are used.
  std::array<Value, field_max + 1> values_;
};

struct EncodeError {
  enum class Reason : std::uint8_t {
    mti,         // is not four digits
    not_listed,  // the dialect has no such field, or no header, or no third bitmap
    too_long,    // longer than the dialect allows, or not as long as a fixed field is
    character,   // a character that the charset has not, or no hex digit
    padding,     // an odd number of digits, and the dialect says no padding
    header,      // the dialect has a header and none is given
  };
  Reason reason{};
  unsigned field = 0;  // 0: MTI or header

  [[nodiscard]] std::string text() const;
};

// May hold card data: wipe it when it has been sent.
[[nodiscard]] base::Result<base::Bytes, EncodeError> encode(const Composition& composition, const Dialect& dialect);

}  // namespace iso8583
