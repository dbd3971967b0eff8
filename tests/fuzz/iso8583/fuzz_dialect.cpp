// Any text as a dialect: errors of one line each, or a dialect within its limits that reads and writes without harm.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "firmware-gateway/config/dialect_file.hpp"
#include "firmware-gateway/terminal/iso8583/codec.hpp"
#include "proto/base/assert.hpp"

namespace {

using iso8583::Data;
using iso8583::FieldFormat;
using iso8583::LengthCode;

void check_field(const FieldFormat& format) {
  ASSERT((format.length_code == LengthCode::fixed) == (format.length_bytes == 0));
  ASSERT(format.length_bytes <= 4);
  ASSERT(format.length_code != LengthCode::digits || format.length_charset != nullptr);
  ASSERT((format.data != Data::text && format.data != Data::amount) || format.charset != nullptr);
  ASSERT(format.data != Data::track || format.nibbles || format.data == Data::track);
  ASSERT(format.max <= 2 * iso8583::message_bytes_max);
}

void check_dialect(const iso8583::Dialect& dialect) {
  for (unsigned number = 0; number <= iso8583::field_max; ++number) {
    const FieldFormat& format = dialect.fields.at(number);
    if (!format.listed) continue;
    ASSERT(iso8583::is_field(number));
    check_field(format);
  }
  if (dialect.header.listed) check_field(dialect.header);
  const auto& framing = dialect.framing;
  ASSERT((framing.header == iso8583::FrameHeader::fixed) == (framing.header_bytes != 0));
  ASSERT(framing.bytes_max >= 16 && framing.bytes_max <= iso8583::message_bytes_max);
  // The most that can be in a message, as digits of one or another sort.
  for (const char filling : {'0', '\0', '\x11', '\xF1'}) {
    const auto message = iso8583::decode("0200" + std::string(200, filling), dialect);
    if (message) static_cast<void>(iso8583::encode(iso8583::Composition(*message), dialect));
  }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(size == 0 ? "" : reinterpret_cast<const char*>(data), size);
  const auto reading = config::parse_dialect(text, "fuzz.toml");
  ASSERT(reading.dialect.has_value() == reading.errors.empty());
  for (const auto& error : reading.errors) {
    ASSERT(error.text().find('\n') == std::string::npos);
    ASSERT(error.message.size() < 4096);
  }
  if (reading.dialect) check_dialect(*reading.dialect);
  return 0;
}
