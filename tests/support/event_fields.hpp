// The fields of Event as event.proto has them, and how protobuf writes one: for tests that hold code against the whole
// list, which protobuf-lite cannot tell.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <fstream>
#include <map>
#include <string>

namespace support {

struct EventField {
  int number = 0;
  std::string type;  // without its label
  bool repeated = false;
};

// A line of the message, "  [optional|repeated] TYPE NAME = NUMBER;".
inline void take_field(const std::string& line, std::map<std::string, EventField>& fields) {
  const auto equals = line.find(" = ");
  REQUIRE(equals != std::string::npos);
  REQUIRE(line.ends_with(";"));
  const auto name = line.rfind(' ', equals - 1) + 1;
  EventField field{.number = std::stoi(line.substr(equals + 3)), .type = line.substr(0, name - 1)};
  field.type.erase(0, field.type.find_first_not_of(' '));
  field.repeated = field.type.starts_with("repeated ");
  for (const std::string label : {"optional ", "repeated "}) {
    if (field.type.starts_with(label)) field.type.erase(0, label.size());
  }
  fields[line.substr(name, equals - name)] = field;
}

// By name. Fails on a line of the message that it cannot read.
inline std::map<std::string, EventField> event_fields() {
  std::ifstream file(TILLSTREAM_SOURCE_DIR "/proto/wire/event.proto");
  std::map<std::string, EventField> fields;
  bool inside = false;
  for (std::string line; std::getline(file, line) && !(inside && line == "}");) {
    CAPTURE(line);
    const auto begin = line.find_first_not_of(' ');
    const bool empty = begin == std::string::npos || line.compare(begin, 2, "//") == 0;
    if (inside && !empty) take_field(line, fields);
    inside = inside || line.starts_with("message Event {");
  }
  REQUIRE(fields.size() >= 52);
  return fields;
}

// One field as protobuf writes it, with a value that its type can have: 1 (as sint: -1), "word", 16 bytes, or {k: v}.
inline std::string encoded_field(int number, const std::string& type) {
  const bool varint = type != "string" && type != "bytes" && !type.starts_with("map<");
  std::string out;
  for (std::uint32_t tag = static_cast<std::uint32_t>(number) << 3U | (varint ? 0U : 2U); tag != 0; tag >>= 7U) {
    out += static_cast<char>((tag & 127U) | (tag > 127U ? 128U : 0U));
  }
  if (varint) return out + '\1';
  const std::string text = type == "bytes" ? "fedcba9876543210" : type == "string" ? "word" : "\x0a\x01k\x12\x01v";
  return out + static_cast<char>(text.size()) + text;
}
inline std::string encoded_field(const EventField& field) { return encoded_field(field.number, field.type); }

}  // namespace support
