#include "firmware-gateway/terminal/framed.hpp"

#include <doctest/doctest.h>

#include "firmware-gateway/terminal/json_event.hpp"
#include "proto/wire/framed.pb.h"

using redact::Field;
using terminal::FrameReader;
using terminal::Reason;
using terminal::Refusal;
using terminal::Stored;

namespace {

std::string length(std::uint32_t bytes) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(bytes >> shift);
  return text;
}

std::string frame(std::string_view payload) {
  return length(static_cast<std::uint32_t>(payload.size())) + std::string(payload);
}

std::string payload_of(const FrameReader::Next& next) {
  REQUIRE(std::holds_alternative<FrameReader::Frame>(next));
  return std::string(std::get<FrameReader::Frame>(next).payload);
}

bool needs_more(FrameReader& reader) { return std::holds_alternative<FrameReader::NeedMore>(reader.next()); }
bool too_large(FrameReader& reader) { return std::holds_alternative<FrameReader::TooLarge>(reader.next()); }

tillstream::v1::Answer answer_in(const std::string& bytes) {
  FrameReader reader;
  reader.add(bytes);
  tillstream::v1::Answer answer;
  REQUIRE(answer.ParseFromString(payload_of(reader.next())));
  return answer;
}

}  // namespace

TEST_CASE("framed: frames come out whole, however the bytes are cut") {
  const std::string bytes = frame("first") + frame("") + frame(std::string(300, 'x'));
  for (const std::size_t cut :
       {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}, std::size_t{100}, bytes.size()}) {
    FrameReader reader;
    std::vector<std::string> frames;
    for (std::size_t at = 0; at < bytes.size(); at += cut) {
      reader.add(std::string_view(bytes).substr(at, cut));
      for (auto next = reader.next(); std::holds_alternative<FrameReader::Frame>(next); next = reader.next())
        frames.push_back(payload_of(next));
    }
    CHECK(frames == std::vector<std::string>{"first", "", std::string(300, 'x')});
    CHECK_FALSE(reader.mid_frame());
  }
}

TEST_CASE("framed: a frame that is cut off is known as such") {
  FrameReader reader;
  CHECK_FALSE(reader.mid_frame());
  reader.add(std::string_view("\0\0", 2));
  CHECK(needs_more(reader));
  CHECK(reader.mid_frame());
  reader.add(
      std::string_view("\0\x05"
                       "abcd",
                       6));
  CHECK(needs_more(reader));
  CHECK(reader.mid_frame());
  reader.add("e");
  CHECK(payload_of(reader.next()) == "abcde");
  CHECK_FALSE(reader.mid_frame());
}

TEST_CASE("framed: 64 KiB is a frame, one byte more closes the reader for good, before anything is allocated") {
  FrameReader reader;
  reader.add(frame(std::string(terminal::frame_bytes_max, 'x')));
  CHECK(payload_of(reader.next()).size() == terminal::frame_bytes_max);
  reader.add(length(terminal::frame_bytes_max + 1));
  CHECK(too_large(reader));
  reader.add(frame("fine"));
  CHECK(too_large(reader));
  for (const std::uint32_t size : {0x80000000U, 0xFFFFFFFFU}) {
    FrameReader other;
    other.add(length(size));
    CHECK(too_large(other));
  }
}

TEST_CASE("framed: a Submit carries every field that JSON has, with the same values") {
  tillstream::v1::Submit submit;
  submit.set_type("sale");
  submit.set_terminal_id("T1");
  submit.set_occurred_at("2026-11-24T21:23:51Z");
  submit.set_amount_minor(0);
  submit.set_installments(3);
  submit.set_sales_count(42);
  submit.set_failed_count(0);
  submit.set_card_number("4111111111111111");
  submit.set_reason("timeout");
  (*submit.mutable_attributes())["table"] = "12";
  const auto draft = terminal::read_submit(submit.SerializeAsString());
  REQUIRE(draft);
  CHECK(draft->fields.source == redact::Source::framed);
  CHECK(draft->fields.text(Field::type) == "sale");
  CHECK(draft->fields.text(Field::terminal_id) == "T1");
  CHECK(draft->fields.text(Field::occurred_at) == "2026-11-24T21:23:51Z");
  CHECK(draft->fields.text(Field::reason) == "timeout");
  CHECK(draft->fields.text(Field::currency).empty());
  CHECK(draft->fields.number(Field::amount_minor) == 0);
  CHECK_FALSE(draft->fields.number(Field::tip_minor));
  CHECK(draft->fields.number(Field::installments) == 3);
  CHECK(draft->fields.number(Field::sales_count) == 42);
  CHECK(draft->fields.number(Field::failed_count) == 0);
  CHECK_FALSE(draft->fields.number(Field::refunds_minor));
  CHECK(draft->card_number.view() == "4111111111111111");
  CHECK(draft->fields.attributes.at("table") == "12");
}

