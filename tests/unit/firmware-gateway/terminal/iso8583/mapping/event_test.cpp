#include "firmware-gateway/terminal/iso8583/mapping/event.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/redact/revealed.hpp"
#include "tests/unit/firmware-gateway/terminal/iso8583/mapping/messages.hpp"

using iso8583::NoEvent;
using redact::Field;
using redact::Fields;
using test::answered;
using test::event;
using test::sale;
using test::told;

namespace {

bool is_incomplete(const Fields& fields, Field field) {
  return std::ranges::find(fields.incomplete, redact::name_of(field)) != fields.incomplete.end();
}

std::string attribute(const Fields& fields, const char* name) {
  const auto found = fields.attributes.find(name);
  return found == fields.attributes.end() ? std::string() : found->second;
}

constexpr const char* original_data = "022000471111231109010001234567800000000000";

}  // namespace

TEST_CASE("event: name and city are parted by characters, whatever they take in UTF-8") {
  const auto fields =
      test::event("0220", test::sale({{43, "CAF\u00C9 M\u00DCLLER          \u00D6 ST. P\u00D6LTEN   ATAT"}}));
  CHECK(fields.text(redact::Field::merchant_name) == "CAF\u00C9 M\u00DCLLER          \u00D6");
  CHECK(fields.text(redact::Field::merchant_city) == "ST. P\u00D6LTEN");
}

TEST_CASE("an advice: each field becomes what the event calls it") {
  const Fields fields = event("0220", sale({{2, "4111111111111111"},
                                            {18, "5411"},
                                            {22, "051"},
                                            {25, "00"},
                                            {37, "632711004711"},
                                            {38, "A1B2C3"},
                                            {39, "00"},
                                            {43, "CORNER SHOP 12         VIENNA       VIAT"},
                                            {54, "0044978D000000000150"}}));
  CHECK(fields.text(Field::type) == "sale");
  CHECK(fields.text(Field::terminal_id) == "TERM0001");
  CHECK(fields.text(Field::terminal_ref) == "004711");
  CHECK(fields.text(Field::stan) == "004711");
  CHECK(fields.text(Field::rrn) == "632711004711");
  CHECK(fields.text(Field::auth_code) == "A1B2C3");
  CHECK(fields.text(Field::response_code) == "00");
  CHECK(fields.text(Field::outcome) == "approved");
  CHECK(fields.text(Field::merchant_id) == "MERCHANT0000001");
  CHECK(fields.text(Field::merchant_name) == "CORNER SHOP 12");
  CHECK(fields.text(Field::merchant_city) == "VIENNA");
  CHECK(fields.text(Field::mcc) == "5411");
  CHECK(fields.text(Field::entry_mode) == "chip");
  CHECK(fields.text(Field::currency) == "978");
  CHECK(fields.number(Field::amount_minor) == 1250);
  CHECK(fields.number(Field::tip_minor) == 150);
  CHECK(fields.source == redact::Source::iso8583);
  CHECK(fields.on_conflict == redact::OnConflict::store);
  CHECK(fields.incomplete.empty());
  REQUIRE(fields.written_local.has_value());
  CHECK(fields.written_local->month == 11);
  CHECK(fields.written_local->hour == 12);
  REQUIRE(fields.written_utc.has_value());
  CHECK(fields.written_utc->hour == 11);
  CHECK(attribute(fields, "processing_code") == "000000");
}

TEST_CASE("the type: MTI, processing code and POS condition") {
  const auto type = [](const std::string& mti, const test::FieldValues& changed) {
    return event(mti, sale(changed)).text(Field::type);
  };
  CHECK(type("0200", {}) == "sale");
  CHECK(type("0220", {{3, "090000"}}) == "sale");
  CHECK(type("0220", {{3, "010000"}}) == "cash_advance");
  CHECK(type("0220", {{3, "200000"}}) == "refund");
  CHECK(type("0220", {{3, "020000"}}) == "adjustment");
  CHECK(type("0220", {{3, "220000"}}) == "adjustment");
  CHECK(type("0220", {{25, "06"}}) == "authorization");
  CHECK(type("0100", {}) == "authorization");
  CHECK(type("0120", {}) == "authorization");
  CHECK(type("0220", {{90, "010000471011231109010001234567800000000000"}}) == "completion");
  CHECK(type("0400", {}) == "reversal");
  CHECK(type("0420", {{90, original_data}}) == "reversal");
}

