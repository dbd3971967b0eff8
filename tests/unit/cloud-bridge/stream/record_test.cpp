#include "cloud-bridge/stream/record.hpp"

#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <map>
#include <set>

#include "tests/support/event_fields.hpp"

namespace {

using stream::DecodeError;
using tillstream::v1::Event;

constexpr bool is_of_bridge(int number) { return number >= 60 && number < 70; }

Event smallest() {
  Event event;
  event.set_schema_version(1);
  event.set_event_id("0123456789abcdef");
  event.set_type("sale");
  event.set_terminal_id("till-1");
  return event;
}

stream::Publication publication() {
  handoff::Epoch epoch;
  epoch.bytes.fill(0xab);
  return {.gateway_id = "shop-0017",
          .epoch = epoch,
          .seq = handoff::Seq(42),
          .published_at = base::UtcTime(std::chrono::milliseconds(1'764'000'000'123)),
          .possible_repeat = false};
}

boost::json::object value_of(const Event& event, stream::Publication where = publication()) {
  return boost::json::parse(stream::render_event(event, where).value).as_object();
}

std::optional<DecodeError> error_of(const Event& event) {
  const auto decoded = stream::decode_event(event.SerializeAsString());
  return decoded ? std::nullopt : std::optional(decoded.error());
}

std::vector<std::pair<std::string, std::string>> headers_of(const stream::Record& record) {
  std::vector<std::pair<std::string, std::string>> headers;
  stream::each_header(record,
                      [&](std::string_view name, std::string_view value) { headers.emplace_back(name, value); });
  return headers;
}

}  // namespace

TEST_CASE("record: the fields that every event has, exactly") {
  Event event = smallest();
  event.set_occurred_at_ms(1'763'999'999'007);
  event.set_received_at_ms(1'764'000'000'000);
  event.set_utc_offset_minutes(-90);
  event.set_amount_minor(999'999'999'999'999);
  event.set_currency("EUR");
  event.set_currency_exponent(2);
  event.set_effect_minor(-5);
  event.set_merchant_name("Bäckerei \"Öl\"\n");
  const stream::Record record = stream::render_event(event, publication());
  CHECK(record.event_id == "30313233-3435-3637-3839-616263646566");
  CHECK(record.key == "shop-0017/till-1");
  CHECK(
      record.value ==
      R"({"schema_version":1,"event_id":"30313233-3435-3637-3839-616263646566","type":"sale","gateway_id":"shop-0017",)"
      R"("epoch":"abababababababababababababababab","seq":42,"terminal_id":"till-1",)"
      R"("occurred_at":"2025-11-24T15:59:59.007Z","utc_offset_minutes":-90,"received_at":"2025-11-24T16:00:00.000Z",)"
      R"("clock":"unsynced","published_at":"2025-11-24T16:00:00.123Z","merchant_name":"Bäckerei \"Öl\"\n",)"
      R"("amount_minor":999999999999999,"currency":"EUR","currency_exponent":2,"effect_minor":-5})");
  const std::vector<std::pair<std::string, std::string>> headers = {{"content-type", "application/json"},
                                                                    {"ce_specversion", "1.0"},
                                                                    {"ce_id", "30313233-3435-3637-3839-616263646566"},
                                                                    {"ce_source", "/gateways/shop-0017"},
                                                                    {"ce_type", "tillstream.sale"},
                                                                    {"ce_subject", "till-1"},
                                                                    {"ce_time", "2025-11-24T15:59:59.007Z"},
                                                                    {"ce_recordedtime", "2025-11-24T16:00:00.000Z"},
                                                                    {"ce_sequence", "00000000000000000042"},
                                                                    {"ce_epoch", "abababababababababababababababab"},
                                                                    {"ce_partitionkey", "shop-0017/till-1"},
                                                                    {"ce_dataschema", "/schemas/event/1"}};
  CHECK(headers_of(record) == headers);
  std::string json;
  stream::append_headers_json(json, record);
  const auto parsed = boost::json::parse(json).as_object();
  CHECK(parsed.size() == headers.size());
  for (const auto& [name, value] : headers) CHECK(parsed.at(name).as_string() == value);
}

