#include "proto/wire/event_json.hpp"

#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <map>
#include <string>

#include "tests/support/event_fields.hpp"

namespace {

using tillstream::v1::Event;

std::string text_of(const Event& event) {
  std::string text;
  base::JsonObject json(text);
  wire::append_event(json, event);
  json.end();
  return text;
}

// How the value of encoded_field() reads, by the field's type.
boost::json::value shown(const support::EventField& field) {
  if (field.type == "string" && field.repeated) return boost::json::array{"word"};
  if (field.type == "string") return "word";
  if (field.type == "bytes") return "66656463-6261-3938-3736-353433323130";
  if (field.type == "bool") return true;
  if (field.type.starts_with("map<")) return boost::json::object{{"k", "v"}};
  return field.type.starts_with("sint") ? std::int64_t{-1} : std::int64_t{1};
}

}  // namespace

TEST_CASE("event as JSON: every field of event.proto is shown, with its value") {
  // What is shown under another name, or in another shape.
  const std::map<std::string, std::pair<std::string, std::string>> other = {
      {"occurred_at_ms", {"occurred_at", "1970-01-01T00:00:00.001Z"}},
      {"received_at_ms", {"received_at", "1970-01-01T00:00:00.001Z"}},
      {"published_at_ms", {"published_at", "1970-01-01T00:00:00.001Z"}},
      {"clock_synced", {"clock", "synced"}},
      {"details", {"detail_k", "v"}}};
  std::string everything;
  for (const auto& [name, field] : support::event_fields()) {
    CAPTURE(name);
    everything += support::encoded_field(field);
    Event event;
    REQUIRE(event.ParseFromString(support::encoded_field(field)));
    const auto members = boost::json::parse(text_of(event)).as_object();
    if (const auto as = other.find(name); as != other.end()) {
      REQUIRE(members.contains(as->second.first));
      CHECK(members.at(as->second.first).as_string() == as->second.second);
    } else {
      REQUIRE(members.contains(name));
      CHECK(members.at(name) == shown(field));
    }
  }
  // All at once: nothing hides another, and no name is used twice.
  Event event;
  REQUIRE(event.ParseFromString(everything));
  const auto members = boost::json::parse(text_of(event)).as_object();
  CHECK(members.size() == support::event_fields().size());
}

TEST_CASE("event as JSON: the same bytes, whatever the order of its maps") {
  Event one;
  Event two;
  for (int i = 0; i < 16; ++i) {
    (*one.mutable_details())["key" + std::to_string(i)] = "v";
    (*two.mutable_details())["key" + std::to_string(15 - i)] = "v";
  }
  CHECK(text_of(one) == text_of(two));
}

TEST_CASE("event as JSON: what is known of its place stands beside it, what is not is left out") {
  const std::string bare = R"({"schema_version":0,"occurred_at":"1970-01-01T00:00:00.000Z","utc_offset_minutes":0,)"
                           R"("received_at":"1970-01-01T00:00:00.000Z","clock":"unsynced"})";
  CHECK(text_of({}) == bare);
  const std::string placed =
      R"({"schema_version":0,"gateway_id":"shop","epoch":"ab","seq":7,"occurred_at":"1970-01-01T00:00:00.000Z",)"
      R"("utc_offset_minutes":0,"received_at":"1970-01-01T00:00:00.000Z","clock":"unsynced","published_at":"2025-11-24T16:00:00.123Z",)"
      R"("possible_repeat":true})";
  Event event;
  event.set_gateway_id("shop");
  event.set_epoch("ab");
  event.set_seq(7);
  event.set_published_at_ms(1'764'000'000'123);
  event.set_possible_repeat(true);
  CHECK(text_of(event) == placed);
}

TEST_CASE("event as JSON: a bridge's own notice says nothing of a clock") {
  Event event;
  event.set_source(std::string(wire::kBridgeSource));
  CHECK_FALSE(boost::json::parse(text_of(event)).as_object().contains("clock"));
  event.set_source("http");
  CHECK(boost::json::parse(text_of(event)).as_object().contains("clock"));
}

TEST_CASE("event as JSON: a name from outside cannot leave its string") {
  Event event;
  (*event.mutable_details())["a\":1,\"b"] = "\"}";
  (*event.mutable_attributes())["\n"] = "\x01";
  const auto members = boost::json::parse(text_of(event)).as_object();
  CHECK(members.at("detail_a\":1,\"b").as_string() == "\"}");
  CHECK(members.at("attributes").as_object().at("\n").as_string() == "\x01");
}

TEST_CASE("event as JSON: a time that nobody can write is left out") {
  Event event;
  event.set_occurred_at_ms(INT64_MIN);
  event.set_received_at_ms(INT64_MAX);
  CHECK(text_of(event) == R"({"schema_version":0,"utc_offset_minutes":0,"clock":"unsynced"})");
}
