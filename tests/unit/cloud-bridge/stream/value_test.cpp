#include "cloud-bridge/stream/value.hpp"

#include <doctest/doctest.h>

#include <boost/json.hpp>

#include "cloud-bridge/stream/notice.hpp"
#include "cloud-bridge/stream/record.hpp"
#include "proto/platform/system.hpp"
#include "tests/support/event_fields.hpp"

namespace {

using stream::Encoding;
using stream::ValueFormat;
using tillstream::v1::Event;

// Every field, but for those that only the bridge sets.
Event full_event() {
  std::string bytes;
  for (const auto& [name, field] : support::event_fields()) {
    if (field.number < 60 || field.number >= 70) bytes += support::encoded_field(field);
  }
  Event event;
  REQUIRE(event.ParseFromString(bytes));
  event.set_type("sale");
  for (int i = 0; i < 16; ++i) (*event.mutable_attributes())["key" + std::to_string(i)] = "v";
  return event;
}

stream::Publication publication() {
  return {.gateway_id = "shop-0017",
          .epoch = {.bytes = {0xab}},
          .seq = handoff::Seq(42),
          .published_at = base::UtcTime(std::chrono::milliseconds(1'764'000'000'123)),
          .possible_repeat = true};
}

const ValueFormat kProtobuf{.encoding = Encoding::protobuf};

}  // namespace

TEST_CASE("value: protobuf says the same as JSON, field for field") {
  const auto json = stream::render_event(full_event(), publication());
  const auto protobuf = stream::render_event(full_event(), publication(), kProtobuf);
  CHECK(stream::value_as_json("application/protobuf", protobuf.value) == json.value);
  CHECK(stream::value_as_json("application/json", json.value) == json.value);
  Event read;
  REQUIRE(read.ParseFromString(protobuf.value));
  CHECK(read.gateway_id() == "shop-0017");
  CHECK(read.epoch() == json.epoch);
  CHECK(read.seq() == 42);
  CHECK(read.published_at_ms() == 1'764'000'000'123);
  CHECK(read.possible_repeat());
  // But for the value and its content type, a record is the same.
  auto other = protobuf;
  other.encoding = json.encoding;
  other.value = json.value;
  CHECK(other == json);
}

TEST_CASE("value: a bridge's own notice is the same event in both encodings") {
  const stream::Notice notice{.name = "events_lost",
                              .gateway_id = "shop-1",
                              .place = std::nullopt,
                              .details = {{"reason", "restored_image"}, {"first_seq", "7"}},
                              .published_at = base::UtcTime(std::chrono::milliseconds(5))};
  const auto json = stream::render_notice(notice, platform::hasher());
  const auto protobuf = stream::render_notice(notice, platform::hasher(), kProtobuf);
  CHECK(protobuf.event_id == json.event_id);
  CHECK(stream::value_as_json("application/protobuf", protobuf.value) == json.value);
  CHECK(boost::json::parse(json.value).as_object().at("source").as_string() == "bridge");
}

TEST_CASE("value: the header says how it is written") {
  const auto type_of = [](const stream::Record& record) {
    std::string found;
    stream::each_header(record, [&](std::string_view name, std::string_view value) {
      if (name == "content-type") found = value;
    });
    return found;
  };
  CHECK(type_of(stream::render_event(full_event(), publication())) == "application/json");
  CHECK(type_of(stream::render_event(full_event(), publication(), kProtobuf)) == "application/protobuf");
}

TEST_CASE("value: the same event gives the same protobuf bytes, whatever the order of its maps") {
  Event one;
  Event other;
  for (int i = 0; i < 16; ++i) {
    (*one.mutable_attributes())["key" + std::to_string(i)] = "v";
    (*other.mutable_attributes())["key" + std::to_string(15 - i)] = "v";
  }
  CHECK(stream::write_value(one, kProtobuf) == stream::write_value(other, kProtobuf));
}

TEST_CASE("value: a schema registry's framing stands before it, as Confluent's serializers write it") {
  // Confluent's own serializer writes 00 00000001 00 before a file's first message.
  CHECK(stream::registry_prefix(1) == std::string("\0\0\0\0\1\0", 6));
  CHECK(stream::registry_prefix(0x80fe0102) == std::string("\0\x80\xfe\1\2\0", 6));
  const ValueFormat framed{.encoding = Encoding::protobuf, .prefix = stream::registry_prefix(7)};
  const auto plain = stream::write_value(full_event(), kProtobuf);
  const auto value = stream::write_value(full_event(), framed);
  CHECK(value == framed.prefix + plain);
  const auto json = stream::value_as_json("application/protobuf", plain);
  REQUIRE(json.has_value());
  CHECK(stream::value_as_json("application/protobuf", value) == json);
  // The long form of the same, which others write.
  CHECK(stream::value_as_json("application/protobuf", std::string("\0\0\0\0\7\2\0", 7) + plain) == json);
}

TEST_CASE("value: what is none of ours is not shown, and why is told without what it holds") {
  const auto why = [](std::string_view content_type, std::string_view value) {
    const auto shown = stream::value_as_json(content_type, value);
    return shown ? "shown" : shown.error();
  };
  const std::string readable = "; readable: application/json, application/protobuf";
  CHECK(why("application/json", R"({"a":1})") == "shown");
  CHECK(why("application/json", "4111111111111111") == "is application/json, and no object");
  CHECK(why("application/json", "") == "is application/json, and no object");
  CHECK(why("application/protobuf", "\xff\xff") == "is application/protobuf, and no tillstream.v1.Event");
  CHECK(why("", "{}") == "has no header content-type" + readable);
  CHECK(why("text/plain; charset=utf-8", "{}") == "is text/plain; charset=utf-8" + readable);
  for (const std::string& odd : {std::string("text/\xff"), std::string("a\"b"), std::string(65, 'a')})
    CHECK(why(odd, "{}") == "has another content-type" + readable);
}

TEST_CASE("value: what is not what its content type says is not shown as an event") {
  const auto plain = stream::write_value(full_event(), kProtobuf);
  CHECK_FALSE(stream::value_as_json("application/protobuf", "\xff\xff").has_value());
  CHECK_FALSE(stream::value_as_json("text/plain", plain).has_value());
  CHECK_FALSE(stream::value_as_json("", plain).has_value());
  // The file's second message.
  CHECK_FALSE(stream::value_as_json("application/protobuf", std::string("\0\0\0\0\7\2\2", 7) + plain).has_value());
  for (std::size_t size = 1; size < 6; ++size) {
    CHECK_FALSE(
        stream::value_as_json("application/protobuf", std::string("\0\0\0\0\7", 5).substr(0, size)).has_value());
  }
}
