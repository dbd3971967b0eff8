// Any bytes as a message of any shipped dialect (the first byte says which): read or refused, within the limits; what
// was read is written, and that is read the same; what is told of either is one text that a terminal and JSON can take.
#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "firmware-gateway/config/dialect_file.hpp"
#include "firmware-gateway/terminal/iso8583/codec.hpp"
#include "firmware-gateway/terminal/iso8583/explanation.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/placement.hpp"
#include "firmware-gateway/terminal/iso8583/shipped_dialects.hpp"
#include "proto/base/assert.hpp"

namespace {

using iso8583::Dialect;
using iso8583::Message;

const std::vector<Dialect>& dialects() {
  static const std::vector<Dialect> all = [] {
    std::vector<Dialect> read;
    for (const auto& shipped : iso8583::shipped_dialects())
      read.push_back(config::load_dialect(std::string(shipped.name)).dialect.value());
    return read;
  }();
  return all;
}

std::string told(const Message& message, const Dialect& dialect, const iso8583::DecodeError* error) {
  const std::string text = iso8583::explain(message, dialect);
  for (const char c : text) ASSERT(c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F));
  const std::string json = iso8583::to_json(message, error);
  ASSERT(boost::json::parse(json).at("fields").as_object().size() == message.fields().count());
  return json;
}

base::Bytes written(const Message& message, const Dialect& dialect) {
  return iso8583::encode(iso8583::Composition(message), dialect).value();
}

void check_read(const Message& message, const Dialect& dialect, std::size_t size) {
  const base::Bytes bytes = written(message, dialect);
  ASSERT(bytes.size() == size);
  const auto again = iso8583::decode(bytes, dialect);
  ASSERT(again.has_value());
  ASSERT(told(*again, dialect, nullptr) == told(message, dialect, nullptr));
  ASSERT(written(*again, dialect) == bytes);
}

// Any message has a place, and is explained by it.
void check_place(const Message& message, std::string_view bytes, const Dialect& dialect) {
  const auto placement = iso8583::placement_of(message, bytes, dialect);
  for (unsigned number = placement.astray.next(0); number != 0; number = placement.astray.next(number)) {
    const auto range = message.bytes_of(number);
    ASSERT(message.has(number) && range.begin <= range.end && range.end <= bytes.size());
  }
  const auto hidden = iso8583::hidden_in(message, placement, true);
  ASSERT(hidden.fields.count() == message.fields().count());
  static_cast<void>(iso8583::explain(message, dialect, hidden));
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Dialect& dialect = dialects()[data[0] % dialects().size()];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto message = iso8583::decode(bytes, dialect);
  check_place(message ? *message : message.error().read, bytes, dialect);
  if (message) {
    check_read(*message, dialect, bytes.size());
  } else {
    ASSERT(message.error().position <= bytes.size());
    ASSERT(message.error().text(dialect.year).find('\n') == std::string::npos);
    told(message.error().read, dialect, &message.error());
  }
  return 0;
}
