#include "firmware-gateway/status/json.hpp"

#include <fmt/format.h>

#include <iterator>

#include "proto/base/utf8.hpp"

namespace status {

std::string json_text(std::string_view text) {
  std::string json = "\"";
  const bool readable = base::utf8_prefix(text) == text.size();
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F || (!readable && byte >= 0x80)) {
      fmt::format_to(std::back_inserter(json), "\\u{:04x}", byte >= 0x80 ? 0xFFFDU : static_cast<unsigned>(byte));
      continue;
    }
    if (c == '"' || c == '\\') json += '\\';
    json += c;
  }
  return json + '"';
}

JsonObject& JsonObject::raw(std::string_view name, std::string_view value) {
  if (!fields_.empty()) fields_ += ',';
  fields_.append(json_text(name)).append(":").append(value);
  return *this;
}

JsonArray& JsonArray::add(std::string_view value) {
  if (!items_.empty()) items_ += ',';
  items_ += value;
  return *this;
}

}  // namespace status
