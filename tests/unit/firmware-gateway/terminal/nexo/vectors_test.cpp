// Every vector, over the whole way: what the record says, what is answered, and that a repeat is one.
#include <doctest/doctest.h>

#include "tests/unit/firmware-gateway/terminal/nexo/nexo_door.hpp"

using nexo_test::Door;
using nexo_test::incomplete;
using nexo_test::Names;
using nexo_test::vector_text;
using tillstream::v1::Event;

namespace {

using Attributes = std::map<std::string, std::string>;

Event stored(const std::string& name) { return Door().store(vector_text(name)); }

Attributes attributes(const Event& event) { return {event.attributes().begin(), event.attributes().end()}; }

void check_money(const Event& event, std::int64_t amount, const std::string& currency, std::uint32_t exponent,
                 std::int64_t effect) {
  CHECK(event.amount_minor() == amount);
  CHECK(event.currency() == currency);
  CHECK(event.currency_exponent() == exponent);
  CHECK(event.effect_minor() == effect);
  CHECK(incomplete(event).empty());
}

}  // namespace

TEST_CASE("vector: a contactless sale") {
  const Event event = stored("payment_response_success_contactless");
  CHECK(event.type() == "sale");
  CHECK(event.source() == "nexo");
  CHECK(event.terminal_id() == "V400m-346403161");
  CHECK(event.terminal_ref() == "BV0q001669201741000.LWK58Z8RZ5GNG5W2");
  CHECK(event.till_id() == "POS-017");
  CHECK(event.batch_no() == "1000");
  CHECK(event.occurred_at_ms() == 1795432141000);
  CHECK(event.outcome() == "approved");
  CHECK(event.authorized_by() == "online");
  check_money(event, 1250, "EUR", 2, 1250);
  CHECK(event.card_last4() == "1111");
  CHECK(event.card_brand() == "visa");
  CHECK(event.card_token().empty());
  CHECK(event.entry_mode() == "contactless");
  CHECK(event.emv_aid() == "A0000000031010");
  CHECK(event.auth_code() == "123456");
  CHECK(event.rrn() == "LWK58Z8RZ5GNG5W2");
  CHECK(event.merchant_id() == "CornerShopVienna");
  CHECK(event.schema_version() == 1);
  CHECK(attributes(event) == Attributes{{"message_ref", "0000004711"},
                                        {"sale_transaction_id", "8377"},
                                        {"psp_reference", "LWK58Z8RZ5GNG5W2"},
                                        {"acquirer_terminal_id", "46403161"},
                                        {"card_country", "826"}});
}

TEST_CASE("vector: no decimals, and AdditionalResponse in base64") {
  const Event event = stored("payment_response_success_additionalresponse_base64");
  check_money(event, 1000, "JPY", 0, 1000);
  CHECK(event.card_last4() == "4444");
  CHECK(event.card_brand() == "mastercard");
  CHECK(event.entry_mode() == "chip");
  CHECK(event.auth_code() == "123456");
  CHECK(event.attributes().at("store") == "Vienna-01");
  CHECK(event.attributes().at("psp_reference") == "QX2R7D4C9K5LNG65");
}

TEST_CASE("vector: three decimals") {
  check_money(stored("payment_response_three_decimal_currency"), 1255, "KWD", 3, 1255);
}

TEST_CASE("vector: tip and cash-back are inside the amount") {
  const Event event = stored("payment_response_tip_cashback");
  check_money(event, 5700, "EUR", 2, 5700);
  CHECK(event.tip_minor() == 200);
  CHECK(event.cashback_minor() == 500);
}

TEST_CASE("vector: a refused sale") {
  const Event event = stored("payment_response_refused");
  CHECK(event.type() == "sale");
  CHECK(event.outcome() == "declined");
  CHECK(event.response_code() == "Refusal");
  CHECK(event.attributes().at("refusal_reason") == "101 Invalid card number");
  check_money(event, 0, "EUR", 2, 0);
}

TEST_CASE("vector: a refund") {
  const Event event = stored("refund_response_success");
  CHECK(event.type() == "refund");
  check_money(event, 1250, "EUR", 2, -1250);
}

TEST_CASE("vector: a partial reversal, after its sale and without it") {
  Door door;
  const Event sale = door.store(vector_text("payment_response_success_contactless"));
  const Event event = door.store(vector_text("reversal_response_success"));
  CHECK(event.type() == "reversal");
  CHECK(event.terminal_ref() == "Reversal/BV0q001669201741008.R3V3R5E1X2GNG5V2");
  CHECK(event.original_ref() == sale.terminal_ref());
  CHECK(event.original_event_id() == sale.event_id());
  CHECK(event.original_terminal_id().empty());
  check_money(event, 500, "EUR", 2, -500);
  check_money(stored("reversal_response_success"), 500, "EUR", 2, -500);
}

