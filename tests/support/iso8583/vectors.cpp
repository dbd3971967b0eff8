#include "tests/support/iso8583/vectors.hpp"

#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <fstream>
#include <sstream>

#include "firmware-gateway/config/dialect_file.hpp"
#include "proto/base/bytes.hpp"

namespace test {
namespace {

std::string text_of(const boost::json::value& value) { return std::string(value.as_string()); }

std::string bytes_of(const boost::json::value& hex) {
  auto bytes = base::from_hex(text_of(hex));
  REQUIRE(bytes.has_value());
  return *std::move(bytes);
}

IsoVector read_vector(const boost::json::object& object) {
  IsoVector vector{.name = text_of(object.at("name")),
                   .dialect = text_of(object.at("dialect")),
                   .framed = bytes_of(object.at("raw_hex")),
                   .body = bytes_of(object.at("iso_body_hex")),
                   .mti = text_of(object.at("mti")),
                   .fields = {}};
  for (const auto& [number, value] : object.at("fields").as_object())
    vector.fields[static_cast<unsigned>(std::stoul(std::string(number)))] = text_of(value);
  return vector;
}

iso8583::Dialect whole(config::DialectReading reading) {
  for (const auto& error : reading.errors) FAIL_CHECK(error.text());
  REQUIRE(reading.dialect.has_value());
  return *std::move(reading.dialect);
}

// Where the collection's name is not the dialect's.
const std::map<std::string, std::string> names = {
    {"iso87-ascii-hexbitmap", "iso87-ascii"}, {"iso87-ascii-binbitmap", "iso87-ascii-binary-bitmap"},
    {"iso87-bcd-binbitmap", "iso87-bcd"},     {"iso87-bcd-binbitmap-leftpad", "iso87-bcd"},
    {"iso93-ascii-hexbitmap", "iso93-ascii"}, {"iso93-bcd-binbitmap", "iso93-bcd"},
    {"bcd-numeric-ebcdic-text", "bcd-ebcdic"}};

// What these messages have that the dialect of their kind has not.
const std::map<std::string, std::string> peculiar = {
    {"bim-iso8583-0800-f48-f70", R"(
extends = "iso87-bcd"
[field]
70 = { fmt = "n4" }
)"},
    {"imohsenb-odd-pan-leftpad", R"(
extends = "iso87-bcd"
odd_var = "left:0"
[field]
2 = { pad = "left:0" }
)"},
    {"fluidpay-purchase-with-cash-back-partial-approval-to-aquirer", R"(
extends = "iso93-ascii"
[field]
62 = { fmt = "n6" }
63 = { fmt = "n4" }
)"},
    {"jpos-ISO93-ebcdic-custom", R"(
extends = "iso93-ebcdic"
[header]
data = "cp500"
max = 9
[field]
52 = { data = "raw" }
)"},
    {"rkbalgi-1100-mixed", R"(
extends = "iso93-ascii-binary-bitmap"
[field]
19 = { data = "cp500" }
61 = { length = "bcd", max = 9999 }
62 = { data = "cp500", length = "binary", length_bytes = 1 }
63 = { length = "cp500" }
96 = { data = "ascii", length = "fixed", max = 4 }
)"}};

}  // namespace

const std::vector<IsoVector>& iso_vectors() {
  static const std::vector<IsoVector> vectors = [] {
    std::ifstream file(TILLSTREAM_SOURCE_DIR "/tests/vectors/iso8583/vectors.json");
    std::stringstream text;
    text << file.rdbuf();
    std::vector<IsoVector> read;
    const auto document = boost::json::parse(text.str());
    for (const auto& vector : document.at("vectors").as_array()) read.push_back(read_vector(vector.as_object()));
    return read;
  }();
  return vectors;
}

iso8583::Dialect shipped(const std::string& name) { return whole(config::load_dialect(name)); }

iso8583::Dialect dialect_of(const std::string& toml) { return whole(config::parse_dialect(toml, "test.toml")); }

iso8583::Dialect dialect_of(const IsoVector& vector) {
  if (const auto own = peculiar.find(vector.name); own != peculiar.end()) return dialect_of(own->second);
  const auto name = names.find(vector.dialect);
  return shipped(name == names.end() ? vector.dialect : name->second);
}

}  // namespace test
