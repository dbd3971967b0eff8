#include "proto/base/currency.hpp"

#include <doctest/doctest.h>

TEST_CASE("currency: alphabetic and numeric codes name the same currency, with the exponent of ISO 4217") {
  const auto alpha = base::find_currency("EUR");
  const auto numeric = base::find_currency("978");
  REQUIRE(alpha);
  REQUIRE(numeric);
  CHECK(alpha->numeric == 978);
  CHECK(numeric->alpha == "EUR");
  CHECK(alpha->exponent == 2);
  CHECK(base::find_currency("JPY")->exponent == 0);
  CHECK(base::find_currency("414")->exponent == 3);  // KWD
  CHECK(base::find_currency("CLF")->exponent == 4);
  CHECK(base::find_currency("036")->alpha == "AUD");  // leading zeros belong to the code
  CHECK(base::find_currency("008")->alpha == "ALL");
}

TEST_CASE("currency: follows the latest amendments, and refuses what has no minor unit or is no code") {
  CHECK(base::find_currency("XCG"));        // Caribbean guilder, since 2025
  CHECK(base::find_currency("ZWG"));        // Zimbabwe gold, since 2024
  CHECK_FALSE(base::find_currency("BGN"));  // Bulgaria has the euro since 2026
  CHECK_FALSE(base::find_currency("HRK"));
  for (const char* none :
       {"XXX", "XTS", "XAU", "999", "000", "eur", "EU", "EURO", "36", "0978", "+36", "-36", " 36", "", "€"})
    CHECK_FALSE_MESSAGE(base::find_currency(none), none);
}
