// What is read, what is refused with its place, and what is not for us.
#include "firmware-gateway/terminal/nexo/message.hpp"

#include <doctest/doctest.h>

#include "tests/unit/firmware-gateway/terminal/nexo/nexo_door.hpp"

using nexo_test::Door;
using nexo_test::incomplete;
using nexo_test::Names;
using nexo_test::vector_text;
using nexo_test::with;
using tillstream::v1::Event;

namespace {

std::string contactless() { return vector_text("payment_response_success_contactless"); }

std::string refused(const std::string& text, unsigned status = 400) {
  Door door;
  const auto answer = door.send(text);
  CHECK(answer.status == status);
  CHECK(answer.refused.has_value());
  CHECK(door.rows() == 0);
  return answer.body;
}

bool says(const std::string& body, std::string_view words) { return body.find(words) != std::string::npos; }

std::string message(const std::string& header, const std::string& body,
                    const std::string& envelope = "SaleToPOIResponse") {
  return R"({")" + envelope + R"(":{"MessageHeader":{)" + header + R"(,"SaleID":"S","POIID":"P"},)" + body + "}}";
}

std::string amount(const std::string& literal) { return with(contactless(), "12.5,", literal + ","); }

}  // namespace

TEST_CASE("message: what is no message is refused with the place") {
  CHECK(says(refused("{"), "is no JSON at byte"));
  CHECK(says(refused("[]"), "SaleToPOIResponse"));
  CHECK(says(refused("{}"), "must hold one of the objects SaleToPOIResponse and SaleToPOIRequest"));
  CHECK(says(refused(R"({"SaleToPOIResponse":1})"), "must hold one of"));
  CHECK(says(refused(R"({"SaleToPOIResponse":{},"SaleToPOIRequest":{}})"), "must hold one of"));
  CHECK(says(refused(R"({"SaleToPOIResponse":{}})"), "SaleToPOIResponse.MessageHeader is required"));
  CHECK(says(refused(with(contactless(), R"("POIID")", R"("POI")")),
             "SaleToPOIResponse.MessageHeader.POIID is required"));
  CHECK(says(refused(with(contactless(), "\"PaymentResponse\": {", "\"PaymentAnswer\": {")),
             "SaleToPOIResponse.PaymentResponse is required"));
  CHECK(says(refused(message(R"("MessageCategory":"Payment","MessageType":"Response")", R"("PaymentResponse":[])")),
             "SaleToPOIResponse.PaymentResponse is required"));
  CHECK(says(refused(message(R"("MessageCategory":"Payment")", R"("PaymentResponse":{})")), "terminal_ref"));
  CHECK(says(refused(std::string(terminal::nexo_bytes_max + 1, ' '), 413), "at most 262144 bytes"));
}