TEST_CASE("record: a field that this version does not know holds the record back") {
  std::set<int> known;
  for (const auto& [name, field] : support::event_fields()) known.insert(field.number);
  for (int number = 1; number < 200; ++number) {
    if (known.contains(number)) continue;
    for (const char* type : {"string", "int64"}) {
      const auto decoded = stream::decode_event(smallest().SerializeAsString() + support::encoded_field(number, type));
      REQUIRE_FALSE(decoded.has_value());
      CHECK(decoded.error() == DecodeError::newer_schema);
    }
  }
  for (const auto& [name, field] : support::event_fields()) {
    if (is_of_bridge(field.number)) continue;
    // A known number in another encoding is not the known field.
    const bool varint =
        support::encoded_field(field.number, field.type) == support::encoded_field(field.number, "int64");
    const auto decoded = stream::decode_event(smallest().SerializeAsString() +
                                              support::encoded_field(field.number, varint ? "string" : "int64"));
    CHECK_FALSE(decoded.has_value());
  }
}

TEST_CASE("decode: where it is, a record does not say itself") {
  int own = 0;
  for (const auto& [name, field] : support::event_fields()) {
    if (!is_of_bridge(field.number)) continue;
    CAPTURE(name);
    ++own;
    const auto decoded = stream::decode_event(smallest().SerializeAsString() + support::encoded_field(field));
    REQUIRE_FALSE(decoded.has_value());
    CHECK(decoded.error() == DecodeError::invalid_field);
  }
  CHECK(own == 5);
}

TEST_CASE("record: the same event gives the same bytes, whatever the order of its maps") {
  Event one = smallest();
  Event other = smallest();
  for (int i = 0; i < 16; ++i) {
    (*one.mutable_attributes())["key" + std::to_string(i)] = "v\"" + std::to_string(i);
    (*other.mutable_attributes())["key" + std::to_string(15 - i)] = "v\"" + std::to_string(15 - i);
  }
  CHECK(stream::render_event(one, publication()) == stream::render_event(other, publication()));
  const auto attributes = value_of(one).at("attributes").as_object();
  CHECK(attributes.size() == 16);
  CHECK(attributes.at("key3").as_string() == "v\"3");
}

TEST_CASE("record: what is absent is left out") {
  const auto value = value_of(smallest());
  for (const char* name : {"amount_minor", "effect_minor", "attributes", "incomplete", "possible_repeat",
                           "conflict_with", "original_event_id", "notice", "currency"}) {
    CHECK_FALSE(value.contains(name));
  }
  // A time of 0 is a time: a clock without a battery begins in 1970.
  CHECK(value.at("occurred_at").as_string() == "1970-01-01T00:00:00.000Z");
  CHECK(value.at("utc_offset_minutes").as_int64() == 0);
  Event zero = smallest();
  zero.set_amount_minor(0);
  zero.set_effect_minor(0);
  CHECK(value_of(zero).at("amount_minor").as_int64() == 0);
  CHECK(value_of(zero).at("effect_minor").as_int64() == 0);
}

TEST_CASE("record: links to other events, doubts and unreadable fields are shown") {
  Event event = smallest();
  event.set_original_event_id(std::string(16, '\xff'));
  event.set_conflict_with(std::string(16, '\0'));
  event.add_incomplete("merchant_name");
  event.add_incomplete("a\"b");
  auto where = publication();
  where.possible_repeat = true;
  const auto value = value_of(event, where);
  CHECK(value.at("original_event_id").as_string() == "ffffffff-ffff-ffff-ffff-ffffffffffff");
  CHECK(value.at("conflict_with").as_string() == "00000000-0000-0000-0000-000000000000");
  CHECK(value.at("incomplete").as_array().size() == 2);
  CHECK(value.at("incomplete").as_array()[1].as_string() == "a\"b");
  CHECK(value.at("possible_repeat").as_bool());
}

