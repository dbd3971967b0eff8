// Against pyiso8583: descriptions that no one has seen before, converted, read and write as pyiso8583 does.
#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <fstream>
#include <sstream>

#include "firmware-gateway/terminal/iso8583/codec.hpp"
#include "proto/base/bytes.hpp"
#include "tests/support/iso8583/revealed.hpp"
#include "tests/support/iso8583/vectors.hpp"

namespace {

namespace json = boost::json;

json::value cases() {
  std::ifstream file(TILLSTREAM_SOURCE_DIR "/tests/vectors/iso8583/pyiso8583_cases.json");
  std::stringstream text;
  text << file.rdbuf();
  return json::parse(text.str());
}

std::map<std::string, std::string> fields_of(const json::object& object) {
  std::map<std::string, std::string> fields;
  for (const auto& [key, value] : object) fields[std::string(key)] = std::string(value.as_string());
  return fields;
}

// As pyiso8583 has them: t is the MTI, h the header.
std::map<std::string, std::string> fields_of(const iso8583::Message& message, const iso8583::Dialect& dialect) {
  std::map<std::string, std::string> fields{{"t", std::string(message.mti())}};
  if (dialect.header.listed) fields["h"] = redact::RevealedForTests::text(message.header());
  for (const auto& [number, value] : test::revealed_fields(message)) fields[std::to_string(number)] = value;
  return fields;
}

void check_message(const json::object& message, const iso8583::Dialect& dialect) {
  const std::string bytes = base::from_hex(message.at("hex").as_string()).value();
  const auto decoded = iso8583::decode(bytes, dialect);
  REQUIRE_MESSAGE(decoded.has_value(), decoded.error().text());
  CHECK(fields_of(*decoded, dialect) == fields_of(message.at("fields").as_object()));
  const auto encoded = iso8583::encode(iso8583::Composition(*decoded), dialect);
  REQUIRE_MESSAGE(encoded.has_value(), encoded.error().text());
  CHECK(base::to_hex(*encoded) == message.at("hex").as_string());
}

void check_mutant(const json::object& mutant, const iso8583::Dialect& dialect) {
  CAPTURE(std::string(mutant.at("hex").as_string()));
  const auto decoded = iso8583::decode(base::from_hex(mutant.at("hex").as_string()).value(), dialect);
  CHECK(decoded.has_value() == mutant.at("fields").is_object());
  if (decoded && mutant.at("fields").is_object())
    CHECK(fields_of(*decoded, dialect) == fields_of(mutant.at("fields").as_object()));
}

}  // namespace

TEST_CASE("pyiso8583: what it writes is read and written the same; what it refuses is refused") {
  const json::value all = cases();
  REQUIRE(all.as_array().size() >= 80);
  for (const json::value& each : all.as_array()) {
    const std::string toml(each.at("toml").as_string());
    CAPTURE(toml);
    const iso8583::Dialect dialect = test::dialect_of(toml);
    for (const json::value& message : each.at("messages").as_array()) {
      check_message(message.as_object(), dialect);
      for (const json::value& mutant : message.at("mutants").as_array()) check_mutant(mutant.as_object(), dialect);
    }
  }
}
