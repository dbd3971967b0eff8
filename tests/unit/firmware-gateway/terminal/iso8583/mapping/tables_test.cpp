#include "firmware-gateway/terminal/iso8583/mapping/tables.hpp"

#include <doctest/doctest.h>

#include "firmware-gateway/terminal/iso8583/mapping/mti.hpp"

using namespace iso8583;

TEST_CASE("mti: the response has the next function, and the origin of a repeat drops back") {
  const auto response = [](std::string_view mti) { return response_mti(*read_mti(mti)); };
  CHECK(response("0100") == "0110");
  CHECK(response("0120") == "0130");
  CHECK(response("0121") == "0130");
  CHECK(response("0220") == "0230");
  CHECK(response("0221") == "0230");
  CHECK(response("0223") == "0232");
  CHECK(response("0240") == "0250");
  CHECK(response("0320") == "0330");
  CHECK(response("0400") == "0410");
  CHECK(response("0401") == "0410");
  CHECK(response("0420") == "0430");
  CHECK(response("0421") == "0430");
  CHECK(response("0500") == "0510");
  CHECK(response("0521") == "0530");
  CHECK(response("0620") == "0630");
  CHECK(response("0800") == "0810");
  CHECK(response("0820") == "0830");
  CHECK(response("1220") == "1230");
  CHECK(response("1421") == "1430");
}

TEST_CASE("mti: what is reserved or no number is none") {
  for (const auto* mti : {"", "020", "02000", "02A0", "0000", "0900", "0280", "0290"}) {
    CAPTURE(mti);
    CHECK_FALSE(read_mti(mti));
  }
  CHECK(read_mti("0401")->is_repeat());
  CHECK_FALSE(read_mti("0400")->is_repeat());
  CHECK(read_mti("0410")->is_response());
  CHECK_FALSE(read_mti("0420")->is_response());
}

TEST_CASE("processing codes: whole codes first, then what their first digit means") {
  CHECK(purpose_of("000000") == Purpose::sale);
  CHECK(purpose_of("003000") == Purpose::sale);
  CHECK(purpose_of("010000") == Purpose::cash_advance);
  CHECK(purpose_of("020000") == Purpose::debit_adjustment);
  CHECK(purpose_of("090000") == Purpose::sale);
  CHECK(purpose_of("180000") == Purpose::sale);
  CHECK(purpose_of("200000") == Purpose::refund);
  CHECK(purpose_of("220000") == Purpose::credit_adjustment);
  CHECK(purpose_of("300000") == Purpose::inquiry);
  CHECK(purpose_of("310000") == Purpose::inquiry);
  CHECK(purpose_of("400000") == Purpose::transfer);
  CHECK(purpose_of("920000") == Purpose::unknown);
  CHECK(purpose_of("") == Purpose::unknown);
}

TEST_CASE("response codes: what they decide") {
  for (const auto* code : {"00", "08", "11", "16", "85", "Y1", "Y3", "000", "001", "003", "400", "900"}) {
    CAPTURE(code);
    CHECK(decision_of(code).outcome == "approved");
  }
  for (const auto* code : {"01", "05", "14", "51", "54", "55", "Z1", "Z3", "100", "116", "200"}) {
    CAPTURE(code);
    CHECK(decision_of(code).outcome == "declined");
  }
  CHECK(decision_of("10").outcome == "partial");
  CHECK(decision_of("002").outcome == "partial");
  for (const auto* code : {"91", "96", "68", "907", "909"}) {
    CAPTURE(code);
    CHECK(decision_of(code).outcome == "failed");
  }
  for (const auto* code : {"Y1", "Y3", "Z1", "Z3"}) CHECK(decision_of(code).authorized_by == "offline");
  CHECK(decision_of("00").authorized_by.empty());
  CHECK(decision_of("").outcome.empty());
}

TEST_CASE("entry modes: field 22 of either year, widened or not") {
  CHECK(entry_mode_of("051") == "chip");
  CHECK(entry_mode_of("0051") == "chip");
  CHECK(entry_mode_of("071") == "contactless");
  CHECK(entry_mode_of("011") == "manual");
  CHECK(entry_mode_of("021") == "stripe");
  CHECK(entry_mode_of("901") == "stripe");
  CHECK(entry_mode_of("911") == "contactless");
  CHECK(entry_mode_of("801") == "fallback");
  CHECK(entry_mode_of("000").empty());
  CHECK(entry_mode_of("21010121314C") == "stripe");
  CHECK(entry_mode_of("061001154000") == "manual");
  CHECK(entry_mode_of("").empty());
}

TEST_CASE("cardholder verification: by EMV's method, whatever is to follow a failure") {
  CHECK(cvm_of("420300") == "pin");
  CHECK(cvm_of("020300") == "pin");
  CHECK(cvm_of("410302") == "pin");
  CHECK(cvm_of("5E0300") == "signature");
  CHECK(cvm_of("1F0302") == "none");
  CHECK(cvm_of("3F0000").empty());
  CHECK(cvm_of("").empty());
}