TEST_CASE("message: what is not for us is answered politely, and nothing is stored") {
  Door door;
  for (const char* category :
       {"Payment", "Display", "Input", "Abort", "Login", "Diagnosis", "TransactionStatus", "Nonsense"}) {
    const auto answer =
        door.send(message(R"("MessageType":"Request","MessageCategory":")" + std::string(category) + "\"",
                          "\"" + std::string(category) + R"(Request":{"PAN":"4111111111111111"})", "SaleToPOIRequest"));
    CHECK(answer.status == 200);
    CHECK_FALSE(answer.refused.has_value());
    CHECK(says(answer.body, R"({"answer":"[accepted]","events":[],"note":"not for this gateway)"));
  }
  CHECK(
      door.send(message(R"("MessageType":"Response","MessageCategory":"Display")", R"("DisplayResponse":{})")).status ==
      200);
  CHECK(door.rows() == 0);
}

TEST_CASE("message: the words of nexo, as events have them") {
  const auto type = [](const std::string& payment_type) {
    return Door().store(with(contactless(), R"("PaymentType": "Normal")", R"("PaymentType": ")" + payment_type + "\""));
  };
  CHECK(type("CashAdvance").type() == "cash_advance");
  CHECK(type("Completion").type() == "completion");
  CHECK(type("FirstReservation").type() == "authorization");
  CHECK(type("FirstReservation").effect_minor() == 0);
  CHECK(type("FirstReservation").attributes().at("payment_type") == "FirstReservation");
  CHECK(type("Instalment").type() == "sale");
  CHECK(type("Refund").attributes().count("payment_type") == 0);
  const Event unknown = type("Barter");
  CHECK(unknown.type() == "sale");
  CHECK(incomplete(unknown) == Names{"type"});
  CHECK(unknown.attributes().at("payment_type") == "Barter");

  const auto outcome = [](const std::string& result) {
    return Door().store(with(contactless(), R"("Result": "Success")", result)).outcome();
  };
  CHECK(outcome(R"("Result":"Partial")") == "partial");
  for (const std::string declined : {"Refusal", "InvalidCard", "WrongPIN", "PaymentRestriction", "NotAllowed"})
    CHECK(outcome(R"("Result":"Failure","ErrorCondition":")" + declined + "\"") == "declined");
  for (const std::string failed : {"Aborted", "Busy", "Cancel", "DeviceOut", "UnreachableHost", "LoggedOut", "New"})
    CHECK(outcome(R"("Result":"Failure","ErrorCondition":")" + failed + "\"") == "failed");
  CHECK(outcome(R"("Result":"Failure","ErrorCondition":"InProgress")") == "unknown");
  CHECK(outcome(R"("Result":"Perhaps")") == "unknown");

  const auto mode = [](const std::string& word) {
    return Door().store(with(contactless(), "\"Contactless\"\n", word + "\n"));
  };
  CHECK(mode(R"("Tapped")").entry_mode() == "contactless");
  CHECK(mode(R"("ICC")").entry_mode() == "chip");
  CHECK(mode(R"("MagStripe")").entry_mode() == "stripe");
  CHECK(mode(R"("Keyed")").entry_mode() == "manual");
  CHECK(mode(R"("Telepathy","ICC")").entry_mode() == "chip");
  // What the vendor's pairs say instead.
  CHECK(mode(R"("Telepathy")").entry_mode() == "contactless");
  const std::string silent = with(contactless(), "posEntryMode=CLESS_CHIP&", "");
  CHECK(incomplete(Door().store(with(silent, "\"Contactless\"\n", "\"Telepathy\"\n"))) == Names{"entry_mode"});

  const Event offline = Door().store(
      with(contactless(), R"("OnlineFlag": true)", R"("OnlineFlag": false,"AuthenticationMethod":["OfflinePIN"])"));
  CHECK(offline.authorized_by() == "offline");
  CHECK(offline.cvm() == "pin");
}

TEST_CASE("amounts: what cannot be read is left out and named, and the sale is kept") {
  for (const std::string wrong : {"12.345", "-12.5", "1e2", "99999999999999", "\"zwölf\"", "true"}) {
    CAPTURE(wrong);
    const Event event = Door().store(amount(wrong));
    CHECK_FALSE(event.has_amount_minor());
    CHECK(incomplete(event) == Names{"amount_minor"});
    CHECK(event.attributes().at("unread_amount") == (wrong.starts_with('"') ? "zwölf" : wrong));
    CHECK(event.currency() == "EUR");
    CHECK_FALSE(event.has_effect_minor());
  }
  CHECK(Door().store(amount("\"12.5\"")).amount_minor() == 1250);
}

TEST_CASE("amounts: no currency but the terminal's own; an unknown one is none") {
  const std::string unnamed = with(contactless(), R"("Currency": "EUR")", R"("Currency": "")");
  Door yen;
  yen.default_currency = "JPY";
  CHECK(yen.store(with(unnamed, "12.5,", "1250,")).amount_minor() == 1250);
  Door none;
  none.default_currency = "";
  const Event without = none.store(unnamed);
  CHECK(incomplete(without) == Names{"currency", "amount_minor"});
  CHECK(without.attributes().at("unread_amount") == "12.5");
  CHECK(incomplete(Door().store(with(contactless(), R"("Currency": "EUR")", R"("Currency": "XXX")"))) ==
        Names{"currency", "amount_minor"});
}

TEST_CASE("amounts: parts that do not fit are left out, never the sale") {
  const Event event = Door().store(with(contactless(), "12.5,", R"(12.5,"TipAmount":13,"CashBackAmount":0.001,)"));
  CHECK(event.amount_minor() == 1250);
  CHECK_FALSE(event.has_tip_minor());
  CHECK(incomplete(event) == Names{"cashback_minor", "tip_minor"});
}

