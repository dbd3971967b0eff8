#include "firmware-gateway/terminal/nexo/decimal.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using terminal::nexo::to_count;
using terminal::nexo::to_minor;

TEST_CASE("decimal: scaled by the currency's exponent, digit for digit") {
  CHECK(to_minor("12.5", 2) == 1250);
  CHECK(to_minor("57.0", 2) == 5700);
  CHECK(to_minor("0.07", 2) == 7);
  CHECK(to_minor("0.0", 2) == 0);
  CHECK(to_minor("1000", 0) == 1000);
  CHECK(to_minor("1.255", 3) == 1255);
  CHECK(to_minor("0.0001", 4) == 1);
  CHECK(to_minor("0012.50", 2) == 1250);
  // Through a double these are 1 off, or more.
  CHECK(to_minor("1.15", 2) == 115);
  CHECK(to_minor("4503599627370.49", 2) == 450359962737049);
  CHECK(to_minor("9007199254740.993", 2) == std::nullopt);
}

TEST_CASE("decimal: up to 15 digits, as everywhere") {
  CHECK(to_minor("9999999999999.99", 2) == 999'999'999'999'999);
  CHECK(to_minor("10000000000000", 2) == std::nullopt);
  CHECK(to_minor("999999999999999", 0) == 999'999'999'999'999);
  CHECK(to_minor("1000000000000000", 0) == std::nullopt);
  CHECK(to_minor(std::string(5000, '9'), 0) == std::nullopt);
  CHECK(to_minor(std::string(5000, '0') + "1", 0) == 1);
}

TEST_CASE("decimal: more decimals than the currency has are refused, unless they are zeros") {
  CHECK(to_minor("12.345", 2) == std::nullopt);
  CHECK(to_minor("1000.5", 0) == std::nullopt);
  CHECK(to_minor("1.2555", 3) == std::nullopt);
  CHECK(to_minor("12.3400", 2) == 1234);
  CHECK(to_minor("1000.00", 0) == 1000);
}

TEST_CASE("decimal: signs, exponents and everything else are refused") {
  for (const std::string& wrong :
       std::vector<std::string>{"", "-1", "-0", "+1", "1e2", "1E2", "1.5e1", ".5", "5.", ".", "1.2.3", "1,5", " 1",
                                "1 ", "0x10", "NaN", "true", "\xD9\xA1"}) {
    CAPTURE(wrong);
    CHECK(to_minor(wrong, 2) == std::nullopt);
  }
}

TEST_CASE("decimal: a count is whole") {
  CHECK(to_count("42") == 42);
  CHECK(to_count("42.0") == 42);
  CHECK(to_count("4.2") == std::nullopt);
  CHECK(to_count("-1") == std::nullopt);
}
