#include <doctest/doctest.h>

#include <set>

#include "firmware-gateway/terminal/iso8583/codec.hpp"
#include "proto/base/bytes.hpp"
#include "tests/support/iso8583/revealed.hpp"
#include "tests/support/iso8583/vectors.hpp"

namespace {

using iso8583::Message;
using test::IsoVector;

// Fields that the collection does not claim to know: composites, and letters in a numeric BCD field.
const std::set<std::string> incomplete = {"jpos-ISO93-ebcdic-custom", "jpos-ISO93BPackager"};

void check_fields(const IsoVector& vector, const Message& message) {
  CHECK(message.mti() == vector.mti);
  const auto read = test::revealed_fields(message);
  for (const auto& [number, value] : vector.fields) {
    CAPTURE(number);
    REQUIRE(read.contains(number));
    CHECK(read.at(number) == value);
  }
  if (!incomplete.contains(vector.name)) CHECK(read.size() == vector.fields.size());
}

}  // namespace

TEST_CASE("vectors: each is read by a shipped dialect, field for field, and written as it came") {
  for (const IsoVector& vector : test::iso_vectors()) {
    CAPTURE(vector.name);
    const iso8583::Dialect dialect = test::dialect_of(vector);
    const auto message = iso8583::decode(vector.body, dialect);
    if (!message) {
      FAIL_CHECK(message.error().text(dialect.year));
      continue;
    }
    check_fields(vector, *message);
    const auto written = iso8583::encode(iso8583::Composition(*message), dialect);
    if (!written) {
      FAIL_CHECK(written.error().text());
      continue;
    }
    CHECK(base::to_hex(*written) == base::to_hex(vector.body));
  }
}
