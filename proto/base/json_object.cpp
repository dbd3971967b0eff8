#include "proto/base/json_object.hpp"

#include <array>
#include <charconv>

namespace base {
namespace {

constexpr auto kBare = [] {
  std::array<bool, 256> bare{};
  for (std::size_t c = 0x20; c < bare.size(); ++c) bare[c] = c != '"' && c != '\\' && c != 0x7f;
  return bare;
}();
bool is_bare(char c) { return kBare[static_cast<unsigned char>(c)]; }

void append_escaped(std::string& out, char c) {
  static constexpr char kHex[] = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4U];
      out += kHex[static_cast<unsigned char>(c) & 15U];
  }
}

template <class Integer>
void append_integer(std::string& out, Integer value) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, end);
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_bare(text[i])) continue;
    out.append(text, begin, i - begin);
    append_escaped(out, text[i]);
    begin = i + 1;
  }
  out.append(text, begin);
  out += '"';
}

std::string& JsonObject::begin_member(std::string_view name) {
  out_ += first_ ? "\"" : ",\"";
  out_ += name;
  out_ += "\":";
  first_ = false;
  return out_;
}

std::string& JsonObject::begin_escaped_member(std::string_view name) {
  if (!first_) out_ += ',';
  append_json_string(out_, name);
  out_ += ':';
  first_ = false;
  return out_;
}

void JsonObject::string_member(std::string_view name, std::string_view value) {
  begin_member(name);
  append_json_string(out_, value);
}

void JsonObject::append_number(std::int64_t value) { append_integer(out_, value); }
void JsonObject::append_number(std::uint64_t value) { append_integer(out_, value); }

}  // namespace base