TEST_CASE("a failure without an amount is kept without one") {
  const Event event = Door().store(message(
      R"("ServiceID":"7","MessageCategory":"Payment","MessageType":"Response")",
      R"("PaymentResponse":{"Response":{"Result":"Failure","ErrorCondition":"Cancel"},"SaleData":{"SaleTransactionID":{"TransactionID":"9","TimeStamp":"2026-11-23T11:09:01Z"}}})"));
  CHECK(event.terminal_ref() == "Payment/7/9/2026-11-23T11:09:01Z");
  CHECK(event.outcome() == "failed");
  CHECK(event.occurred_at_ms() == 1795432141000);
  CHECK(incomplete(event) == Names{"amount_minor"});
}

TEST_CASE("fields beyond their limits are left out, never the sale") {
  const Event event =
      Door().store(with(with(contactless(), "CornerShopVienna", std::string(65, 'x')), "POS-017", "a\\u0007b"));
  CHECK(event.merchant_id().empty());
  CHECK(event.till_id().empty());
  CHECK(incomplete(event) == Names{"merchant_id", "till_id"});
  const std::string long_ref = with(contactless(), "BV0q001669201741000", std::string(65, 'B'));
  Door door;
  CHECK(door.store(long_ref).terminal_ref().size() <= 64);
  CHECK(says(door.send(long_ref).body, R"("duplicate":true)"));
}

TEST_CASE("times: the transaction's, else the sale's, else when it came") {
  const std::string no_transaction = with(contactless(), R"("TransactionID": "BV0q001669201741000.LWK58Z8RZ5GNG5W2",
          "TimeStamp": "2026-11-23T11:09:01.000Z")",
                                          R"("TransactionID": "BV","TimeStamp": "2026-11-23T11:09:01")");
  CHECK(Door().store(no_transaction).occurred_at_ms() == 1795432141000);
  const Event neither = Door().store(with(no_transaction, "11:09:01.000Z", "when?"));
  CHECK(neither.occurred_at_ms() == neither.received_at_ms());
  CHECK(incomplete(neither) == Names{"occurred_at"});
}

TEST_CASE("cards: what is no number is left out; a clear one goes before a masked one") {
  const auto masked = [](const std::string& text) {
    return Door().store(with(contactless(), "411111 **** 1111", text));
  };
  CHECK(masked("4111 11** **** 1111").card_last4() == "1111");
  CHECK(masked("411111    ****    1111").card_last4() == "1111");
  CHECK(incomplete(masked("a card")) == Names{"card_number"});
  CHECK(incomplete(masked("4111111111111112")) == Names{"card_number"});
  CHECK(masked("4111111111111112").card_last4().empty());
  const Event both = Door().store(with(contactless(), R"("CardSeqNumb")", R"("PAN":"4111111111111111","CardSeqNumb")"));
  CHECK(both.card_token().size() == 26);
  const Event spelled = Door().store(with(contactless(), "MaskedPan", "MaskedPAN"));
  CHECK(spelled.card_last4() == "1111");
  const Event summary = Door().store(with(contactless(), "MaskedPan", "Other"));
  CHECK(summary.card_last4() == "1111");
}

TEST_CASE("reversals: without an amount all of the original is taken back; one that cannot be read takes nothing") {
  const std::string full =
      with(vector_text("reversal_response_success"), R"("ReversedAmount": 5.0)", R"("ReversalReason":"CustCancel")");
  Door door;
  door.store(contactless());
  const Event reversal = door.store(full);
  CHECK(reversal.amount_minor() == 1250);
  CHECK(reversal.currency() == "EUR");
  CHECK(reversal.currency_exponent() == 2);
  CHECK(reversal.effect_minor() == -1250);
  CHECK(reversal.reason() == "customer");
  CHECK(incomplete(reversal).empty());
  CHECK(says(door.send(full).body, R"("duplicate":true)"));

  const Event lone = Door().store(full);
  CHECK(incomplete(lone) == Names{"amount_minor"});

  Door other;
  other.store(contactless());
  const Event unread = other.store(with(vector_text("reversal_response_success"), "5.0", "5.001"));
  CHECK_FALSE(unread.has_amount_minor());
  CHECK(incomplete(unread) == Names{"amount_minor"});
}

