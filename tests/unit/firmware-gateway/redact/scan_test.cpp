#include "firmware-gateway/redact/scan.hpp"

#include <doctest/doctest.h>

#include "firmware-gateway/redact/iin.hpp"
#include "tests/unit/firmware-gateway/redact/test_cards.hpp"

namespace {

std::string masked(std::string text) {
  redact::mask_card_data(text, [](std::string_view) { return "#"; });
  return text;
}

std::string utf8(char32_t value) {
  const auto byte = [](char32_t bits) { return static_cast<char>(bits); };
  if (value < 0x80) return {byte(value)};
  if (value < 0x800) return {byte(0xC0 | value >> 6), byte(0x80 | (value & 0x3F))};
  if (value < 0x10000) return {byte(0xE0 | value >> 12), byte(0x80 | (value >> 6 & 0x3F)), byte(0x80 | (value & 0x3F))};
  return {byte(0xF0 | value >> 18), byte(0x80 | (value >> 12 & 0x3F)), byte(0x80 | (value >> 6 & 0x3F)),
          byte(0x80 | (value & 0x3F))};
}

}  // namespace

TEST_CASE("scan: a card number within a run of digits is told, wherever it stands") {
  using redact::may_hold_pan;
  CHECK(may_hold_pan("4111111111111111"));
  CHECK(may_hold_pan("020000471141111111111111110001234567800000"));
  CHECK(may_hold_pan("x 0000000000378282246310005999 y"));
  CHECK_FALSE(may_hold_pan("020000471141111111111111120001234567800000"));
  CHECK_FALSE(may_hold_pan("632711004711"));
  CHECK_FALSE(may_hold_pan("000000001250"));
  CHECK_FALSE(may_hold_pan("no digits"));
  CHECK_FALSE(may_hold_pan(""));
}

TEST_CASE("scan: finds every test card in every spelling") {
  for (const auto& card : redact_test::cards) {
    for (const std::string& text : redact_test::spellings(card.number)) {
      CAPTURE(text);
      CHECK(redact_test::digits_of(masked(text)).find(card.number) == std::string::npos);
      CHECK(redact::find_card_data(text).size() == 1);
    }
  }
}

TEST_CASE("scan: masks the number and leaves what stands around it") {
  CHECK(masked("paid with 4111 1111 1111 1111, thanks") == "paid with #, thanks");
  CHECK(masked("4111111111111111 and 5555-5555-5555-4444") == "# and #");
  CHECK(masked("4111111111111111 5555555555554444") == "# #");
  CHECK(masked("on 24 4111111111111111 at 9") == "on 24 # at 9");
  CHECK(masked("é4111111111111111é") == "é#é");
}

TEST_CASE("scan: a number that with the next one's first group passes for a longer one hides nothing of the next") {
  CHECK(masked("36259600000004 4002 1234 5678 1236 x") == "# x");
  CHECK(masked("4111111111111111 5555 5555 5555 4444 x") == "# # x");
}

TEST_CASE("scan: finds a number glued to its expiry date or to a tag") {
  CHECK(masked("41111111111111111225") == "#");
  CHECK(masked("5A084111111111111111").find("4111111111111111") == std::string::npos);
  CHECK(masked("3782822463100051225") == "#");
}

TEST_CASE("scan: finds a number of any card with its expiry behind it, in one run of digits") {
  for (const auto& card : redact_test::cards) {
    for (const char* tail : {"2512", "1225", "2512101", "25121011234567890"}) {
      const std::string text = std::string(card.number) + tail;
      CHECK_MESSAGE(masked(text) == "#", text);
    }
  }
  // Maestro, Bancontact, UnionPay, Interpayment and Elo, in all their lengths.
  for (const char* prefix : {"5018", "5612", "6304", "6759", "6703", "6725", "6223", "636368", "6363", "8171"}) {
    for (std::size_t size = 16; size <= 19; ++size) {
      std::string number = prefix + std::string(size - std::string_view(prefix).size(), '0');
      for (number[8] = '7'; !redact::passes_luhn(number); ++number.back()) {
      }
      CHECK_MESSAGE(masked(number + "2512") == "#", number);
      CHECK_MESSAGE(masked("x" + number + "2512101,") == "x#,", number);
    }
  }
}

TEST_CASE("scan: long numbers that are no cards are seldom taken for one with its expiry") {
  int taken = 0;
  std::uint64_t state = 1;
  for (int n = 0; n < 20'000; ++n) {
    std::string digits = "7";  // no card begins so
    for (int i = 0; i < 21; ++i) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      digits += static_cast<char>('0' + (state >> 60U) % 10);
    }
    taken += masked(digits) == digits ? 0 : 1;
    // A sequence number behind a word, as tills write it.
    digits[0] = '6';
    taken += masked(digits) == digits ? 0 : 1;
  }
  MESSAGE(taken << " of 40000");
  CHECK(taken < 40'000 / 14);
}

TEST_CASE("scan: digits of any script are digits, and no blank, dash or invisible character hides a number") {
  const auto written = [](char32_t zero) {
    std::string text;
    for (const char digit : std::string_view("4111111111111111"))
      text += utf8(zero + static_cast<char32_t>(digit - '0'));
    return text;
  };
  // Telugu, Kannada, Malayalam, Lao, Tibetan, Burmese, N'Ko, Balinese, Adlam.
  for (const char32_t zero : {0x0C66, 0x0CE6, 0x0D66, 0x0ED0, 0x0F20, 0x1040, 0x07C0, 0x1B50, 0x1E950}) {
    CAPTURE(static_cast<std::uint32_t>(zero));
    CHECK(masked(written(zero)) == "#");
  }
  for (const char32_t between : {0x180E, 0x061C, 0x1680, 0x058A, 0x1400, 0x1806, 0x30A0, 0x05BE}) {
    CAPTURE(static_cast<std::uint32_t>(between));
    const std::string sign = utf8(between);
    CHECK(masked("4111" + sign + "1111" + sign + "1111" + sign + "1111") == "#");
  }
}

