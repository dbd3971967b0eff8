#include "firmware-gateway/terminal/iso8583/mapping/totals.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/firmware-gateway/terminal/iso8583/mapping/messages.hpp"

using redact::Field;
using redact::Fields;
using test::event;
using test::FieldValues;

namespace {

// What identifies a settlement; `more` is what it says.
FieldValues settlement(const FieldValues& more) {
  FieldValues fields{{3, "920000"},    {7, "1123220000"},       {11, "004800"},
                     {41, "TERM0001"}, {42, "MERCHANT0000001"}, {50, "978"}};
  for (const auto& [number, value] : more) fields[number] = value;
  return fields;
}

bool is_incomplete(const Fields& fields, std::string_view name) {
  return std::ranges::find(fields.incomplete, name) != fields.incomplete.end();
}

Fields of_vector(const std::string& name) {
  for (const test::IsoVector& vector : test::iso_vectors()) {
    if (vector.name != name) continue;
    const iso8583::Dialect dialect = test::dialect_of(vector);
    const auto message = iso8583::decode(vector.body, dialect);
    REQUIRE(message.has_value());
    const auto draft = iso8583::to_draft(*message, *iso8583::read_mti(message->mti()), dialect, {});
    REQUIRE(draft.has_value());
    return draft->fields;
  }
  FAIL("no such vector");
  return {};
}

}  // namespace