TEST_CASE("what moves nothing makes no event") {
  CHECK(told("0800", {{7, "1123110000"}, {11, "000001"}, {70, "301"}}).error() == NoEvent::not_money);
  CHECK(told("0200", sale({{3, "310000"}})).error() == NoEvent::not_money);
  CHECK(told("0200", sale({{3, "300000"}})).error() == NoEvent::not_money);
  CHECK(told("0100", sale({{4, "000000000000"}})).error() == NoEvent::not_money);
  CHECK(told("0230", sale({{39, "00"}})).error() == NoEvent::not_money);
  CHECK(told("0510", {{7, "1123110000"}, {11, "000001"}, {41, "TERM0001"}}).error() == NoEvent::not_money);
  CHECK(told("0500", {{7, "1123110000"}, {11, "000001"}}).error() == NoEvent::unidentified);
  CHECK(told("0220", sale({{41, ""}})).error() == NoEvent::unidentified);
  CHECK(told("0220", sale({{41, "        "}})).error() == NoEvent::unidentified);
  CHECK(told("0220", sale({{11, ""}})).error() == NoEvent::unidentified);
}

TEST_CASE("an administrative advice is the terminal's status") {
  const Fields fields = event("0620", {{7, "1123110901"}, {11, "000009"}, {41, "TERM0001"}});
  CHECK(fields.text(Field::type) == "terminal_status");
  CHECK(fields.text(Field::terminal_ref) == "000009");
  CHECK(fields.text(Field::outcome).empty());
}

TEST_CASE("a code that nobody knows has happened, and moves no takings") {
  const Fields fields = event("0220", sale({{3, "870000"}}));
  CHECK(fields.text(Field::type) == "sale");
  CHECK(fields.text(Field::outcome) == "unknown");
  CHECK(is_incomplete(fields, Field::type));
  CHECK(attribute(fields, "processing_code") == "870000");
}

TEST_CASE("a request and its answer: the answer decides") {
  const test::FieldValues request = sale();
  const auto answer = [](const std::string& code) {
    return test::FieldValues{{4, "000000001250"}, {11, "004711"}, {37, "632711004711"},
                             {38, "A1B2C3"},      {39, code},     {41, "TERM0001"}};
  };
  const Fields approved = answered("0200", request, "0210", answer("00"));
  CHECK(approved.text(Field::outcome) == "approved");
  CHECK(approved.text(Field::rrn) == "632711004711");
  CHECK(approved.text(Field::auth_code) == "A1B2C3");
  CHECK(answered("0200", request, "0210", answer("51")).text(Field::outcome) == "declined");
  CHECK(answered("0200", request, "0210", answer("91")).text(Field::outcome) == "failed");
  CHECK(event("0200", request).text(Field::outcome) == "unknown");
}

TEST_CASE("a partial approval: the amount is the answer's") {
  const Fields fields =
      answered("0200", sale(), "0210", {{4, "000000000800"}, {11, "004711"}, {39, "10"}, {41, "TERM0001"}});
  CHECK(fields.text(Field::outcome) == "partial");
  CHECK(fields.number(Field::amount_minor) == 800);
  CHECK(fields.number(Field::requested_minor) == 1250);
  const Fields unsaid = answered("0200", sale(), "0210", {{11, "004711"}, {39, "10"}, {41, "TERM0001"}});
  CHECK_FALSE(unsaid.number(Field::amount_minor).has_value());
  CHECK(unsaid.number(Field::requested_minor) == 1250);
  CHECK(is_incomplete(unsaid, Field::amount_minor));
  // An advice tells what it came to itself.
  const Fields told_by_advice = event("0220", sale({{39, "10"}}));
  CHECK(told_by_advice.text(Field::outcome) == "partial");
  CHECK(told_by_advice.number(Field::amount_minor) == 1250);
  CHECK_FALSE(told_by_advice.number(Field::requested_minor).has_value());
}

TEST_CASE("an advice that the host would not take has happened all the same") {
  const Fields fields = answered("0220", sale({{39, "Y1"}}), "0230", {{11, "004711"}, {39, "96"}, {41, "TERM0001"}});
  CHECK(fields.text(Field::outcome) == "approved");
  CHECK(fields.text(Field::authorized_by) == "offline");
  CHECK(attribute(fields, "host_response") == "96");
}