TEST_CASE("record: a gateway's notice has its seq, no terminal, and flat details") {
  Event event = smallest();
  event.clear_terminal_id();
  event.set_type("notice");
  event.set_notice("duplicate_window_shrunk");
  (*event.mutable_details())["window"] = "3 d";
  (*event.mutable_details())["a\"b"] = "c";
  REQUIRE_FALSE(error_of(event).has_value());
  const stream::Record record = stream::render_event(event, publication());
  CHECK(record.key == "shop-0017/");
  CHECK(record.seq == 42);
  const auto value = boost::json::parse(record.value).as_object();
  CHECK(value.at("notice").as_string() == "duplicate_window_shrunk");
  CHECK(value.at("detail_window").as_string() == "3 d");
  CHECK(value.at("detail_a\"b").as_string() == "c");
  for (const auto& [name, header] : headers_of(record)) {
    CHECK(name != "ce_subject");
    if (name == "ce_type") CHECK(header == "tillstream.notice");
  }
}

TEST_CASE("decode: says what is wrong with a record") {
  CHECK_FALSE(error_of(smallest()).has_value());
  const auto broken = [](auto change) {
    Event event = smallest();
    change(event);
    return error_of(event);
  };
  CHECK(broken([](Event& e) { e.set_schema_version(stream::kSchemaVersion + 1); }) == DecodeError::newer_schema);
  CHECK(broken([](Event& e) { e.clear_schema_version(); }) == DecodeError::missing_field);
  CHECK(broken([](Event& e) { e.clear_event_id(); }) == DecodeError::missing_field);
  CHECK(broken([](Event& e) { e.clear_type(); }) == DecodeError::missing_field);
  CHECK(broken([](Event& e) { e.clear_terminal_id(); }) == DecodeError::missing_field);
  CHECK(broken([](Event& e) { e.set_type("notice"); }) == DecodeError::missing_field);
  CHECK(broken([](Event& e) { e.set_event_id("short"); }) == DecodeError::invalid_field);
  CHECK(broken([](Event& e) { e.set_conflict_with("short"); }) == DecodeError::invalid_field);
  CHECK(broken([](Event& e) { e.set_original_event_id(std::string(17, 'x')); }) == DecodeError::invalid_field);
  CHECK(broken([](Event& e) { e.set_type("Sale!"); }) == DecodeError::invalid_field);
  CHECK(broken([](Event& e) { e.set_type(std::string(65, 'a')); }) == DecodeError::invalid_field);
  CHECK(broken([](Event& e) { e.set_occurred_at_ms(INT64_MAX); }) == DecodeError::invalid_field);
  CHECK(broken([](Event& e) { e.set_received_at_ms(INT64_MIN); }) == DecodeError::invalid_field);
  CHECK(broken([](Event& e) { e.set_merchant_name(std::string(stream::kRecordBytesMax, 'x')); }) ==
        DecodeError::too_large);
  CHECK(stream::decode_event("").error() == DecodeError::missing_field);
  CHECK(stream::decode_event("\xff\xff\xff").error() == DecodeError::undecodable);
  // A newer record is held even when nothing else in it makes sense to us.
  CHECK(stream::decode_event("\x08\x03").error() == DecodeError::newer_schema);
  CHECK_FALSE(stream::is_poison(DecodeError::newer_schema));
  CHECK(stream::is_poison(DecodeError::too_large));
}

TEST_CASE("decode: text that is not UTF-8 never gets into a value") {
  std::string record = smallest().SerializeAsString();
  for (const std::string bad : {"\xff\xfe\xfd\xfc", "\xc0\x80zz", "\xed\xa0\x80z"}) {
    const std::string with_name = record + support::encoded_field(12, "string").replace(2, 4, bad);
    CHECK(stream::decode_event(with_name).error() == DecodeError::undecodable);
    const std::string with_attribute = record + "\xf2\x02\x07\x0a\x01k\x12\x02" + bad.substr(0, 2);
    CHECK(stream::decode_event(with_attribute).error() == DecodeError::undecodable);
  }
}

TEST_CASE("decode: the ends of time are rendered") {
  Event event = smallest();
  event.set_occurred_at_ms(253'402'300'799'999);
  event.set_received_at_ms(-62'135'596'800'000);
  REQUIRE_FALSE(error_of(event).has_value());
  CHECK(value_of(event).at("occurred_at").as_string() == "9999-12-31T23:59:59.999Z");
  CHECK(value_of(event).at("received_at").as_string() == "0001-01-01T00:00:00.000Z");
  event.set_occurred_at_ms(253'402'300'800'000);
  CHECK(error_of(event) == DecodeError::invalid_field);
}
