#include "firmware-gateway/ingest/recorder.hpp"

#include <doctest/doctest.h>

#include "firmware-gateway/ingest/derivation.hpp"
#include "firmware-gateway/ingest/event_types.hpp"
#include "firmware-gateway/ingest/notice.hpp"
#include "proto/base/text.hpp"
#include "tests/unit/firmware-gateway/ingest/intake.hpp"

using ingest_test::Intake;
using ingest_test::sale;
using Changes = std::vector<std::pair<std::string, std::string>>;

namespace {

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

std::string repeated(const std::string& text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

tillstream::v1::Event recorded(const Changes& changes,
                               ingest::IngestSettings settings = ingest_test::default_settings()) {
  Intake intake(std::move(settings));
  const auto answer = intake.answer(sale(changes));
  REQUIRE_MESSAGE(std::holds_alternative<terminal::Stored>(answer), terminal::to_json(answer));
  return intake.last();
}

// "field: message" of a 400.
std::string invalid(const Changes& changes, ingest::IngestSettings settings = ingest_test::default_settings()) {
  Intake intake(std::move(settings));
  const auto answer = intake.answer(sale(changes));
  CHECK(intake.journal.rows.empty());
  CHECK(terminal::status_of(answer) == 400);
  const auto* const refusal = std::get_if<terminal::Refusal>(&answer);
  return refusal == nullptr ? "stored" : std::string(refusal->field);
}

}  // namespace

TEST_CASE("record: everything that was submitted is in it, with what is derived") {
  Intake intake;
  const auto answer = intake.answer(sale({{"merchant_id", "\"m\""},
                                          {"merchant_name", "\"Café 🧀\""},
                                          {"merchant_city", "\"Wien\""},
                                          {"mcc", "\"5812\""},
                                          {"till_id", "\"3\""},
                                          {"operator_id", "\"ann\""},
                                          {"batch_no", "\"77\""},
                                          {"currency", "\"392\""},
                                          {"requested_minor", "1300"},
                                          {"tip_minor", "50"},
                                          {"cashback_minor", "100"},
                                          {"surcharge_minor", "1"},
                                          {"authorized_by", "\"online\""},
                                          {"card_last4", "\"1111\""},
                                          {"card_brand", "\"VISA\""},
                                          {"card_token", "\"tok\""},
                                          {"card_token_key", "\"p2pe\""},
                                          {"card_par", "\"Q1J4AwSWD4Dx6q1DTo0MB21XDAV76\""},
                                          {"entry_mode", "\"contactless\""},
                                          {"cvm", "\"device\""},
                                          {"emv_aid", "\"A0000000041010\""},
                                          {"installments", "3"},
                                          {"response_code", "\"00\""},
                                          {"auth_code", "\"A1B2C3\""},
                                          {"rrn", "\"432921123456\""},
                                          {"stan", "\"123456\""},
                                          {"original_ref", "\"o\""},
                                          {"original_terminal_id", "\"T0\""},
                                          {"original_type", "\"sale\""},
                                          {"reason", "\"customer\""},
                                          {"attributes", "{\"table\":\"12\"}"}}));
  REQUIRE(std::holds_alternative<terminal::Stored>(answer));
  const auto event = intake.last();
  CHECK(event.schema_version() == 1);
  CHECK(event.event_id().size() == 16);
  CHECK(event.type() == "sale");
  CHECK(event.source() == "http");
  CHECK(event.terminal_id() == "T1");
  CHECK(event.terminal_ref() == "1");
  CHECK(base::to_rfc3339(base::UtcTime(std::chrono::milliseconds(event.occurred_at_ms()))) ==
        "2026-11-24T21:23:51.042Z");
  CHECK(event.utc_offset_minutes() == 60);
  CHECK(event.received_at_ms() == intake.moment.utc.time_since_epoch().count());
  CHECK(event.clock_synced());
  CHECK(event.merchant_id() == "m");
  CHECK(event.merchant_name() == "Café 🧀");
  CHECK(event.merchant_city() == "Wien");
  CHECK(event.mcc() == "5812");
  CHECK(event.till_id() == "3");
  CHECK(event.operator_id() == "ann");
  CHECK(event.batch_no() == "77");
  CHECK(event.amount_minor() == 1250);
  CHECK(event.currency() == "JPY");
  CHECK(event.has_currency_exponent());
  CHECK(event.currency_exponent() == 0);
  CHECK(event.requested_minor() == 1300);
  CHECK(event.tip_minor() == 50);
  CHECK(event.cashback_minor() == 100);
  CHECK(event.surcharge_minor() == 1);
  CHECK(event.effect_minor() == 1250);
  CHECK(event.outcome() == "approved");
  CHECK(event.authorized_by() == "online");
  CHECK(event.card_last4() == "1111");
  CHECK(event.card_brand() == "visa");
  CHECK(event.card_token() == "tok");
  CHECK(event.card_token_key() == "p2pe");
  CHECK(event.card_par() == "Q1J4AwSWD4Dx6q1DTo0MB21XDAV76");
  CHECK(event.entry_mode() == "contactless");
  CHECK(event.cvm() == "device");
  CHECK(event.emv_aid() == "A0000000041010");
  CHECK(event.installments() == 3);
  CHECK(event.response_code() == "00");
  CHECK(event.auth_code() == "A1B2C3");
  CHECK(event.rrn() == "432921123456");
  CHECK(event.stan() == "123456");
  CHECK(event.original_ref() == "o");
  CHECK(event.original_terminal_id() == "T0");
  CHECK(event.original_type() == "sale");
  CHECK(event.reason() == "customer");
  CHECK(event.attributes().at("table") == "12");
  CHECK(event.business_date() == "2026-11-24");
  CHECK(event.business_key().size() == 52);
}

TEST_CASE("record: while keys are rotated both tokens are in it, each with its key's name") {
  redact::GuardSettings door = ingest_test::guard_settings();
  door.token_keys.previous = token_key("old-key", 'o');
  Intake intake(ingest_test::default_settings(), std::move(door));
  REQUIRE(terminal::status_of(intake.answer(sale({{"card_number", "\"4111111111111111\""}}))) == 201);
  const auto event = intake.last();
  CHECK(event.card_token_key() == "test-key");
  CHECK(event.card_token_previous_key() == "old-key");
  CHECK(event.card_token_previous().size() == 26);
  CHECK(event.card_token_previous() != event.card_token());
}

TEST_CASE("record: the configuration fills in what the terminal leaves out, and nothing else") {
  auto settings = ingest_test::default_settings();
  settings.terminals.defaults = {.currency = "CHF",
                                 .time_zone = "",
                                 .merchant_id = "dm",
                                 .merchant_name = "dn",
                                 .merchant_city = "dc",
                                 .mcc = "1"};
  settings.terminals.known["T1"] = {
      .currency = "GBP", .time_zone = "", .merchant_id = "tm", .merchant_name = "", .merchant_city = "tc", .mcc = ""};
  const auto other = recorded({{"terminal_id", "\"T2\""}, {"merchant_name", "\"own\""}}, settings);
  CHECK(other.currency() == "CHF");
  CHECK(other.merchant_id() == "dm");
  CHECK(other.merchant_name() == "own");
  const auto known = recorded({}, settings);
  CHECK(known.currency() == "GBP");
  CHECK(known.merchant_id() == "tm");
  CHECK(known.merchant_name().empty());
  CHECK(recorded({{"currency", "\"USD\""}}, settings).currency() == "USD");
  // No amount, no currency.
  const auto status = recorded({{"type", "\"terminal_status\""}, {"amount_minor", ""}, {"outcome", ""}}, settings);
  CHECK(status.currency().empty());
  CHECK_FALSE(status.has_currency_exponent());
  CHECK_FALSE(status.has_effect_minor());
}

TEST_CASE("record: what is required is asked for by name") {
  for (const char* field : {"type", "terminal_id", "terminal_ref", "occurred_at", "amount_minor", "outcome"}) {
    CHECK(invalid({{field, ""}}) == field);
    if (std::string_view(field) != "amount_minor") CHECK(invalid({{field, "\"\""}}) == field);
  }
  for (const std::string_view type : ingest::event_types()) {
    CAPTURE(type);
    const Changes without_money{{"type", quoted(std::string(type))}, {"amount_minor", ""}, {"outcome", ""}};
    if (ingest::moves_money(type)) {
      CHECK(invalid(without_money) == "amount_minor");
    } else {
      CHECK(recorded(without_money).type() == type);
    }
  }
  auto settings = ingest_test::default_settings();
  settings.terminals.defaults.currency.clear();
  CHECK(invalid({}, settings) == "currency");
}

TEST_CASE("record: words are those of the interface, exactly") {
  const std::vector<std::pair<std::string, std::vector<std::string>>> words{
      {"type",
       {"sale", "refund", "reversal", "authorization", "completion", "adjustment", "cash_advance", "batch_total",
        "terminal_status"}},
      {"outcome", {"approved", "declined", "partial", "failed", "unknown"}},
      {"authorized_by", {"online", "offline", "deferred", "voice"}},
      {"entry_mode", {"contactless", "chip", "stripe", "manual", "ecommerce", "fallback"}},
      {"cvm", {"none", "pin", "signature", "device"}},
      {"reason", {"timeout", "customer", "merchant", "malfunction"}},
      {"original_type", {"sale", "refund", "completion"}}};
  for (const auto& [field, allowed] : words) {
    for (const std::string& word : allowed) recorded({{field, quoted(word)}});
    for (const char* word : {"Sale", "notice", "approved ", "x", "4111111111111111"})
      CHECK(invalid({{field, quoted(word)}}) == field);
  }
}

TEST_CASE("record: texts have 64 characters at most, however many bytes that are, and none that cannot be shown") {
  for (const char* field :
       {"terminal_id", "terminal_ref", "merchant_id", "merchant_name", "merchant_city", "mcc", "till_id", "operator_id",
        "batch_no", "card_brand", "card_token", "card_token_key", "card_par", "response_code", "auth_code", "rrn",
        "stan", "original_ref", "original_terminal_id"}) {
    CAPTURE(field);
    recorded({{field, quoted(repeated("x", 64))}});
    recorded({{field, quoted(repeated("🧀", 64))}});
    CHECK(invalid({{field, quoted(repeated("x", 65))}}) == field);
    CHECK(invalid({{field, quoted(repeated("ü", 65))}}) == field);
    for (const char* escape : {"\\n", "\\u0000", "\\u007f", "\\u0085", "\\u202e", "\\u2028", "\\t"})
      CHECK(invalid({{field, quoted(escape)}}) == field);
  }
}

TEST_CASE("record: amounts run from 0 to 999999999999999, and the parts fit into the total") {
  for (const char* field : {"amount_minor", "requested_minor", "tip_minor", "cashback_minor", "surcharge_minor"}) {
    CHECK(invalid({{field, "-1"}}) == field);
    CHECK(invalid({{field, "1000000000000000"}}) == field);
  }
  CHECK(recorded({{"amount_minor", "999999999999999"}}).amount_minor() == 999999999999999);
  CHECK(recorded({{"amount_minor", "0"}}).has_amount_minor());
  CHECK(recorded({{"tip_minor", "1000"}, {"cashback_minor", "200"}, {"surcharge_minor", "50"}}).tip_minor() == 1000);
  CHECK(invalid({{"tip_minor", "1251"}}) == "tip_minor");
  CHECK(invalid({{"tip_minor", "1000"}, {"cashback_minor", "200"}, {"surcharge_minor", "51"}}) == "surcharge_minor");
  // Nothing moved: the parts are those of the wish.
  recorded({{"tip_minor", "2000"}, {"amount_minor", "0"}, {"outcome", "\"declined\""}});
  CHECK(invalid({{"installments", "1000"}}) == "installments");
}

TEST_CASE("record: the other fields have their own shapes") {
  for (const char* last4 : {"111", "11111", "111a", "１１１１"})
    CHECK(invalid({{"card_last4", quoted(last4)}}) == "card_last4");
  for (const char* aid : {"A00000000", "A000000004101", "A0000000041010A0000000041010A00000001", "G000000004"})
    CHECK(invalid({{"emv_aid", quoted(aid)}}) == "emv_aid");
  for (const char* time : {"yesterday", "2026-11-24", "2026-11-24T25:00:00Z", "1764019431"})
    CHECK(invalid({{"occurred_at", quoted(time)}}) == "occurred_at");
  for (const char* currency : {"EURO", "eur", "XXX", "000", "BGN", "€"})
    CHECK(invalid({{"currency", quoted(currency)}}) == "currency");
  CHECK(recorded({{"currency", "\"048\""}}).currency_exponent() == 3);
}

TEST_CASE("record: a batch total carries its sums, and raises the version that it takes to read it") {
  Changes changes{{"type", "\"batch_total\""}, {"amount_minor", ""}, {"outcome", ""}, {"currency", "\"EUR\""}};
  CHECK(recorded(changes).schema_version() == ingest::event_schema_version);
  const std::size_t first = changes.size();
  for (const char* name :
       {"sales_count", "sales_minor", "refunds_count", "refunds_minor", "reversals_count", "reversals_minor",
        "refund_reversals_count", "refund_reversals_minor", "declined_count", "failed_count"})
    changes.emplace_back(name, std::to_string(changes.size() - first));
  const auto event = recorded(changes);
  CHECK(event.schema_version() == ingest::second_schema_version);
  CHECK(event.has_sales_count());
  CHECK(event.sales_count() == 0);
  CHECK(event.sales_minor() == 1);
  CHECK(event.refunds_count() == 2);
  CHECK(event.refunds_minor() == 3);
  CHECK(event.reversals_count() == 4);
  CHECK(event.reversals_minor() == 5);
  CHECK(event.refund_reversals_count() == 6);
  CHECK(event.refund_reversals_minor() == 7);
  CHECK(event.declined_count() == 8);
  CHECK(event.failed_count() == 9);
  for (std::size_t i = first; i < changes.size(); ++i) {
    CHECK(invalid({changes[i]}) == changes[i].first);
    Changes negative{changes[0], changes[1], changes[2], {changes[i].first, "-1"}};
    CHECK(invalid(negative) == changes[i].first);
  }
}

TEST_CASE("record: what has happened is kept, without what cannot be") {
  const auto kept = [](const Changes& changes) {
    Intake intake;
    const auto answer = intake.answer(sale(changes), redact::OnConflict::store);
    REQUIRE_MESSAGE(std::holds_alternative<terminal::Stored>(answer), terminal::to_json(answer));
    return intake.last();
  };
  const auto incomplete = [](const tillstream::v1::Event& event) {
    return std::vector<std::string>(event.incomplete().begin(), event.incomplete().end());
  };
  using Names = std::vector<std::string>;
  CHECK(incomplete(kept({})).empty());
  const auto event = kept({{"merchant_name", quoted(repeated("x", 65))},
                           {"entry_mode", "\"telepathy\""},
                           {"emv_aid", "\"A0\""},
                           {"surcharge_minor", "-1"},
                           {"attributes", "{\"a\":\"" + repeated("x", 513) + "\",\"b\":\"kept\"}"}});
  CHECK(incomplete(event) == Names{"merchant_name", "entry_mode", "emv_aid", "surcharge_minor", "attributes"});
  CHECK(event.entry_mode().empty());
  CHECK_FALSE(event.has_surcharge_minor());
  CHECK(event.attributes().size() == 1);
  CHECK(event.amount_minor() == 1250);
  const auto parts = kept({{"tip_minor", "1251"}});
  CHECK(incomplete(parts) == Names{"tip_minor"});
  const auto bare = kept({{"amount_minor", ""}, {"outcome", ""}});
  CHECK(incomplete(bare) == Names{"amount_minor", "outcome"});
  CHECK(bare.outcome() == "unknown");
  CHECK_FALSE(bare.has_effect_minor());
  // In a currency that nobody knows nothing can be added up.
  const auto foreign = kept({{"currency", "\"191\""}, {"tip_minor", "50"}});
  CHECK(incomplete(foreign) == Names{"currency", "amount_minor", "tip_minor"});
  CHECK(foreign.currency().empty());
  CHECK_FALSE(foreign.has_amount_minor());
  CHECK_FALSE(foreign.has_effect_minor());
  CHECK(foreign.attributes().at("unread_amount") == "1250 191");
  CHECK(foreign.outcome() == "approved");
  // No text of any length comes with it.
  CHECK(kept({{"currency", "\"EURO4\""}}).attributes().at("unread_amount") == "1250");
  CHECK(incomplete(kept({{"currency", "\"191\""}, {"amount_minor", ""}})) == Names{"amount_minor", "currency"});
  // What identifies it has to be there.
  for (const char* name : {"type", "terminal_id", "terminal_ref", "occurred_at"}) {
    Intake intake;
    CHECK(terminal::status_of(intake.answer(sale({{name, ""}}), redact::OnConflict::store)) == 400);
  }
}

TEST_CASE("record: 16 attributes, keys of 64 and values of 512 bytes, and not one more") {
  const auto attributes = [](int count) {
    std::string json;
    for (int i = 0; i < count; ++i) json += (i == 0 ? "" : ",") + quoted("k" + std::to_string(i)) + ":\"v\"";
    return "{" + json + "}";
  };
  CHECK(recorded({{"attributes", attributes(16)}}).attributes().size() == 16);
  CHECK(invalid({{"attributes", attributes(17)}}) == "attributes");
  recorded({{"attributes", "{" + quoted(repeated("k", 64)) + ":" + quoted(repeated("v", 512)) + "}"}});
  recorded({{"attributes", "{\"k\":\"\"}"}});
  CHECK(invalid({{"attributes", "{" + quoted(repeated("k", 65)) + ":\"\"}"}}) == "attributes");
  CHECK(invalid({{"attributes", "{" + quoted(repeated("ü", 33)) + ":\"\"}"}}) == "attributes");
  CHECK(invalid({{"attributes", "{\"k\":" + quoted(repeated("v", 513)) + "}"}}) == "attributes");
  CHECK(invalid({{"attributes", "{\"\":\"v\"}"}}) == "attributes");
  CHECK(invalid({{"attributes", "{\"k\":\"a\\nb\"}"}}) == "attributes");
}

TEST_CASE("record: the effect is what the event adds to the takings, by type, original and outcome") {
  struct Row {
    const char* type;
    const char* original_type;
    std::int64_t effect;
  };
  for (const Row& row :
       {Row{"sale", "", 1250}, Row{"completion", "authorization", 1250}, Row{"cash_advance", "", 1250},
        Row{"adjustment", "sale", 1250}, Row{"adjustment", "refund", -1250}, Row{"refund", "sale", -1250},
        Row{"refund", "", -1250}, Row{"reversal", "", -1250}, Row{"reversal", "sale", -1250},
        Row{"reversal", "completion", -1250}, Row{"reversal", "cash_advance", -1250}, Row{"reversal", "refund", 1250},
        Row{"reversal", "reversal", 1250}, Row{"reversal", "authorization", 0}, Row{"authorization", "", 0},
        Row{"batch_total", "", 0}, Row{"terminal_status", "", 0}}) {
    CAPTURE(row.type);
    CAPTURE(row.original_type);
    const Changes changes{{"type", quoted(row.type)},
                          {"original_type", *row.original_type == '\0' ? "" : quoted(row.original_type)}};
    CHECK(recorded(changes).effect_minor() == row.effect);
    for (const char* outcome : {"declined", "failed", "unknown"}) {
      Changes nothing = changes;
      nothing.emplace_back("outcome", quoted(outcome));
      CHECK(recorded(nothing).effect_minor() == 0);
      CHECK(recorded(nothing).has_effect_minor());
    }
    Changes partial = changes;
    partial.emplace_back("outcome", "\"partial\"");
    CHECK(recorded(partial).effect_minor() == row.effect);
  }
}

TEST_CASE("record: the business date is the terminal's local day after its day_ends, summer time included") {
  auto settings = ingest_test::default_settings();
  const auto date = [&settings](const char* occurred_at) {
    return recorded({{"occurred_at", quoted(occurred_at)}}, settings).business_date();
  };
  CHECK(date("2026-11-24T22:59:59Z") == "2026-11-24");
  CHECK(date("2026-11-24T23:00:00Z") == "2026-11-25");  // midnight in Vienna
  CHECK(date("2026-07-01T21:59:59Z") == "2026-07-01");
  CHECK(date("2026-07-01T22:00:00Z") == "2026-07-02");
  settings.terminals.defaults.day_ends = std::chrono::hours(4);
  CHECK(date("2026-11-25T02:59:59Z") == "2026-11-24");
  CHECK(date("2026-11-25T03:00:00Z") == "2026-11-25");
  CHECK(date("2026-03-29T01:59:59Z") == "2026-03-28");  // 03:59:59 summer time, on the day the clock went forward
  settings.terminals.defaults.day_ends = std::chrono::hours(22);
  CHECK(date("2026-11-24T20:59:59Z") == "2026-11-24");
  CHECK(date("2026-11-24T21:00:00Z") == "2026-11-25");
  // Without a zone: the offset that the terminal wrote.
  settings.terminals.defaults.day_ends = std::chrono::minutes(0);
  settings.terminals.defaults.time_zone.clear();
  CHECK(date("2026-11-25T00:30:00+13:00") == "2026-11-25");
}

TEST_CASE("record: the business key is the same from whichever box, and another one for another sale") {
  const std::string key = recorded({{"merchant_id", "\"m\""}}).business_key();
  auto other_box = ingest_test::default_settings();
  other_box.terminals.defaults.time_zone = "Asia/Tokyo";
  other_box.terminals.defaults.day_ends = std::chrono::hours(5);
  other_box.terminals.defaults.merchant_id = "m";
  CHECK(recorded({}, other_box).business_key() == key);
  CHECK(recorded({{"merchant_id", "\"m\""}, {"amount_minor", "1"}}).business_key() == key);
  // Spelled out once, as other boxes and other programs have to make it.
  const auto digest = platform::hasher().sha256({"m\nT1\n2026-11-24\n1\nsale\n"});
  CHECK(key == base::to_base32(digest.view()));
  const auto with_batch = platform::hasher().sha256({"m\nT1\n7\n1\nsale\n"});
  CHECK(recorded({{"merchant_id", "\"m\""}, {"batch_no", "\"7\""}}).business_key() ==
        base::to_base32(with_batch.view()));
  for (const Changes& changes :
       {Changes{{"merchant_id", "\"n\""}}, Changes{{"merchant_id", "\"m\""}, {"terminal_id", "\"T2\""}},
        Changes{{"merchant_id", "\"m\""}, {"terminal_ref", "\"2\""}},
        Changes{{"merchant_id", "\"m\""}, {"type", "\"refund\""}},
        Changes{{"merchant_id", "\"m\""}, {"occurred_at", "\"2026-11-25T00:00:00+01:00\""}}})
    CHECK(recorded(changes).business_key() != key);
}

TEST_CASE("record: event ids grow, also when the clock steps back") {
  Intake intake;
  std::string last;
  for (int i = 0; i < 20; ++i) {
    if (i == 10) intake.moment.utc -= std::chrono::hours(1);
    intake.answer(sale({{"terminal_ref", quoted(std::to_string(i))}}));
    const std::string id = intake.last().event_id();
    CHECK(last < id);
    last = id;
  }
}

TEST_CASE("record: an unsynchronised clock is said to be one") {
  Intake intake;
  intake.moment.clock_synced = false;
  intake.answer(sale());
  CHECK_FALSE(intake.last().clock_synced());
}

TEST_CASE("notice: is a record like any other, of the gateway's own") {
  Intake intake;
  const auto id = intake.machine.recorder().next_id(intake.moment.utc);
  const auto notice =
      ingest::make_notice("events_lost", {{"first_seq", "3"}, {"reason", "salvaged"}}, id, intake.moment);
  tillstream::v1::Event read;
  REQUIRE(read.ParseFromString(ingest::to_record(notice)));
  CHECK(read.type() == "notice");
  CHECK(read.notice() == "events_lost");
  CHECK(read.source() == "gateway");
  CHECK(read.schema_version() == 1);
  CHECK(read.details().at("first_seq") == "3");
  CHECK(read.details().at("reason") == "salvaged");
  CHECK(read.event_id() == id.view());
  CHECK(read.terminal_id().empty());
  CHECK(read.received_at_ms() == intake.moment.utc.time_since_epoch().count());
}
