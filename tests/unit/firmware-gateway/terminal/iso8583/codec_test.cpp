#include "firmware-gateway/terminal/iso8583/codec.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "firmware-gateway/terminal/iso8583/explanation.hpp"
#include "proto/base/bytes.hpp"
#include "tests/support/iso8583/revealed.hpp"
#include "tests/support/iso8583/vectors.hpp"

namespace {

using iso8583::Composition;
using iso8583::DecodeError;
using iso8583::Dialect;
using iso8583::EncodeError;
using iso8583::Message;
using iso8583::Part;
using iso8583::Reason;

std::string bytes(std::string_view hex) { return base::from_hex(hex).value(); }

const Dialect& ascii() {
  static const Dialect dialect = test::shipped("iso87-ascii");
  return dialect;
}

const Dialect& bcd() {
  static const Dialect dialect = test::shipped("iso87-bcd");
  return dialect;
}

void check_refused(std::string_view message, const Dialect& dialect, Part part, unsigned field, std::size_t position,
                   Reason reason) {
  CAPTURE(std::string(message));
  const auto decoded = iso8583::decode(message, dialect);
  REQUIRE_FALSE(decoded.has_value());
  const DecodeError& error = decoded.error();
  CHECK(error.part == part);
  CHECK(error.field == field);
  CHECK(error.position == position);
  CHECK(error.reason == reason);
  CHECK(error.bytes == message.size());
}

EncodeError::Reason refusal(const Composition& composition, const Dialect& dialect) {
  const auto written = iso8583::encode(composition, dialect);
  REQUIRE_FALSE(written.has_value());
  return written.error().reason;
}

Composition with(unsigned number, std::string_view value) {
  Composition composition("0200");
  composition.set(number, value);
  return composition;
}

// Whatever is told of a message.
std::string told(const Message& message, const Dialect& dialect, const DecodeError* error) {
  return iso8583::explain(message, dialect) + iso8583::to_json(message, error) +
         (error == nullptr ? "" : error->text(dialect.year));
}

// Values of a whole message that nothing may tell: long enough not to be there by chance, and in no open field.
std::vector<std::string> secrets_of(const Message& message) {
  std::string open;
  std::vector<std::string> secrets;
  for (const auto& [number, value] : test::revealed_fields(message))
    if (message.open(number)) open += value + "\n";
  for (const auto& [number, value] : test::revealed_fields(message)) {
    const auto data_class = message.sensitive(number).data_class();
    const bool secret = data_class == redact::DataClass::pan || data_class == redact::DataClass::sad;
    if (secret && value.size() >= 12 && open.find(value.substr(0, 12)) == std::string::npos)
      secrets.push_back(value.substr(0, 12));
  }
  return secrets;
}

}  // namespace

TEST_CASE("codec: what is wrong is told by part, field, position and reason") {
  check_refused("", ascii(), Part::mti, 0, 0, Reason::truncated);
  check_refused("020", ascii(), Part::mti, 0, 0, Reason::truncated);
  check_refused("02A0", ascii(), Part::mti, 0, 0, Reason::mti);
  check_refused("0200400000", ascii(), Part::bitmap, 0, 4, Reason::truncated);
  check_refused("0200400000000000000G", ascii(), Part::bitmap, 0, 4, Reason::bitmap);
  check_refused("0200C0000000000000000000", ascii(), Part::secondary_bitmap, 0, 20, Reason::truncated);
  check_refused("020080000000000000008000000000000000", ascii(), Part::tertiary_bitmap, 0, 36, Reason::tertiary_bitmap);
  check_refused("02004000000000000000", ascii(), Part::field, 2, 20, Reason::truncated);
  check_refused("020040000000000000001", ascii(), Part::field, 2, 20, Reason::truncated);
  check_refused("0200400000000000000016411111111111111", ascii(), Part::field, 2, 20, Reason::truncated);
  check_refused("020040000000000000001x411111", ascii(), Part::field, 2, 20, Reason::length);
  check_refused("0200400000000000000020" + std::string(20, '4'), ascii(), Part::field, 2, 20, Reason::too_long);
  check_refused("02002000000000000000000000x", ascii(), Part::end, 0, 26, Reason::trailing_bytes);
  check_refused(std::string("02002000000000000000") + "00000\xE9", ascii(), Part::field, 3, 20, Reason::character);
  check_refused(bytes("0200"
                      "0000200000000000"
                      "1978"),
                bcd(), Part::field, 19, 10, Reason::padding);
  check_refused(bytes("0a00"
                      "0000200000000000"
                      "1978"),
                bcd(), Part::mti, 0, 0, Reason::mti);
  check_refused(bytes("0200"
                      "4000000000000000"
                      "1a4111"),
                bcd(), Part::field, 2, 10, Reason::length);
  check_refused(std::string(iso8583::message_bytes_max + 1, '0'), ascii(), Part::header, 0, 0, Reason::too_large);
}