TEST_CASE("vector: totals, one event for the currency, the brands added up") {
  for (const auto& [name, ref] : std::vector<std::pair<std::string, std::string>>{
           {"reconciliation_response", "Reconciliation/1007/0000004722/EUR"},
           {"get_totals_response", "GetTotals/1007/0000004723/EUR"}}) {
    const Event event = stored(name);
    CHECK(event.type() == "batch_total");
    CHECK(event.terminal_ref() == ref);
    CHECK(event.batch_no() == "1007");
    CHECK(event.currency() == "EUR");
    CHECK(event.sales_count() == 59);
    CHECK(event.sales_minor() == 164456);
    CHECK(event.refunds_count() == 1);
    CHECK(event.refunds_minor() == 1250);
    CHECK(event.reversals_count() == 2);
    CHECK(event.reversals_minor() == 3000);
    CHECK_FALSE(event.has_refund_reversals_count());
    CHECK(event.declined_count() == 3);
    CHECK_FALSE(event.has_amount_minor());
    CHECK(event.outcome() == "approved");
    CHECK(event.schema_version() == 2);
    CHECK(incomplete(event).empty());
    // The protocol has no time for them.
    CHECK(event.occurred_at_ms() == event.received_at_ms());
  }
}

TEST_CASE("vector: notifications") {
  Door door;
  const Event lost = door.store(vector_text("event_notification_network_disconnected"));
  CHECK(lost.type() == "terminal_status");
  CHECK(lost.terminal_ref() == "Event/NetworkDisconnected/2026-11-23T10:16:10.000Z/1517998561");
  CHECK(attributes(lost) == Attributes{{"event", "NetworkDisconnected"},
                                       {"detail_oldstate", "CONNECTED"},
                                       {"detail_newstate", "DISCONNECTED"}});
  const Event reject = door.store(vector_text("event_notification_reject"));
  CHECK(attributes(reject) == Attributes{{"event", "Reject"},
                                         {"message_ref", "0000004721"},
                                         {"detail_message", "Did not receive a response from the POI."}});
  const auto again = door.send(vector_text("event_notification_reject"));
  CHECK(again.status == 200);
  CHECK(again.body == "[accepted]");
  CHECK(again.content_type == "text/plain; charset=utf-8");
  CHECK(door.rows() == 2);
}

TEST_CASE("vector: of the hostile one the sale is kept, and nothing of the card but its last four and its token") {
  Door door;
  const auto answer = door.send(vector_text("payment_response_HOSTILE_clear_pan"));
  REQUIRE(answer.status == 200);
  const Event event = door.intake.last();
  CHECK(event.amount_minor() == 1250);
  CHECK(event.card_last4() == "1111");
  CHECK(event.card_brand() == "visa");
  CHECK(event.card_token().size() == 26);
  CHECK(incomplete(event).empty());
  const std::string everything = event.SerializeAsString() + answer.body;
  for (const char* part : {"4111111111111111", "4111-1111", "411111", "30032010000", "0330", "Kunde", "note"}) {
    CAPTURE(part);
    CHECK(everything.find(part) == std::string::npos);
  }
}

TEST_CASE("vector: a clear number is taken only over a line that may carry it") {
  Door door(redact::AcceptCardNumbers::loopback);
  const std::string hostile = vector_text("payment_response_HOSTILE_clear_pan");
  const auto refused = door.send(hostile, {.tls = false, .peer_is_loopback = false});
  CHECK(refused.status == 403);
  CHECK(refused.body.find("card_number_refused") != std::string::npos);
  CHECK(door.rows() == 0);
  CHECK(door.send(vector_text("payment_response_success_contactless"), {}).status == 200);
  CHECK(door.send(hostile, {.tls = true, .peer_is_loopback = false}).status == 200);
}

TEST_CASE("vector: each is one event however often it comes, and all of them are different events") {
  Door door;
  std::size_t events = 0;
  for (const std::string& name : nexo_test::vector_names) {
    CAPTURE(name);
    const std::string text = vector_text(name);
    CHECK(door.send(text).status == 200);
    CHECK(door.rows() == ++events);
    door.intake.moment.utc += std::chrono::seconds(30);
    const auto again = door.send(text);
    CHECK(again.status == 200);
    if (again.body != "[accepted]") CHECK(again.body.find(R"("duplicate":true)") != std::string::npos);
    CHECK(door.rows() == events);
  }
  CHECK(door.intake.machine.counts().conflicts_stored == 0);
}
