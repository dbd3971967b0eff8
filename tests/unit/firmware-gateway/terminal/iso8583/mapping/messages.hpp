// Messages for the tests of what they mean: written and read back in a dialect that comes with the program.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <string>

#include "firmware-gateway/terminal/iso8583/codec.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/event.hpp"
#include "tests/support/iso8583/vectors.hpp"

namespace test {

using FieldValues = std::map<unsigned, std::string>;

inline const iso8583::Dialect& dialect(const std::string& name = "iso87-ascii") {
  static std::map<std::string, iso8583::Dialect> known;
  if (!known.contains(name)) known.emplace(name, test::shipped(name));
  return known.at(name);
}

inline iso8583::Message message(const std::string& mti, const FieldValues& fields,
                                const std::string& dialect_name = "iso87-ascii") {
  iso8583::Composition composition(mti);
  for (const auto& [number, value] : fields) composition.set(number, value);
  const auto bytes = iso8583::encode(composition, dialect(dialect_name));
  if (!bytes) FAIL(bytes.error().text());
  auto read = iso8583::decode(*bytes, dialect(dialect_name));
  if (!read) FAIL(read.error().text());
  return std::move(*read);
}

// A sale as a terminal tells it; `changed` overrides, an empty value leaves a field out.
inline FieldValues sale(const FieldValues& changed = {}) {
  FieldValues fields{{3, "000000"}, {4, "000000001250"}, {7, "1123110901"},       {11, "004711"}, {12, "120901"},
                     {13, "1123"},  {41, "TERM0001"},    {42, "MERCHANT0000001"}, {49, "978"}};
  for (const auto& [number, value] : changed) {
    if (value.empty()) {
      fields.erase(number);
    } else {
      fields[number] = value;
    }
  }
  return fields;
}

inline base::Result<redact::Draft, iso8583::NoEvent> told(const std::string& mti, const FieldValues& fields,
                                                          const std::string& dialect_name = "iso87-ascii") {
  const auto request = message(mti, fields, dialect_name);
  return iso8583::to_draft(request, *iso8583::read_mti(mti), dialect(dialect_name), {});
}

inline redact::Fields event(const std::string& mti, const FieldValues& fields,
                            const std::string& dialect_name = "iso87-ascii") {
  auto draft = told(mti, fields, dialect_name);
  REQUIRE(draft.has_value());
  return draft->fields;
}

// Of a request that a host has answered.
inline redact::Fields answered(const std::string& mti, const FieldValues& fields, const std::string& answer_mti,
                               const FieldValues& answer_fields) {
  const auto request = message(mti, fields);
  const auto answer = message(answer_mti, answer_fields);
  auto draft = iso8583::to_draft(request, *iso8583::read_mti(mti), dialect(), {.answer = &answer});
  REQUIRE(draft.has_value());
  return draft->fields;
}

}  // namespace test