TEST_CASE("codec: a field that the dialect does not list is refused: its end cannot be found") {
  const Dialect few = test::dialect_of("[field]\n3 = { fmt = \"n6\" }\n");
  check_refused("02003000000000000000000000000000000100", few, Part::field, 4, 26, Reason::not_listed);
  CHECK(iso8583::decode("02002000000000000000000000", few).has_value());
}

TEST_CASE("codec: an error keeps what was read before") {
  const auto decoded = iso8583::decode("020060000000000000001641111111111111110000", ascii());
  REQUIRE_FALSE(decoded.has_value());
  const Message& read = decoded.error().read;
  CHECK(read.mti() == "0200");
  CHECK(test::revealed_fields(read) == std::map<unsigned, std::string>{{2, "4111111111111111"}});
  CHECK(decoded.error().text() == "field 3 (Processing code) at byte 38 of 42: the message ends before it does");
}

TEST_CASE("codec: a third bitmap is read and written where the dialect has one") {
  const Dialect three = test::dialect_of("tertiary = true\n[field]\n3 = { fmt = \"n6\" }\n150 = { fmt = \"n2\" }\n");
  const std::string message =
      "0200A000000000000000"
      "8000000000000000"
      "0000040000000000"
      "000000"
      "77";
  const auto decoded = iso8583::decode(message, three);
  REQUIRE(decoded.has_value());
  CHECK(test::revealed_fields(*decoded) == std::map<unsigned, std::string>{{3, "000000"}, {150, "77"}});
  CHECK(iso8583::encode(Composition(*decoded), three).value() == message);
  CHECK(refusal(with(150, "77"), ascii()) == EncodeError::Reason::not_listed);
}

TEST_CASE("codec: a second bitmap without fields is read and written again; hex digits may be lower-case") {
  const std::string message =
      "0800800000000000000000000000000000"
      "00";
  const auto decoded = iso8583::decode(message, ascii());
  REQUIRE(decoded.has_value());
  CHECK(decoded->fields().empty());
  CHECK(iso8583::encode(Composition(*decoded), ascii()).value() == message);
  CHECK(iso8583::decode("080000000000000000c0000", ascii()).has_value() == false);
  CHECK(iso8583::decode("08000020000000c00000"
                        "000001"
                        "TERM0001"
                        "MERCHANT0000001",
                        ascii())
            .has_value());
}

TEST_CASE("codec: an empty field is there, and is not absent") {
  const auto decoded = iso8583::decode(
      "0200000000000010000000"
      "000",
      test::dialect_of("[field]\n44 = { fmt = \"an...25\", class = \"open\" }\n"));
  CHECK_FALSE(decoded.has_value());
  const auto empty = iso8583::decode("0200000000000010000000", ascii());
  REQUIRE(empty.has_value());
  CHECK(empty->has(44));
  CHECK(empty->sensitive(44).empty());
  CHECK_FALSE(empty->open(43).has_value());
}

TEST_CASE("codec: only fields of class open can be read as they are") {
  const auto message = iso8583::decode(
      "0200600000000000000016"
      "4111111111111111"
      "000000",
      ascii());
  REQUIRE(message.has_value());
  CHECK(message->open(3) == "000000");
  CHECK_FALSE(message->open(2).has_value());
  CHECK(redact::shown(message->sensitive(2)) == "************1111");
}

TEST_CASE("codec: track 2 in BCD has its separator as '=', amounts their sign as a character") {
  const Dialect dialect = test::dialect_of("extends = \"iso87-bcd\"\n");
  const auto decoded = iso8583::decode(bytes("0200"
                                             "0000001020000000"
                                             "44"
                                             "00000012"
                                             "21"
                                             "4111111111111111D29120"),
                                       dialect);
  REQUIRE(decoded.has_value());
  CHECK(test::revealed_fields(*decoded) ==
        std::map<unsigned, std::string>{{28, "D00000012"}, {35, "4111111111111111=2912"}});
  CHECK(iso8583::encode(Composition(*decoded), dialect).value() == bytes("0200"
                                                                         "0000001020000000"
                                                                         "44"
                                                                         "00000012"
                                                                         "21"
                                                                         "4111111111111111D29120"));
}