TEST_CASE("totals: counts and amounts in fields 74 to 89, debits being sales") {
  const Fields fields = event("0500", settlement({{74, "0000000003"},
                                                  {75, "0000000001"},
                                                  {76, "0000000127"},
                                                  {77, "0000000002"},
                                                  {86, "0000000000004500"},
                                                  {87, "0000000000000700"},
                                                  {88, "0000000000345678"},
                                                  {89, "0000000000001250"}}));
  CHECK(fields.text(Field::type) == "batch_total");
  CHECK(fields.text(Field::terminal_id) == "TERM0001");
  CHECK(fields.text(Field::terminal_ref) == "004800");
  CHECK(fields.text(Field::merchant_id) == "MERCHANT0000001");
  CHECK(fields.text(Field::currency) == "978");
  CHECK(fields.number(Field::sales_count) == 127);
  CHECK(fields.number(Field::sales_minor) == 345'678);
  CHECK(fields.number(Field::refunds_count) == 3);
  CHECK(fields.number(Field::refunds_minor) == 4500);
  CHECK(fields.number(Field::reversals_count) == 2);
  CHECK(fields.number(Field::reversals_minor) == 1250);
  CHECK(fields.number(Field::refund_reversals_count) == 1);
  CHECK(fields.number(Field::refund_reversals_minor) == 700);
  CHECK(fields.incomplete.empty());
  CHECK(fields.on_conflict == redact::OnConflict::store);
  CHECK(fields.source == redact::Source::iso8583);
  REQUIRE(fields.settlement.has_value());
  CHECK(fields.settlement->readable);
  CHECK_FALSE(fields.settlement->after_upload);
  CHECK_FALSE(fields.settlement->may_ask_upload);
  CHECK_FALSE(fields.settlement->closed_elsewhere.has_value());
  CHECK(fields.attributes.at("message_ref") == "050 time 1123220000 merchant MERCHANT0000001 code 920000");
}

TEST_CASE("totals: those of the collection's messages, in each encoding") {
  for (const auto* name : {"jposgen-0520-ascii", "jposgen-0520-bcd", "jposgen-0500-asciibb"}) {
    CAPTURE(name);
    const Fields fields = of_vector(name);
    CHECK(fields.number(Field::sales_count) == 127);
    CHECK(fields.number(Field::sales_minor) == 345'678);
    CHECK(fields.number(Field::refunds_count) == 3);
    CHECK(fields.number(Field::refunds_minor) == 4500);
    CHECK(fields.number(Field::reversals_count) == 2);
    CHECK(fields.number(Field::reversals_minor) == 1250);
  }
  const Fields fields = of_vector("hpdh-req-final_settlement");
  CHECK(fields.number(Field::sales_count) == 1);
  CHECK(fields.number(Field::sales_minor) == 50'000);
  CHECK_FALSE(fields.number(Field::refunds_count).has_value());
  CHECK(fields.text(Field::batch_no) == "000001");
  CHECK(fields.settlement->after_upload);
  CHECK(fields.settlement->readable);
  CHECK(is_incomplete(fields, "occurred_at"));
}

TEST_CASE("totals: a net counts where there are no amounts") {
  const auto net = [](const FieldValues& more) { return event("0520", settlement(more)).settlement->net_minor; };
  CHECK(net({{97, "D0000000000345678"}}) == 345'678);
  CHECK(net({{97, "C0000000000000400"}}) == -400);
  CHECK_FALSE(net({{88, "0000000000345678"}, {97, "D0000000000345678"}}).has_value());
  CHECK(net({{76, "0000000127"}, {97, "D0000000000345678"}}) == 345'678);
}

TEST_CASE("totals: pairs of count and amount, as many as the message has") {
  iso8583::Dialect dialect = test::dialect();
  dialect.totals = {.field = 63,
                    .pairs = {iso8583::TotalOf::sales, iso8583::TotalOf::nothing, iso8583::TotalOf::refunds,
                              iso8583::TotalOf::reversals, iso8583::TotalOf::refund_reversals}};
  const auto read = [&](const std::string& pairs) {
    const auto request = test::message("0500", settlement({{63, pairs}}));
    return iso8583::totals_of(request, *iso8583::read_mti("0500"), dialect, {}).fields;
  };
  const std::string two = "002000000003000009000000000900";
  Fields fields = read(two);
  CHECK(fields.number(Field::sales_count) == 2);
  CHECK(fields.number(Field::sales_minor) == 3000);
  CHECK_FALSE(fields.number(Field::refunds_count).has_value());
  fields = read(two + "001000000000500003000000000700004000000000800999999999999999");
  CHECK(fields.number(Field::refunds_count) == 1);
  CHECK(fields.number(Field::refunds_minor) == 500);
  CHECK(fields.number(Field::reversals_count) == 3);
  CHECK(fields.number(Field::reversals_minor) == 700);
  CHECK(fields.number(Field::refund_reversals_count) == 4);
  CHECK(fields.number(Field::refund_reversals_minor) == 800);
  CHECK(fields.settlement->readable);
  // Of another length, or no digits.
  fields = read(two.substr(0, 29));
  CHECK_FALSE(fields.settlement->readable);
  CHECK(is_incomplete(fields, "totals"));
  fields = read("00x000000003000");
  CHECK_FALSE(fields.settlement->readable);
  CHECK(is_incomplete(fields, "sales_count"));
  CHECK(fields.number(Field::sales_minor) == 3000);
}

TEST_CASE("totals: without any they are named as unread") {
  const Fields fields = event("0500", settlement({}));
  CHECK(is_incomplete(fields, "totals"));
  CHECK_FALSE(fields.settlement->readable);
}

TEST_CASE("totals: a repeat has the same key, another code or batch another one") {
  const FieldValues sums{{76, "0000000001"}, {88, "0000000000000100"}};
  const auto key = [&](const std::string& mti, const FieldValues& more) {
    FieldValues fields = settlement(sums);
    for (const auto& [number, value] : more) fields[number] = value;
    const Fields read = event(mti, fields);
    return read.attributes.at("message_ref") + "/" + read.text(Field::batch_no);
  };
  CHECK(key("0521", {}) == key("0520", {}));
  CHECK(key("0501", {}) == key("0500", {}));
  CHECK(key("0500", {{3, "960000"}}) != key("0500", {}));
  CHECK(key("0500", {{60, "000002"}}) != key("0500", {{60, "000001"}}));
}

TEST_CASE("totals: what another host answered says whether the batch is closed") {
  const auto closed = [](const std::string& code) {
    const auto request = test::message("0500", settlement({{76, "0000000001"}}));
    const auto answer = test::message("0510", {{11, "004800"}, {39, code}});
    return iso8583::totals_of(request, *iso8583::read_mti("0500"), test::dialect(), {.answer = &answer}).fields;
  };
  CHECK(closed("00").settlement->closed_elsewhere == true);
  CHECK(closed("95").settlement->closed_elsewhere == false);
  CHECK(closed("95").attributes.at("host_response") == "95");
  CHECK(closed("96").settlement->closed_elsewhere == false);
  CHECK(closed("00").text(Field::outcome) == "approved");
  CHECK(closed("95").text(Field::outcome) == "declined");
  const auto request = test::message("0500", settlement({{76, "0000000001"}}));
  const auto missed =
      iso8583::totals_of(request, *iso8583::read_mti("0500"), test::dialect(), {.timed_out = true}).fields;
  CHECK(missed.settlement->closed_elsewhere == false);
  CHECK(missed.text(Field::outcome) == "unknown");
}