TEST_CASE("a reversal: its original by field 90, its reason by field 39, and what it takes back") {
  const Fields whole = event("0420", sale({{11, "004712"}, {37, "632711004711"}, {39, "68"}, {90, original_data}}));
  CHECK(whole.text(Field::type) == "reversal");
  CHECK(whole.text(Field::original_type) == "sale");
  CHECK(whole.text(Field::original_ref) == "004711");
  CHECK(whole.text(Field::reason) == "timeout");
  CHECK(whole.text(Field::outcome) == "approved");
  CHECK(whole.number(Field::amount_minor) == 1250);
  REQUIRE(whole.original.has_value());
  CHECK(whole.original->mti == "0220");
  CHECK(whole.original->time == "1123110901");
  CHECK(whole.original->rrn == "632711004711");
  CHECK_FALSE(whole.original->is_this);

  const Fields partial =
      event("0420", sale({{11, "004712"}, {90, original_data}, {95, "000000000500000000000000C00000000C00000000"}}));
  CHECK(partial.number(Field::amount_minor) == 750);
  const Fields absurd =
      event("0420", sale({{11, "004712"}, {90, original_data}, {95, "000000009900000000000000C00000000C00000000"}}));
  CHECK(absurd.number(Field::amount_minor) == 1250);
  CHECK(is_incomplete(absurd, Field::amount_minor));
}

TEST_CASE("a reversal of an authorization takes nothing back that a sale had brought") {
  const Fields fields = event("0400", sale({{90, "010000471011231109010001234567800000000000"}}));
  CHECK(fields.text(Field::original_type) == "authorization");
}

TEST_CASE("identity: a repeat has its first one's, whatever its MTI's origin and transmission time") {
  const auto identity = [](const std::string& mti, const test::FieldValues& fields) {
    const Fields read = event(mti, fields);
    return read.text(Field::terminal_ref) + " / " + attribute(read, redact::message_ref);
  };
  const std::string first = identity("0220", sale({{37, "632711004711"}, {32, "12345678901"}}));
  CHECK(first == "004711 / 022 time 1123120901 rrn 632711004711 acquirer 12345678901 merchant MERCHANT0000001");
  CHECK(identity("0221", sale({{37, "632711004711"}, {32, "12345678901"}, {7, "1123111500"}})) == first);
  // Each of these is another transaction.
  for (const test::FieldValues& other : {test::FieldValues{{11, "004712"}},
                                         {{12, "120902"}},
                                         {{13, "1124"}},
                                         {{37, "632711004712"}},
                                         {{32, "12345678902"}},
                                         {{42, "MERCHANT0000002"}}}) {
    test::FieldValues fields = sale({{37, "632711004711"}, {32, "12345678901"}});
    for (const auto& [number, value] : other) fields[number] = value;
    CHECK(identity("0220", fields) != first);
  }
  CHECK(identity("0200", sale({{37, "632711004711"}, {32, "12345678901"}})) != first);
}

TEST_CASE("identity: a reversal's is what it reverses, as its repeat may have a STAN of its own") {
  const auto identity = [](const std::string& mti, const test::FieldValues& fields) {
    const Fields read = event(mti, fields);
    return read.text(Field::terminal_ref) + " / " + attribute(read, redact::message_ref);
  };
  CHECK(identity("0400", sale({{11, "100331"}, {90, original_data}})) ==
        identity("0401", sale({{11, "200331"}, {12, "120999"}, {90, original_data}})));
  CHECK(identity("0400", sale({{11, "100331"}, {90, original_data}})) !=
        identity("0400", sale({{11, "100331"}, {90, "022000471211231109010001234567800000000000"}})));
  // Filler names nothing: the RRN does.
  const std::string filler(42, '0');
  CHECK(identity("0400", sale({{11, "100331"}, {37, "600020000000"}, {90, filler}})) ==
        identity("0401", sale({{11, "200331"}, {12, "000512"}, {37, "600020000000"}, {90, filler}})));
}

