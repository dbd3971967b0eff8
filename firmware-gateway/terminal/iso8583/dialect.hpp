// Dialect: how one acquirer writes ISO 8583 on its lines. Data only, checked by whoever made it (config/dialect_file
// reads it from TOML); the codec and the framing are driven by it.
//
// Deny by default: a field that is not listed is refused by decode(), because it cannot be measured; and every listed
// field has a class, which says what may become of its value.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "firmware-gateway/redact/sensitive.hpp"
#include "firmware-gateway/terminal/iso8583/answers.hpp"
#include "firmware-gateway/terminal/iso8583/charset.hpp"
#include "firmware-gateway/terminal/iso8583/totals_form.hpp"

namespace iso8583 {

using redact::DataClass;

// Fields are 2 … 192; 1 and 65 are the further bitmaps themselves.
inline constexpr unsigned field_max = 192;
inline constexpr unsigned secondary_bitmap_field = 1;
inline constexpr unsigned tertiary_bitmap_field = 65;
[[nodiscard]] constexpr bool is_field(unsigned number) {
  return number > secondary_bitmap_field && number <= field_max && number != tertiary_bitmap_field;
}

// What the bytes of a value are, and how the value is written as text.
enum class Data : std::uint8_t {
  text,    // characters of a charset
  raw,     // bytes; the value is their hex, upper case. Counted in nibbles: BCD, two digits a byte
  track,   // as raw in nibbles, with '=' for the separator's nibble D
  amount,  // the sign's character (of a charset), then digits in BCD; counted in characters: x+n8 is 9
};

// How the length of a variable field is written before it.
enum class LengthCode : std::uint8_t { fixed, digits, bcd, binary };

// The nibble that fills an odd number of nibbles up to whole bytes: '0' … 'F', or 0 for none on that side. Read where
// it is found, left before right; a side that takes any nibble comes last. Without any side an odd number is an error.
struct Padding {
  char left = 0;
  char right = 0;
  bool any_left = false;
  bool any_right = false;
  // Which one is written, when there are both.
  bool writes_right = false;
};

struct FieldFormat {
  bool listed = false;
  Data data = Data::text;
  LengthCode length_code = LengthCode::fixed;
  std::uint8_t length_bytes = 0;  // 0 … 4; 0 exactly when fixed
  // The length (and max) counts nibbles instead of bytes. Text can be counted so, too: two a byte.
  bool nibbles = false;
  DataClass data_class = DataClass::text;
  Padding padding{};
  // In bytes, nibbles, or for Data::amount in characters. Of a fixed field its length.
  std::uint32_t max = 0;
  const Charset* charset = nullptr;         // text and amount
  const Charset* length_charset = nullptr;  // LengthCode::digits
};

// How messages are told apart on a line that is a stream.
enum class FrameLength : std::uint8_t {
  none,    // they are not: one message is all there is (datagrams, files)
  binary,  // big-endian, length_bytes of them
  bcd,
  ascii,  // decimal digits
  hex,    // hex digits in ASCII
  etx,    // no length: a byte 03 ends it
};

// What stands between length and message, and is not part of the message.
enum class FrameHeader : std::uint8_t {
  none,
  fixed,    // header_bytes of them
  tpdu,     // five: 60, destination NII, source NII
  visanet,  // the first byte says how many, 22 as a rule: then flags, at 3 the frame's length, at 5 and 8 the station
            // ids
};

struct Framing {
  FrameLength length = FrameLength::binary;
  std::uint8_t length_bytes = 2;
  // The length counts its own bytes, too.
  bool includes_self = false;
  // Bytes behind the length that are not counted and carry nothing (VAP: two zeros).
  std::uint8_t extra_bytes = 0;
  FrameHeader header = FrameHeader::none;
  std::uint8_t header_bytes = 0;  // FrameHeader::fixed
  // An answer goes back with destination and source exchanged (tpdu, visanet); false: as it came.
  bool swaps = true;
  // Length 0 keeps the line open and is answered by the same; otherwise it is an error.
  bool keep_alive = true;
  // Header and message; a frame that announces more is refused before anything is set aside for it.
  std::size_t bytes_max = 4096;
};

struct Dialect {
  std::string name;
  std::string description;
  // 1987 or 1993: what the fields mean, see field_table.
  unsigned year = 1987;

  // Before the MTI, part of the message; not listed: there is none.
  FieldFormat header;
  // Four digits in this charset; null: BCD, two bytes.
  const Charset* mti = nullptr;
  // Sixteen hex digits in this charset; null: eight bytes. The second one also for the third.
  const Charset* bitmap = nullptr;
  const Charset* further_bitmap = nullptr;
  // Bit 65 stands for a third bitmap, fields 129 … 192; otherwise it is refused.
  bool tertiary = false;
  std::array<FieldFormat, field_max + 1> fields{};

  Framing framing;
  Answers answers;
  TotalsForm totals;
};

}  // namespace iso8583