TEST_CASE("framed: what is no Submit, or holds more than this gateway knows, is refused") {
  CHECK(terminal::read_submit("\xFF\xFF\xFF").error().reason == Reason::invalid_protobuf);
  CHECK(terminal::read_submit("\x0A\x05"
                              "ab")
            .error()
            .reason == Reason::invalid_protobuf);
  CHECK(terminal::read_submit("\xC2\x03\x01x").error().reason == Reason::invalid_field);  // field 56
  CHECK(terminal::read_submit("\x08\x01").error().reason == Reason::invalid_field);       // type as a number
  CHECK(terminal::read_submit(std::string(terminal::event_bytes_max + 1, 'x')).error().reason == Reason::too_large);
  CHECK(terminal::read_submit("").has_value());  // no field at all: ingest says which are missing
}

TEST_CASE("framed: a field or an attribute that comes twice is refused, as over HTTP") {
  const auto refusal = [](const tillstream::v1::Submit& once, const tillstream::v1::Submit& more) {
    const auto draft = terminal::read_submit(once.SerializeAsString() + more.SerializeAsString());
    return draft ? std::string("taken") : std::string(draft.error().field) + " " + draft.error().message;
  };
  tillstream::v1::Submit text;
  text.set_terminal_ref("A1");
  CHECK(refusal(text, text) == "terminal_ref is given twice");
  tillstream::v1::Submit number;
  number.set_amount_minor(7);
  CHECK(refusal(number, number) == "amount_minor is given twice");
  CHECK(refusal(text, number) == "taken");
  tillstream::v1::Submit card;
  card.set_card_number("4111111111111111");
  CHECK(refusal(card, card) == "card_number is given twice");
  tillstream::v1::Submit attribute;
  (*attribute.mutable_attributes())["a"] = "1";
  tillstream::v1::Submit other;
  (*other.mutable_attributes())["b"] = "1";
  CHECK(refusal(attribute, other) == "taken");
  CHECK(refusal(attribute, attribute) == "attributes holds a key twice");
}

TEST_CASE("framed: an attribute is a key and a value, each once, and nothing else") {
  const auto reason = [](std::string_view entry) {
    const auto draft =
        terminal::read_submit("\xB2\x02" + std::string(1, static_cast<char>(entry.size())) + std::string(entry));
    return draft ? "taken" : draft.error().message;
  };
  CHECK(reason("\x0A\x01k\x12\x01v") == "taken");
  CHECK(reason("\x12\x01v\x0A\x01k") == "taken");
  CHECK(reason("\x0A\x01k\x12\x01v\x12\x01w") == "holds an entry with two keys or values");
  CHECK(reason("\x0A\x01k\x0A\x01l\x12\x01v") == "holds an entry with two keys or values");
  CHECK(reason("\x0A\x01k\x1A\x01x") == "holds an entry with more than a key and a value");
  CHECK(reason("\x0A\x01k\x10\x01") == "holds an entry with more than a key and a value");
}

TEST_CASE("framed: answers are those of HTTP") {
  const auto stored =
      answer_in(terminal::to_frame(Stored{.event_id = "id", .epoch = "ab", .seq = 42, .duplicate = true}));
  CHECK(stored.status() == 200);
  CHECK(stored.event_id() == "id");
  CHECK(stored.epoch() == "ab");
  CHECK(stored.seq() == 42);
  CHECK(stored.duplicate());
  const auto refused = answer_in(terminal::to_frame(Refusal{Reason::busy, "type", "full", std::chrono::seconds(7)}));
  CHECK(refused.status() == 503);
  CHECK(refused.error_code() == "busy");
  CHECK(refused.error_field() == "type");
  CHECK(refused.error_message() == "full");
  CHECK(refused.retry_after_seconds() == 7);
}
