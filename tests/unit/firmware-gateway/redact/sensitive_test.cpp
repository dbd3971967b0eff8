#include "firmware-gateway/redact/sensitive.hpp"

#include <doctest/doctest.h>

#include <string>
#include <type_traits>

#include "proto/base/bytes.hpp"

namespace {

using redact::DataClass;
using redact::Sensitive;

std::string shown(std::string_view text, DataClass data_class) { return redact::shown(Sensitive(text, data_class)); }

std::string hex(std::string_view bytes) { return base::to_hex(bytes); }

template <class T>
concept Readable = requires(T field) { field.view(); } || requires(T field) { std::string_view(field); } ||
                   requires(T field) { std::string(field); };

}  // namespace

TEST_CASE("sensitive: is neither read nor copied nor compared") {
  CHECK_FALSE(Readable<Sensitive>);
  CHECK_FALSE(std::is_copy_constructible_v<Sensitive>);
  CHECK_FALSE(std::is_move_constructible_v<Sensitive>);
  CHECK_FALSE(std::is_copy_assignable_v<Sensitive>);
  CHECK_FALSE(std::equality_comparable<Sensitive>);
}

TEST_CASE("sensitive: of a card number the last four are shown, its length is kept") {
  CHECK(shown("4111111111111111", DataClass::pan) == "************1111");
  CHECK(shown("676770001234", DataClass::pan) == "********1234");
  CHECK(shown("12345678901", DataClass::pan) == "***********");
  CHECK(shown("", DataClass::pan).empty());
  // Four bytes of text might be half a character.
  CHECK(shown("ABCDEFGHIJKLMN\u00E9", DataClass::pan) == "****************");
}

TEST_CASE("sensitive: of authentication data and other cardholder data nothing is shown") {
  CHECK(shown("4111111111111111=2512101", DataClass::sad) == std::string(24, '*'));
  CHECK(shown("2512", DataClass::chd) == "****");
}

TEST_CASE("sensitive: text is scanned, also where it is hex of characters or of BCD") {
  CHECK(shown("order 17", DataClass::text) == "order 17");
  CHECK(shown("paid by 4111 1111 1111 1111.", DataClass::text) == "paid by [card data].");
  CHECK(shown(hex("paid by 4111111111111111"), DataClass::text) == "[card data]");
  CHECK(shown("00C14111111111111111", DataClass::text).find("4111111111111111") == std::string::npos);
  // 4111111111111111 in EBCDIC.
  CHECK(shown("C3F4F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1", DataClass::text) == "[card data]");
  CHECK(shown("1234567890", DataClass::open) == "1234567890");
}

TEST_CASE("sensitive: EMV data is shown by tag, card data and cryptograms masked") {
  const std::string emv =
      "9F0206000000001000"
      "5A084111111111111111"
      "9F26081122334455667788"
      "9505000000E000";
  CHECK(shown(emv, DataClass::tlv) == "9F02=000000001000 5A=**************** 9F26=**************** 95=000000E000");
  const auto reading = redact::read_tlv(Sensitive(emv, DataClass::tlv));
  REQUIRE(reading.elements.size() == 4);
  CHECK(reading.complete);
  CHECK(reading.elements[1].tag == "5A");
  CHECK(reading.elements[1].value.empty());
  CHECK(reading.elements[1].length == 8);
}

TEST_CASE("sensitive: EMV data is read out of templates, and out of text whose characters are its bytes") {
  CHECK(shown("700C"
              "5A084111111111111111"
              "9C0100",
              DataClass::tlv)
            .starts_with("5A="));
  CHECK(shown("E10D"
              "5A084111111111111111"
              "9C0100",
              DataClass::tlv) == "5A=**************** 9C=00");
  // 9C 01 00 and 82 02 39 00 as latin-1.
  CHECK(shown(std::string("\u009C\u0001\0\u0082\u0002\u0039\0", 9), DataClass::tlv) == "9C=00 82=3900");
}

TEST_CASE("sensitive: what is no EMV data is masked as a whole, from where it is none") {
  CHECK(shown("hello, world", DataClass::tlv) == std::string(12, '*'));
  CHECK(shown("9C01009F02", DataClass::tlv) == "9C=00 …");
  CHECK(shown("9C0100"
              "9505000000",
              DataClass::tlv) == "9C=00 …");
  CHECK(shown("", DataClass::tlv).empty());
}

TEST_CASE("sensitive: a tag that may be kept is masked when it holds a card number all the same") {
  CHECK(shown("5010" + hex("4111111111111111"), DataClass::tlv) == "50=" + std::string(32, '*'));
  CHECK(shown("84084111111111111111", DataClass::tlv) == "84=" + std::string(16, '*'));
  CHECK(shown("5010F4F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1", DataClass::tlv) == "50=" + std::string(32, '*'));
  // Amid other digits.
  CHECK(shown("840B1234111111111111111100", DataClass::tlv) == "84=" + std::string(22, '*'));
  // Longer than the tag can be.
  CHECK(shown("9F0207000000001000FF", DataClass::tlv) == "9F02=**************");
}

TEST_CASE("sensitive: the card number is found in field 2, both tracks and EMV data") {
  const auto pan = [](redact::Secret secret) { return std::string(secret.view()); };
  const auto sad = [](std::string_view text) { return Sensitive(text, DataClass::sad); };
  CHECK(pan(redact::pan_of_number(Sensitive("4111111111111111", DataClass::pan))) == "4111111111111111");
  CHECK(pan(redact::pan_of_number(Sensitive("378282246310005F", DataClass::pan))) == "378282246310005");
  CHECK(pan(redact::pan_of_number(Sensitive("ABCDEFGHIJKLMNOP", DataClass::pan))).empty());
  CHECK(pan(redact::pan_of_number(Sensitive("41111111111", DataClass::pan))).empty());
  CHECK(pan(redact::pan_of_track2(sad("4111111111111111=29122010000000000000"))) == "4111111111111111");
  CHECK(pan(redact::pan_of_track2(sad(";378282246310005D2912201"))) == "378282246310005");
  CHECK(pan(redact::pan_of_track2(sad("4111111111111111"))).empty());
  CHECK(pan(redact::pan_of_track1(sad("%B4111111111111111^DOE/J^2912"))) == "4111111111111111");
  CHECK(pan(redact::pan_of_track1(sad("B411111111111"))).empty());
  const auto tlv = [](std::string_view text) { return Sensitive(text, DataClass::tlv); };
  CHECK(pan(redact::pan_of_tlv(tlv("9C01005A084111111111111111"))) == "4111111111111111");
  CHECK(pan(redact::pan_of_tlv(tlv("5A08378282246310005F"))) == "378282246310005");
  CHECK(pan(redact::pan_of_tlv(tlv("57114111111111111111D291220100000000"))).empty());
  CHECK(pan(redact::pan_of_tlv(tlv("57114111111111111111D2912201000000000F"))) == "4111111111111111");
  CHECK(pan(redact::pan_of_tlv(tlv("9C0100"))).empty());
}