TEST_CASE("scan: a card number behind its length, or amid zeros, is found whatever follows it") {
  for (const char* pan : {"4111111111111111", "5555555555554444", "378282246310005", "36148900647913"}) {
    CAPTURE(pan);
    const std::string number = pan;
    const std::string length = std::to_string(number.size());
    // A dump of an ISO 8583 message; EMV data with the next tag behind it; numbers filled up.
    CHECK(masked("0200" + length + number + "000000").find(number) == std::string::npos);
    CHECK(masked("F23C" + length + number + "0000000000001250112").find(number) == std::string::npos);
    CHECK(masked("000000" + number + "000000").find(number) == std::string::npos);
    CHECK(masked("0000" + number).find(number) == std::string::npos);
    if (number.size() % 2 != 0) continue;
    const std::string bytes = "0" + std::to_string(number.size() / 2);
    for (const char* next : {"5F2403251231", "5F340101", "9A03251124", "9F2608112233"})
      CHECK(masked("9F0206000000001250"
                   "5A" +
                   bytes + number + next)
                .find(number) == std::string::npos);
  }
}

TEST_CASE("scan: takes track data whole") {
  CHECK(masked("%B4111111111111111^DOE/JANE^2512101123456789?") == "#");
  CHECK(masked("x ;4111111111111111=25121011234567890? y") == "x # y");
  CHECK(masked("4111111111111111D25121011234567890F") == "#F");
  // By its shape alone, even where the number is of no known card.
  CHECK(masked(";9999999999999999=2512101123?") == "#");
  CHECK(masked("B4111 1111 1111 1111^DOE^2512101?") == "#");
}

TEST_CASE("scan: what ends a track's number separates groups, too") {
  CHECK(masked("4111=1111=1111=1111") == "#");
  CHECK(masked("4111^1111 = 1111^1111.") == "#.");
  CHECK(masked("4111111111111111=25") == "#=25");
}

TEST_CASE("scan: escapes that stand between groups, or for digits, hide nothing") {
  for (const char* text :
       {"4539%205787%206362%201486", "4539%2B5787%2B6362%2B1486", "4539&nbsp;5787&nbsp;6362&nbsp;1486",
        "4539&#32;5787&#x20;6362&#160;1486", R"(4539\u00205787\u00a06362\u00201486)", R"(4539\n5787\n6362\n1486)",
        R"(4539\x205787\x206362\x201486)", "%34539%20578763621486", "4539%C2%A05787%C2%A063621486"}) {
    CAPTURE(text);
    CHECK(redact::find_card_data(text).size() == 1);
    CHECK(masked(text) == "#");
  }
  // Read as it stands, too: here % is a sign, and 20 belongs to the number.
  CHECK(masked("4539%2057 and 4111%111111111111") == "4539%2057 and #");
}

TEST_CASE("scan: any sign may stand between groups") {
  for (const char* sign : {"€", "\u2800", "\U000E0020", "→", "×", "、", "／", "💳", "™"}) {
    std::string text = "4539";
    for (const char* group : {"5787", "6362", "1486"}) text.append(sign).append(group);
    CHECK_MESSAGE(masked(text) == "#", text);
  }
}

TEST_CASE("scan: knows the numbers of national schemes") {
  for (const char* number :
       {"8200000000000005", "8600000000000002", "9860000000000009", "9704000000000018", "2205000000000005"}) {
    std::string text = number;
    // The last digit is made to pass Luhn.
    for (char last = '0'; last <= '9' && !redact::passes_luhn(text); ++last) text.back() = last;
    CHECK_MESSAGE(masked(text) == "#", text);
  }
}

TEST_CASE("scan: leaves alone what only looks similar") {
  for (const char* text : {
           "",
           "4111111111111112",                      // fails Luhn
           "411111111111",                          // too short for free text
           "20261124215100",                        // a time
           "1764019431042",                         // milliseconds since 1970
           "4006381333931",                         // EAN-13: Visa's old 13 digits are left out on purpose
           "356938035643809",                       // IMEI
           "8943010000000000009",                   // ICCID
           "000123456789",                          // RRN
           "A0000000041010",                        // EMV application
           "0192f3c4-5b6a-7c8d-9e0f-112233445566",  // UUID
           "+43 1 234 56 78",
           "2026-11-24T21:23:51.042Z",
           "amount 4111 cards, 1111 of them 1111",
       })
    CHECK_MESSAGE(masked(text) == text, text);
}

TEST_CASE("scan: stays linear enough on digits without end") {
  const std::string digits(16 * 1024, '1');
  CHECK(redact::find_card_data(digits).empty());
  std::string groups;
  for (int i = 0; i < 4000; ++i) groups += "4 1 ";
  CHECK(redact::find_card_data(groups).size() < groups.size());
}

TEST_CASE("iin: knows the brand of each test card, and Luhn fails when any digit is changed") {
  for (const auto& card : redact_test::cards) {
    CAPTURE(card.number);
    CHECK(redact::brand_of(card.number) == card.brand);
    CHECK(redact::looks_like_pan(card.number));
    for (std::size_t i = 0; i < card.number.size(); ++i) {
      std::string other(card.number);
      other[i] = other[i] == '9' ? '0' : static_cast<char>(other[i] + 1);
      CHECK_FALSE(redact::passes_luhn(other));
    }
  }
  CHECK(redact::brand_of("4").empty() == false);
  CHECK(redact::brand_of("").empty());
  CHECK(redact::brand_of("0000000000000000").empty());
}
