#include "firmware-gateway/redact/card_number.hpp"

#include <doctest/doctest.h>

#include "tests/unit/firmware-gateway/redact/test_cards.hpp"

TEST_CASE("card number: a clear one gives digits, last four and brand, with blanks or dashes between groups") {
  for (const auto& card : redact_test::cards) {
    CAPTURE(card.number);
    const std::string grouped = std::string(card.number.substr(0, 4)) + " " + std::string(card.number.substr(4, 6)) +
                                "-" + std::string(card.number.substr(10));
    for (const std::string& text : {std::string(card.number), grouped}) {
      CHECK(redact::is_clear(text));
      const auto read = redact::read_card_number(text);
      REQUIRE(read);
      CHECK(read->pan.view() == card.number);
      CHECK(read->last4 == card.number.substr(card.number.size() - 4));
      CHECK(read->brand == card.brand);
    }
  }
}

TEST_CASE("card number: 12 to 19 digits with a right check digit, of whatever brand") {
  CHECK(redact::read_card_number("000000000018"));  // 12 digits, a store's own card
  CHECK(redact::read_card_number("9999999999999999998"));
  for (const char* text :
       {"4111111111111112", "18", "00000000018", "00000000000000000018", "4111  1111 1111 1111", " 4111111111111111",
        "4111111111111111-", "4111/1111/1111/1111", "4111111111111111x1", "card", "", "4111a11111111111", "\xFF"})
    CHECK_FALSE_MESSAGE(redact::read_card_number(text), text);
}

TEST_CASE("card number: a masked one gives the last four, and the brand of the digits that are shown") {
  for (const char* text :
       {"411111******1111", "411111 **** 1111", "4111 11XX XXXX 1111", "************1111", "xxxx xxxx xxxx 1111",
        "****1111", "411111######1111", "41111111....1111", "•••• 1111", "4111-11xx-xxxx-1111", "…1111"}) {
    CAPTURE(text);
    CHECK_FALSE(redact::is_clear(text));
    const auto read = redact::read_card_number(text);
    REQUIRE(read);
    CHECK(read->pan.empty());
    CHECK(read->last4 == "1111");
    CHECK(read->brand == (std::string_view(text).starts_with("4") ? "visa" : ""));
  }
  const auto nothing_shown = redact::read_card_number("****************");
  REQUIRE(nothing_shown);
  CHECK(nothing_shown->last4.empty());
}

TEST_CASE("card number: a mask that hides too little, or in a strange place, is refused") {
  for (const char* text : {"411111111*1111", "4111111111111*1111", "411111******11111", "411111******111",
                           "411111**11**1111", "1111", "*************************1111", "4111 1111 1111 ****1"})
    CHECK_FALSE_MESSAGE(redact::read_card_number(text), text);
}