TEST_CASE("codec: a sign that is no ASCII character is written as it was read") {
  const Dialect dialect = test::shipped("bcd-ebcdic");
  const std::string message = bytes(
      "0200"
      "0000001000000000"
      "48"
      "00000012");  // 48: ç in cp500
  const auto decoded = iso8583::decode(message, dialect);
  REQUIRE(decoded.has_value());
  CHECK(decoded->open(28) == "\u00E700000012");
  CHECK(iso8583::encode(Composition(*decoded), dialect).value() == message);
}

TEST_CASE("codec: padding is found on either side where the dialect says so, and the first one is written") {
  const Dialect pos = test::shipped("pos-bcd");
  for (const std::string_view amex : {"378282246310005F", "3782822463100050", "0378282246310005", "378282246310005D"}) {
    const auto message = iso8583::decode(bytes("0200"
                                               "4000000000000000"
                                               "15") +
                                             bytes(amex),
                                         pos);
    REQUIRE(message.has_value());
    CHECK(test::revealed_fields(*message) == std::map<unsigned, std::string>{{2, "378282246310005"}});
    CHECK(iso8583::encode(Composition(*message), pos).value() == bytes("0200"
                                                                       "4000000000000000"
                                                                       "15"
                                                                       "378282246310005F"));
  }
}

TEST_CASE("codec: an answer echoes fields without reading them") {
  const auto request = iso8583::decode(
      "0200600000000000000016"
      "4111111111111111"
      "000000",
      ascii());
  REQUIRE(request.has_value());
  Composition answer("0210");
  CHECK(answer.echo(2, *request));
  CHECK(answer.echo(3, *request));
  CHECK_FALSE(answer.echo(11, *request));
  answer.set(39, "00");
  CHECK(iso8583::encode(answer, ascii()).value() ==
        "0210600000000200000016"
        "4111111111111111"
        "000000"
        "00");
}

TEST_CASE("codec: what cannot be written is refused, and why") {
  CHECK(refusal(Composition("02x0"), ascii()) == EncodeError::Reason::mti);
  CHECK(refusal(with(3, "00000"), ascii()) == EncodeError::Reason::too_long);
  CHECK(refusal(with(2, std::string(20, '4')), ascii()) == EncodeError::Reason::too_long);
  CHECK(refusal(with(3, "00000x"), bcd()) == EncodeError::Reason::character);
  CHECK(refusal(with(3, "00000\u00E9"), ascii()) == EncodeError::Reason::character);
  CHECK(refusal(with(130, "0"), ascii()) == EncodeError::Reason::not_listed);
  CHECK(refusal(with(52, "123"), bcd()) == EncodeError::Reason::padding);
  const Dialect headed = test::dialect_of("[header]\ndata = \"ascii\"\nmax = 3\n[field]\n3 = { fmt = \"n6\" }\n");
  CHECK(refusal(with(3, "000000"), headed) == EncodeError::Reason::header);
  CHECK(iso8583::encode(with(3, std::string(6, '0')), bcd()).value() == bytes("0200"
                                                                              "2000000000000000"
                                                                              "000000"));
}

TEST_CASE("codec: no error and no explanation of any beginning of any vector tells card data") {
  std::size_t secrets_seen = 0;
  for (const test::IsoVector& vector : test::iso_vectors()) {
    CAPTURE(vector.name);
    const Dialect dialect = test::dialect_of(vector);
    const auto whole = iso8583::decode(vector.body, dialect);
    REQUIRE(whole.has_value());
    const std::vector<std::string> secrets = secrets_of(*whole);
    secrets_seen += secrets.size();
    for (const std::string& secret : secrets) CHECK(told(*whole, dialect, nullptr).find(secret) == std::string::npos);
    for (std::size_t end = 0; end < vector.body.size(); ++end) {
      const auto decoded = iso8583::decode(std::string_view(vector.body).substr(0, end), dialect);
      REQUIRE_FALSE(decoded.has_value());
      const std::string text = told(decoded.error().read, dialect, &decoded.error());
      for (const std::string& secret : secrets) REQUIRE(text.find(secret) == std::string::npos);
    }
  }
  CHECK(secrets_seen > 20);
}

TEST_CASE("codec: a message that was moved from is empty") {
  auto decoded = iso8583::decode("02002000000000000000000000", ascii());
  Message first = std::move(*decoded);
  const Message second = std::move(first);
  CHECK(second.open(3) == "000000");
  // NOLINTBEGIN(bugprone-use-after-move,clang-analyzer-cplusplus.Move): that is what is tested
  CHECK(first.mti().empty());
  CHECK(first.fields().empty());
  // NOLINTEND(bugprone-use-after-move,clang-analyzer-cplusplus.Move)
}
