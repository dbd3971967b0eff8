#include "firmware-gateway/redact/sensitive_name.hpp"

#include <doctest/doctest.h>

TEST_CASE("names: sensitive authentication data is known by every usual spelling of its name") {
  for (const char* name : {"cvv",
                           "CVV2",
                           "cvvCode",
                           "card_cvv",
                           "cvc",
                           "CVC2",
                           "cardVerificationValue",
                           "CardSecurityCode",
                           "sec_code",
                           "security code",
                           "csc",
                           "cid",
                           "customer-cid",
                           "cvx2",
                           "cvd2",
                           "cav2",
                           "pvv",
                           "pin",
                           "PIN",
                           "pinBlock",
                           "PIN-block",
                           "encrypted_pin",
                           "pin_verification_value",
                           "pinCode",
                           "Track2Data",
                           "track_1_data",
                           "track_2_equivalent",
                           "TRACK 3",
                           "tracks",
                           "magstripe",
                           "magnetic_stripe",
                           "card_code",
                           "discretionary_data",
                           "emv_57",
                           "EMV 9F20",
                           "tag5A",
                           "de35",
                           "DE45",
                           "de_052",
                           "iso_field_35",
                           "field 52",
                           "bit52",
                           "f52",
                           "pan",
                           "cardNumber",
                           "sicherheitscode",
                           "kartenpruefnummer",
                           "Kartenprüfnummer"}) {
    CHECK_MESSAGE(redact::names_sensitive_data(name), name);
  }
}

TEST_CASE("names: other words that hold such letters are left alone") {
  for (const char* name :
       {"shipping",   "spinner", "company",    "panel",   "japan", "acid",    "incident", "tracking_code",
        "backtrack",  "de12",    "field_4",    "table52", "bit",   "emv_aid", "tag",      "campaign",
        "loyalty_id", "basket",  "pinot_noir", "cashier", "f1",    "2",       ""}) {
    CHECK_MESSAGE(!redact::names_sensitive_data(name), name);
  }
}
