#include "firmware-gateway/terminal/iso8583/explanation.hpp"

#include <doctest/doctest.h>

#include <string>

#include "proto/base/bytes.hpp"
#include "tests/support/iso8583/vectors.hpp"

TEST_CASE("explanation: what an MTI says, in words") {
  CHECK(iso8583::mti_words("0200") == "financial request (1987)");
  CHECK(iso8583::mti_words("0421") == "reversal advice, repeated by the acquirer (1987)");
  CHECK(iso8583::mti_words("1814") == "network management response, from another (1993)");
  CHECK(iso8583::mti_words("7999").empty());
  CHECK(iso8583::mti_words("").empty());
}

TEST_CASE("explanation: a line is a line, whatever a value holds") {
  const auto dialect = test::shipped("iso87-ascii");
  const auto message =
      iso8583::decode(std::string("02000000000000800000") + "T\n\x1B[2J\x7F" + std::string(1, '\0'), dialect);
  REQUIRE(message.has_value());
  CHECK(iso8583::explain(*message, dialect).ends_with("T\\u000A\\u001B[2J\\u007F\\u0000\n"));
  CHECK(iso8583::to_json(*message).find('\n') == std::string::npos);
}

TEST_CASE("explanation: EMV data has a line for each tag, what is no EMV data none") {
  const auto dialect = test::shipped("iso87-bcd");
  const auto message = iso8583::decode(base::from_hex("0200"
                                                      "0000000000000200"
                                                      "0020"
                                                      "9F0206000000001000"
                                                      "5A084111111111111111"
                                                      "FFFF"
                                                      "9C")
                                           .value(),
                                       dialect);
  REQUIRE_FALSE(message.has_value());
  const auto whole = iso8583::decode(base::from_hex("0200"
                                                    "0000000000000200"
                                                    "0020"
                                                    "9F0206000000001000"
                                                    "5A084111111111111111"
                                                    "9C")
                                         .value(),
                                     dialect);
  REQUIRE(whole.has_value());
  const std::string text = iso8583::explain(*whole, dialect);
  CHECK(text.find("9F02    000000001000\n") != std::string::npos);
  CHECK(text.find("5A      ****************\n") != std::string::npos);
  CHECK(text.find("not shown") != std::string::npos);
}

TEST_CASE("explanation: JSON has the fields by number, and after an error where it was") {
  const auto dialect = test::shipped("iso87-ascii");
  const auto message = iso8583::decode("02003000000000000000000000000000000100", dialect);
  REQUIRE(message.has_value());
  CHECK(iso8583::to_json(*message) == R"({"mti":"0200","fields":{"3":"000000","4":"000000000100"}})");
  const auto broken = iso8583::decode("020030000000000000000000000000", dialect);
  REQUIRE_FALSE(broken.has_value());
  CHECK(
      iso8583::to_json(broken.error().read, &broken.error()) ==
      R"({"mti":"0200","fields":{"3":"000000"},"error":{"part":"field","field":4,"position":26,"reason":"the message ends before it does"}})");
}