TEST_CASE("keys: another ServiceID, SaleID or transaction is another event; the same one again is not") {
  Door door;
  door.store(contactless());
  CHECK(says(door.send(contactless()).body, R"("duplicate":true)"));
  const Event service = door.store(with(contactless(), "0000004711", "0000004799"));
  door.store(with(contactless(), "POS-017", "POS-018"));
  // A ServiceID that has come round after two days, with a transaction of its own.
  const Event round =
      door.store(with(contactless(), "BV0q001669201741000.LWK58Z8RZ5GNG5W2", "BV0q001669999999999.LWK58Z8RZ5GNG5W2"));
  door.store(with(contactless(), "V400m-346403161", "V400m-000000001"));
  CHECK(door.rows() == 5);
  CHECK(door.intake.machine.counts().conflicts_stored == 0);
  CHECK(service.business_key() != door.intake.record(1).business_key());
  CHECK(round.business_key() != door.intake.record(1).business_key());
}

TEST_CASE("keys: the same key with another amount is stored as a conflict") {
  Door door;
  const Event first = door.store(contactless());
  const Event conflict = door.store(amount("13.5"));
  CHECK(conflict.conflict_with() == first.event_id());
}

TEST_CASE("keys: an answer that is repeated in a status response is the old one, whichever came first") {
  const auto body = contactless().substr(contactless().find("\"PaymentResponse\""));
  const std::string payment = body.substr(0, body.rfind('}', body.rfind('}') - 1));
  const std::string repeated =
      R"({"SaleToPOIResponse":{"MessageHeader":{"MessageCategory":"TransactionStatus","MessageType":"Response",
    "SaleID":"POS-099","ServiceID":"555","POIID":"V400m-346403161"},"TransactionStatusResponse":{"Response":{"Result":"Success"},
    "MessageReference":{"MessageCategory":"Payment","SaleID":"POS-017","ServiceID":"0000004711"},
    "RepeatedMessageResponse":{"MessageHeader":{"MessageCategory":"Payment","MessageType":"Response","SaleID":"POS-017",
    "ServiceID":"0000004711","POIID":"V400m-346403161"},"RepeatedResponseMessageBody":{)" +
      payment + "}}}}}";
  Door door;
  const Event first = door.store(repeated);
  CHECK(first.till_id() == "POS-017");
  CHECK(first.attributes().at("message_ref") == "0000004711");
  CHECK(says(door.send(contactless()).body, R"("duplicate":true)"));
  CHECK(says(door.send(repeated).body, R"("duplicate":true)"));
  CHECK(door.rows() == 1);
  // Without its header: what it was asked about.
  Door other;
  other.store(contactless());
  const auto at = repeated.find(R"({"MessageHeader":{"MessageCategory":"Payment")");
  const auto end = repeated.find("},", at) + 2;
  CHECK(says(other.send(repeated.substr(0, at + 1) + repeated.substr(end)).body, R"("duplicate":true)"));
  // Nothing repeated: nothing to store.
  const auto nothing =
      door.send(R"({"SaleToPOIResponse":{"MessageHeader":{"POIID":"P","MessageCategory":"TransactionStatus",
    "MessageType":"Response"},"TransactionStatusResponse":{"Response":{"Result":"Failure","ErrorCondition":"InProgress"}}}})");
  CHECK(nothing.status == 200);
  CHECK(door.rows() == 1);
}

