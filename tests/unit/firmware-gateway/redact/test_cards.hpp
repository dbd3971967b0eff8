// Well-known test card numbers of the brands and processors; none belongs to anybody.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace redact_test {

struct TestCard {
  std::string_view number;
  std::string_view brand;
};

inline constexpr std::array cards{
    TestCard{"4111111111111111", "visa"},       TestCard{"4012888888881881", "visa"},
    TestCard{"4242424242424242", "visa"},       TestCard{"4000056655665556", "visa"},
    TestCard{"4000000000000000006", "visa"},    TestCard{"5555555555554444", "mastercard"},
    TestCard{"5105105105105100", "mastercard"}, TestCard{"2223003122003222", "mastercard"},
    TestCard{"2720990000000007", "mastercard"}, TestCard{"378282246310005", "amex"},
    TestCard{"371449635398431", "amex"},        TestCard{"348570250878868", "amex"},
    TestCard{"6011111111111117", "discover"},   TestCard{"6011000990139424", "discover"},
    TestCard{"6510000000000000", "discover"},   TestCard{"3530111333300000", "jcb"},
    TestCard{"3566002020360505", "jcb"},        TestCard{"30569309025904", "diners"},
    TestCard{"38520000023237", "diners"},       TestCard{"36227206271667", "diners"},
    TestCard{"6200000000000005", "unionpay"},   TestCard{"6759649826438453", "maestro"},
    TestCard{"6304000000000000", "maestro"},    TestCard{"5019717010103742", "dankort"},
};

// The same number as people and programs write it.
inline std::vector<std::string> spellings(std::string_view number) {
  const auto grouped = [number](std::string_view separator, std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < number.size(); i += size)
      text += (i == 0 ? "" : std::string(separator)) + std::string(number.substr(i, size));
    return text;
  };
  std::string wide;
  for (const char c : number) wide += std::string("\xEF\xBC") + static_cast<char>(0x90 + (c - '0'));
  return {std::string(number),
          grouped(" ", 4),
          grouped("-", 4),
          grouped(".", 4),
          grouped("\u00A0", 4),
          grouped("\u2011", 4),
          grouped(" ", 6),
          grouped(" - ", 4),
          grouped(" ", 1),
          grouped("-", 5),
          grouped("\u2013", 4),
          grouped("/", 4),
          grouped("\u200B", 4),
          grouped("+", 4),
          grouped("#", 4),
          grouped("\\", 4),
          grouped("\uFE0F\u20E3", 1),
          "(" + std::string(number.substr(0, 4)) + ")" + std::string(number.substr(4)),
          wide,
          "PAN" + std::string(number) + "x",
          "(" + grouped(" ", 4) + ")",
          "12 " + grouped(" ", 4) + " 3"};
}

// The digits of a text, for looking whether a number is still in it.
inline std::string digits_of(std::string_view text) {
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] >= '0' && text[i] <= '9') digits += text[i];
    const auto byte = static_cast<unsigned char>(text[i]);
    if (text.substr(i).starts_with("\xEF\xBC") && i + 2 < text.size() && byte == 0xEF)
      digits += static_cast<char>('0' + (static_cast<unsigned char>(text[i + 2]) - 0x90));
  }
  return digits;
}

}  // namespace redact_test
