// Any bytes as EMV data, with a card number put somewhere into them (the first bytes say which, where and how):
// whatever is shown or kept does not hold it.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "firmware-gateway/redact/sensitive.hpp"
#include "proto/base/assert.hpp"
#include "proto/base/bytes.hpp"

namespace {

constexpr std::size_t settings_bytes = 3;
constexpr std::array<std::string_view, 5> pans{"4111111111111111", "5555555555554444", "378282246310005",
                                               "6011111111111117", "3530111333300000"};

std::string characters(std::string_view digits, unsigned zero) {
  std::string bytes;
  for (const char digit : digits) bytes += static_cast<char>(zero + static_cast<unsigned>(digit - '0'));
  return bytes;
}

std::string packed(std::string_view digits) {
  std::string even(digits);
  if (even.size() % 2 != 0) even += 'F';
  return base::from_hex(even).value();
}

std::string upper(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text;
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < settings_bytes) return 0;
  const std::string_view pan = pans[data[0] % pans.size()];
  const std::array<std::string, 3> ways{packed(pan), characters(pan, 0x30), characters(pan, 0xF0)};
  std::string bytes(reinterpret_cast<const char*>(data) + settings_bytes, size - settings_bytes);
  bytes.insert(data[1] % (bytes.size() + 1), ways[data[2] % ways.size()]);
  const std::string hex = upper(base::to_hex(bytes));
  const redact::Sensitive field(hex, redact::DataClass::tlv);
  std::string out = redact::shown(field);
  for (const redact::TlvElement& element : redact::read_tlv(field).elements) {
    ASSERT(element.masked == element.value.empty() || element.length == 0);
    out += ' ' + element.tag + ' ' + element.value;
  }
  ASSERT(out.find(pan) == std::string::npos);
  for (const std::string& way : ways) ASSERT(out.find(upper(base::to_hex(way))) == std::string::npos);
  static_cast<void>(redact::pan_of_tlv(field));
  return 0;
}