TEST_CASE("totals: one event a currency, each with its own exponent; a sum with an unreadable part is none") {
  const std::string totals = vector_text("reconciliation_response");
  Door door;
  const auto answer = door.send(with(with(totals, R"("CardBrand": "mc",
          "PaymentCurrency": "EUR")",
                                          R"("CardBrand": "mc","PaymentCurrency": "KWD")"),
                                     "410.0", "410.125"));
  CHECK(answer.status == 200);
  REQUIRE(door.rows() == 2);
  CHECK(door.intake.record(1).sales_minor() == 123456);
  CHECK(door.intake.record(2).currency() == "KWD");
  CHECK(door.intake.record(2).sales_minor() == 410125);
  CHECK(door.intake.record(2).sales_count() == 17);

  const Event broken = Door().store(with(totals, "1234.56", "1234.567"));
  CHECK_FALSE(broken.has_sales_minor());
  CHECK(broken.sales_count() == 59);
  CHECK(incomplete(broken) == Names{"sales_minor"});
  const Event other =
      Door().store(with(totals, R"("TransactionType": "ReverseDebit")", R"("TransactionType": "CashAdvance")"));
  CHECK(other.attributes().at("total_CashAdvance") == "2 / 30.0");
  CHECK_FALSE(other.has_reversals_count());
}

TEST_CASE("totals: a closing that failed or had nothing to count is told, too") {
  const std::string header = R"("ServiceID":"7","MessageCategory":"Reconciliation","MessageType":"Response")";
  const Event failed = Door().store(message(
      header,
      R"("ReconciliationResponse":{"Response":{"Result":"Failure","ErrorCondition":"UnreachableHost"},"POIReconciliationID":"3"})"));
  CHECK(failed.type() == "batch_total");
  CHECK(failed.outcome() == "failed");
  CHECK(failed.response_code() == "UnreachableHost");
  CHECK(failed.currency().empty());
  CHECK(failed.schema_version() == 1);
  // The same number two days later, with other sums.
  Door door;
  door.store(vector_text("reconciliation_response"));
  door.intake.moment.utc += std::chrono::hours(48);
  door.store(with(vector_text("reconciliation_response"), "1234.56", "99.99"));
  CHECK(door.intake.machine.counts().references_reused == 1);
}

TEST_CASE("notifications: unknown kinds are kept, and one without any number or time is, too") {
  Door door;
  const std::string known = vector_text("event_notification_network_disconnected");
  const Event unknown = door.store(with(known, "NetworkDisconnected", "NewInVersion9"));
  CHECK(unknown.type() == "terminal_status");
  CHECK(unknown.attributes().at("event") == "NewInVersion9");
  const Event bare = door.store(
      R"({"SaleToPOIRequest":{"MessageHeader":{"POIID":"P","MessageType":"Notification"},"EventNotification":{}}})");
  CHECK(incomplete(bare) == Names{"occurred_at"});
}

TEST_CASE("encrypted messages: told that they came, and nothing of them") {
  const std::string encrypted =
      message(R"("ServiceID":"7","MessageCategory":"Payment","MessageType":"Response")",
              R"("NexoBlob":"c2VjcmV0IGNvbnRlbnQ=","SecurityTrailer":{"Nonce":"n","Hmac":"h"})");
  Door door;
  const Event event = door.store(encrypted);
  CHECK(event.type() == "terminal_status");
  CHECK(event.attributes().at("event") == "encrypted");
  CHECK(event.attributes().at("message_category") == "Payment");
  CHECK_FALSE(says(event.SerializeAsString(), "c2VjcmV0"));
  CHECK(says(door.send(encrypted).body, R"("duplicate":true)"));
  door.store(with(encrypted, "c2VjcmV0", "b3RoZXIg"));
}

TEST_CASE("answers: 503 before any other refusal, a refusal before what is stored") {
  using terminal::Answer;
  using terminal::Reason;
  const Answer stored = terminal::Stored{.event_id = "id", .epoch = "e", .seq = 1};
  const Answer busy = terminal::Refusal{Reason::busy, {}, "full", std::chrono::seconds(7)};
  const Answer unknown = terminal::Refusal{Reason::unknown_terminal, {}, "who?", {}};
  CHECK(terminal::nexo::to_http(false, {stored, stored}).status == 200);
  CHECK(terminal::nexo::to_http(true, {stored, unknown}).status == 403);
  const auto retried = terminal::nexo::to_http(true, {unknown, stored, busy});
  CHECK(retried.status == 503);
  CHECK(retried.headers.at(0).second == "7");
  CHECK(terminal::nexo::to_http(false, {stored}).body ==
        R"({"answer":"[accepted]","events":[{"event_id":"id","epoch":"e","seq":1,"duplicate":false}]})");
}
