#include "cloud-bridge/stream/dead_letter.hpp"

#include <doctest/doctest.h>

#include "proto/platform/system.hpp"
#include "proto/wire/event.pb.h"

namespace {

tillstream::v1::Event record() {
  tillstream::v1::Event event;
  event.set_schema_version(1);
  event.set_type("sale");
  event.set_terminal_ref("ref-17");
  return event;
}

stream::DeadLetter letter_of(std::string_view payload, std::string_view epoch) {
  return stream::dead_letter({.gateway_id = "shop-1",
                              .topic = "tillstream/v1/up/00/shop-1",
                              .reason = "missing_field",
                              .epoch = epoch,
                              .at = base::UtcTime(std::chrono::milliseconds(5)),
                              .payload = payload},
                             platform::hasher());
}

}  // namespace

TEST_CASE("dead letter: digest and size are always kept, bytes only of a gateway's own record") {
  const std::string payload = record().SerializeAsString();
  const auto own = letter_of(payload, "abab");
  CHECK(own.payload == payload);
  CHECK(own.size == payload.size());
  CHECK(own.digest == base::to_hex(platform::hasher().sha256({payload}).view()));
  CHECK(own.reason == "missing_field");
  const auto foreign = letter_of(payload, "");
  CHECK_FALSE(foreign.payload.has_value());
  CHECK(foreign.size == payload.size());
  CHECK(foreign.digest == own.digest);
}

TEST_CASE("dead letter: nothing that could hold a card number is kept") {
  for (const char* digits : {"4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111",
                             "4.1.1.1.1.1.1.1.1.1.1.1.1", "x5105105105105100=2512", "1234567890123"}) {
    CAPTURE(digits);
    auto event = record();
    event.set_merchant_name(digits);
    CHECK_FALSE(stream::may_keep(event.SerializeAsString()));
  }
  for (const char* harmless :
       {"4111 11", "123456789012", "1  2  3  4  5  6  7  8  9  0  1  2  3", "Graben 21, 1010 Wien"}) {
    CAPTURE(harmless);
    auto event = record();
    event.set_merchant_name(harmless);
    CHECK(stream::may_keep(event.SerializeAsString()));
  }
}

TEST_CASE("dead letter: what is no record of ours is not kept") {
  CHECK_FALSE(stream::may_keep(""));
  CHECK_FALSE(stream::may_keep("\xff\xff"));
  CHECK_FALSE(stream::may_keep(record().SerializeAsString() + "\xfa\x07\x01x"));
  auto with_odd_id = record();
  with_odd_id.set_event_id("\x41\x11\x11\x11\x11\x11\x11\x11");
  CHECK_FALSE(stream::may_keep(with_odd_id.SerializeAsString()));
  auto large = record();
  large.set_merchant_name(std::string(stream::kDeadLetterBytesMax, 'x'));
  CHECK_FALSE(stream::may_keep(large.SerializeAsString()));
}

TEST_CASE("dead letter: a topic that may hold a card number is withheld, and so is the id in it") {
  for (const std::string id : {"4539578763621486", "4539-5787-6362-1486", "x4539578763621486"}) {
    const std::string topic = "tillstream/v1/up/00/" + id;
    const auto letter = stream::dead_letter(
        {.gateway_id = id, .topic = topic, .reason = "undecodable", .at = {}, .payload = "x"}, platform::hasher());
    CHECK(letter.gateway_id == "(withheld)");
    CHECK(letter.topic == "(withheld)");
  }
  const auto plain = stream::dead_letter({.gateway_id = "shop-0017",
                                          .topic = "tillstream/v1/up/c5/shop-0017",
                                          .reason = "undecodable",
                                          .at = {},
                                          .payload = "x"},
                                         platform::hasher());
  CHECK(plain.gateway_id == "shop-0017");
  CHECK(plain.topic == "tillstream/v1/up/c5/shop-0017");
}

TEST_CASE("dead letter: a foreign topic is bounded") {
  const std::string topic(60'000, 't');
  const auto letter = stream::dead_letter(
      {.gateway_id = "g", .topic = topic, .reason = "undecodable", .at = {}, .payload = "x"}, platform::hasher());
  CHECK(letter.topic.size() == stream::kDeadLetterTopicMax);
}
