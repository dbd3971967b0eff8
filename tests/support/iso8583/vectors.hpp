// The messages of tests/vectors/iso8583, each with the fields that independent libraries read from it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "firmware-gateway/terminal/iso8583/dialect.hpp"

namespace test {

struct IsoVector {
  std::string name;
  std::string dialect;  // as the collection calls it
  std::string framed;   // bytes, as they came over the line
  std::string body;     // bytes without length, TPDU and network header
  std::string mti;
  std::map<unsigned, std::string> fields;
};

[[nodiscard]] const std::vector<IsoVector>& iso_vectors();

// One of the dialects that come with the program; fails the test when it cannot be read.
[[nodiscard]] iso8583::Dialect shipped(const std::string& name);
// The same from TOML.
[[nodiscard]] iso8583::Dialect dialect_of(const std::string& toml);
// The shipped dialect that reads a vector.
[[nodiscard]] iso8583::Dialect dialect_of(const IsoVector& vector);

}  // namespace test