TEST_CASE("a batch upload brings its original again, by field 60") {
  const Fields fields = event("0320", sale({{11, "000123"}, {37, "110718000118"}, {60, "0200000118110718000118"}}));
  CHECK(fields.text(Field::type) == "sale");
  CHECK(fields.text(Field::terminal_ref) == "000118");
  CHECK(fields.text(Field::stan) == "000123");
  CHECK(attribute(fields, redact::message_ref).starts_with("020 "));
  REQUIRE(fields.original.has_value());
  CHECK(fields.original->is_this);
  CHECK(fields.original->rrn == "110718000118");
  CHECK(fields.text(Field::original_ref).empty());
}

TEST_CASE("what cannot be read is named, and the rest is kept") {
  const Fields no_amount = event("0220", sale({{4, ""}}));
  CHECK_FALSE(no_amount.number(Field::amount_minor).has_value());
  CHECK(is_incomplete(no_amount, Field::amount_minor));
  const Fields no_time = event("0220", sale({{7, ""}, {12, ""}, {13, ""}}));
  CHECK(is_incomplete(no_time, Field::occurred_at));
  // A day that there is in no year leaves the time, and says so where no other date is.
  for (const char* none : {"0431", "0230", "2026", "0000"}) {
    CAPTURE(none);
    const auto local = event("0220", sale({{7, ""}, {13, none}}));
    CHECK(is_incomplete(local, Field::occurred_at));
    REQUIRE(local.written_local);
    CHECK(local.written_local->month == 0);
    CHECK_FALSE(is_incomplete(event("0220", sale({{13, none}})), Field::occurred_at));
  }
  CHECK_FALSE(is_incomplete(event("0220", sale({{7, ""}, {13, ""}})), Field::occurred_at));
  CHECK_FALSE(is_incomplete(event("0220", sale({{7, ""}, {13, "0229"}})), Field::occurred_at));
  const Fields bad_date = event("0220", sale({{13, "2022"}}));
  REQUIRE(bad_date.written_local.has_value());
  CHECK(bad_date.written_local->month == 0);
}

TEST_CASE("times of 1993 have a year; originals are named by field 56") {
  const test::FieldValues fields{{3, "000000"},
                                 {4, "000000001250"},
                                 {7, "1123110901"},
                                 {11, "004712"},
                                 {12, "261123120930"},
                                 {24, "400"},
                                 {25, "4021"},
                                 {41, "TERM0001"},
                                 {42, "MERCHANT0000001"},
                                 {49, "978"},
                                 {56, "122000471126112312090104123456"}};
  const Fields read = event("1420", fields, "iso93-ascii");
  REQUIRE(read.written_local.has_value());
  CHECK(read.written_local->year_of_century == 26);
  CHECK(read.text(Field::reason) == "timeout");
  REQUIRE(read.original.has_value());
  CHECK(read.original->mti == "1220");
  CHECK(read.original->stan == "004711");
  CHECK(read.original->time == "1123120901");
}

TEST_CASE("the card: by number, else by track 2, else by EMV data; a PIN block says how it was verified") {
  const auto card = [](const test::FieldValues& changed) {
    auto draft = told("0220", sale(changed));
    REQUIRE(draft.has_value());
    return std::string(draft->card_number.view());
  };
  CHECK(card({{2, "4111111111111111"}}) == "4111111111111111");
  CHECK(card({{35, "5555555555554444=29121010000000000000"}}) == "5555555555554444");
  CHECK(card({{55, "57115555555555554444D29121010000000000F0"}}) == "5555555555554444");
  CHECK(card({}).empty());
  CHECK(event("0200", sale({{52, "0123456789ABCDEF"}})).text(Field::cvm) == "pin");
}

TEST_CASE("EMV data: what may be kept becomes fields and attributes") {
  const Fields fields = event("0220", sale({{55,
                                             "8407A00000000310105008564953412044454295050080008000"
                                             "9B02E8009F2701809F34031E0300"
                                             "9F2608112233445566778857114111111111111111D29121010000000000"}}));
  CHECK(fields.text(Field::emv_aid) == "A0000000031010");
  CHECK(attribute(fields, "emv_label") == "VISA DEB");
  CHECK(attribute(fields, "emv_tvr") == "0080008000");
  CHECK(attribute(fields, "emv_tsi") == "E800");
  CHECK(attribute(fields, "emv_cid") == "80");
  CHECK(fields.text(Field::cvm) == "signature");
  for (const auto& [name, value] : fields.attributes) CHECK(value.find("1122334455667788") == std::string::npos);
}
