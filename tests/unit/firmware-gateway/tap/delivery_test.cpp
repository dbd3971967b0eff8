#include "firmware-gateway/tap/delivery.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "firmware-gateway/tap/gateway_end.hpp"

namespace {

using namespace std::chrono_literals;
using redact::Field;
using tap::Delivery;

constexpr std::size_t plenty = 1024 * 1024;

base::Now at(std::chrono::milliseconds since) { return {.instant = base::Instant(since), .utc = base::UtcTime(since)}; }

redact::Draft draft(const std::string& ref) {
  redact::Draft made;
  made.fields.text(Field::terminal_ref) = ref;
  made.card_number.append("4111111111111111");
  return made;
}

// The gateway: what was sent to it, as "1:a" (id and reference) or "2:lost 3".
std::vector<std::string> arrived(const base::Bytes& bytes) {
  std::vector<std::string> all;
  tap::GatewayEnd end;
  end.add(bytes);
  while (true) {
    auto next = end.next();
    if (const auto* const copy = std::get_if<tap::Copy>(&next)) {
      all.push_back(std::to_string(copy->id) + ":" + copy->draft.fields.text(Field::terminal_ref));
    } else if (const auto* const told = std::get_if<tap::ToldLoss>(&next)) {
      all.push_back(std::to_string(told->id) + ":lost " + std::to_string(told->loss.count));
    } else {
      CHECK(std::holds_alternative<tap::GatewayEnd::NeedMore>(next));
      return all;
    }
  }
}

using Arrived = std::vector<std::string>;

Arrived sent(Delivery& delivery, std::chrono::milliseconds when = 0s) {
  return arrived(delivery.to_send(base::Instant(when)));
}

base::Bytes stored(tap::CopyId id, bool duplicate = false) {
  return tap::to_frame(id, terminal::Stored{.event_id = "e", .epoch = "f", .seq = 1, .duplicate = duplicate});
}
base::Bytes refused(tap::CopyId id, redact::Reason reason, std::chrono::seconds retry_after = 0s) {
  return tap::to_frame(id, terminal::Refusal{reason, "type", "is x", retry_after});
}

void put(Delivery& delivery, const std::vector<std::string>& refs) {
  for (const auto& ref : refs) CHECK(delivery.put(draft(ref), at(0s)));
}

// Room for so many drafts with a reference of one letter.
std::size_t room_for(std::size_t copies) {
  return copies * (tap::to_frame(1, draft("a")).size() + Delivery::overhead_bytes);
}

}  // namespace

TEST_CASE("delivery: copies wait for the gateway, go in their order, and are gone when they are stored") {
  Delivery delivery(plenty);
  put(delivery, {"a", "b"});
  CHECK(sent(delivery).empty());
  delivery.on_connected();
  CHECK(sent(delivery) == Arrived{"1:a", "2:b"});
  CHECK(sent(delivery).empty());
  put(delivery, {"c"});
  CHECK(sent(delivery) == Arrived{"3:c"});
  CHECK(delivery.on_bytes(stored(1) + stored(2, true), base::Instant(0s)));
  CHECK(delivery.waiting() == 1);
  CHECK(delivery.on_bytes(stored(3), base::Instant(0s)));
  CHECK(delivery.idle());
  CHECK(delivery.bytes() == 0);
  CHECK(delivery.counts().stored == 3);
  CHECK(delivery.counts().repeated == 1);
}

TEST_CASE("delivery: what was not acknowledged is sent again on the next connection, in its order") {
  Delivery delivery(plenty);
  put(delivery, {"a", "b", "c"});
  delivery.on_connected();
  CHECK(sent(delivery).size() == 3);
  CHECK(delivery.on_bytes(stored(2), base::Instant(0s)));
  delivery.on_disconnected();
  CHECK(sent(delivery).empty());
  delivery.on_connected();
  CHECK(sent(delivery) == Arrived{"1:a", "3:c"});
}

TEST_CASE("delivery: an answer that was cut off on one connection does not go on on the next") {
  Delivery delivery(plenty);
  put(delivery, {"a"});
  delivery.on_connected();
  CHECK(sent(delivery).size() == 1);
  CHECK(delivery.on_bytes(stored(1).substr(0, 5), base::Instant(0s)));
  delivery.on_disconnected();
  delivery.on_connected();
  CHECK(sent(delivery) == Arrived{"1:a"});
  CHECK(delivery.on_bytes(stored(1), base::Instant(0s)));
  CHECK(delivery.idle());
}

TEST_CASE("delivery: what the gateway cannot take now is kept, and sent again after the time that it said") {
  Delivery delivery(plenty);
  put(delivery, {"a", "b", "c"});
  delivery.on_connected();
  CHECK(sent(delivery).size() == 3);
  CHECK(delivery.on_bytes(refused(1, redact::Reason::busy, 5s), base::Instant(10s)));
  put(delivery, {"d"});
  // Nothing overtakes: first all that is under way is answered.
  CHECK(sent(delivery, 60s).empty());
  CHECK_FALSE(delivery.wakeup_at());
  CHECK(delivery.on_bytes(stored(2) + refused(3, redact::Reason::storage, 1s), base::Instant(10s)));
  CHECK(delivery.wakeup_at() == base::Instant(15s));
  CHECK(sent(delivery, 14'999ms).empty());
  CHECK(sent(delivery, 15s) == Arrived{"1:a", "3:c", "4:d"});
  CHECK(delivery.counts().postponed == 2);
}

TEST_CASE("delivery: waiting has bounds, whatever the gateway says") {
  for (const auto& [said, wait] : {std::pair{0s, 1s}, std::pair{100'000s, 30s}}) {
    Delivery delivery(plenty);
    put(delivery, {"a"});
    delivery.on_connected();
    CHECK(sent(delivery).size() == 1);
    CHECK(delivery.on_bytes(refused(1, redact::Reason::busy, said), base::Instant(0s)));
    CHECK(delivery.wakeup_at() == base::Instant(wait));
  }
}

TEST_CASE("delivery: a new connection does not wait for what an old one was told") {
  Delivery delivery(plenty);
  put(delivery, {"a"});
  delivery.on_connected();
  CHECK(sent(delivery).size() == 1);
  CHECK(delivery.on_bytes(refused(1, redact::Reason::busy, 30s), base::Instant(0s)));
  delivery.on_disconnected();
  delivery.on_connected();
  CHECK(sent(delivery, 1s) == Arrived{"1:a"});
}

TEST_CASE("delivery: what the gateway will never store is dropped, counted, and told without a value") {
  Delivery delivery(plenty);
  put(delivery, {"a"});
  delivery.on_connected();
  CHECK(sent(delivery).size() == 1);
  CHECK(delivery.on_bytes(refused(1, redact::Reason::invalid_field), base::Instant(0s)));
  CHECK(delivery.idle());
  CHECK(delivery.counts().refused == 1);
  const auto told = delivery.take_refused();
  REQUIRE(told.size() == 1);
  CHECK(told.front().code == "invalid_field");
  CHECK(told.front().field == "type");
  CHECK(delivery.take_refused().empty());
}

TEST_CASE("delivery: no more than the window is under way") {
  Delivery delivery(plenty);
  for (std::size_t i = 0; i < Delivery::window_copies + 1; ++i) put(delivery, {"a"});
  delivery.on_connected();
  CHECK(sent(delivery).size() == Delivery::window_copies);
  CHECK(sent(delivery).empty());
  CHECK(delivery.on_bytes(stored(1), base::Instant(0s)));
  CHECK(sent(delivery) == Arrived{std::to_string(Delivery::window_copies + 1) + ":a"});
}

TEST_CASE("delivery: with no room the newest is dropped; one loss tells how many, where they would have stood") {
  Delivery delivery(room_for(2));
  put(delivery, {"a", "b"});
  CHECK_FALSE(delivery.put(draft("c"), at(5s)));
  CHECK_FALSE(delivery.put(draft("d"), at(7s)));
  CHECK(delivery.counts().lost == 2);
  CHECK(delivery.untold_lost() == 2);
  CHECK(delivery.bytes() <= delivery.memory_bytes());
  delivery.on_connected();
  const base::Bytes bytes = delivery.to_send(base::Instant(0s));
  CHECK(arrived(bytes) == Arrived{"1:a", "2:b", "3:lost 2"});
  // Under way: the next one needs a loss of its own.
  CHECK_FALSE(delivery.put(draft("e"), at(8s)));
  CHECK(delivery.on_bytes(stored(1) + stored(2), base::Instant(0s)));
  put(delivery, {"f"});
  CHECK(sent(delivery) == Arrived{"4:lost 1", "5:f"});
  CHECK(delivery.untold_lost() == 3);
  CHECK(delivery.on_bytes(stored(3) + stored(4) + stored(5), base::Instant(0s)));
  CHECK(delivery.untold_lost() == 0);
  CHECK(delivery.counts().lost == 3);
  CHECK(delivery.counts().stored == 3);
}

TEST_CASE("delivery: a loss tells the time from its first to its last, and survives a disconnect") {
  Delivery delivery(0);
  CHECK_FALSE(delivery.put(draft("a"), at(5s)));
  CHECK_FALSE(delivery.put(draft("b"), at(7s)));
  delivery.on_connected();
  static_cast<void>(delivery.to_send(base::Instant(0s)));
  delivery.on_disconnected();
  CHECK_FALSE(delivery.put(draft("c"), at(9s)));
  delivery.on_connected();
  tap::GatewayEnd end;
  end.add(delivery.to_send(base::Instant(0s)));
  const auto next = end.next();
  const auto& told = std::get<tap::ToldLoss>(next);
  CHECK(told.loss.count == 3);
  CHECK(told.loss.first_at == base::UtcTime(5s));
  CHECK(told.loss.last_at == base::UtcTime(9s));
}

TEST_CASE("delivery: an answer to nothing that is under way changes nothing") {
  Delivery delivery(plenty);
  put(delivery, {"a"});
  delivery.on_connected();
  CHECK(delivery.on_bytes(stored(1) + stored(99), base::Instant(0s)));
  CHECK(sent(delivery) == Arrived{"1:a"});
  CHECK(delivery.on_bytes(stored(1) + stored(1), base::Instant(0s)));
  CHECK(delivery.counts().stored == 1);
}

TEST_CASE("delivery: what is no answer ends the connection") {
  Delivery delivery(plenty);
  delivery.on_connected();
  CHECK_FALSE(delivery.on_bytes(base::Bytes("\0\0\0\1\xFF", 5), base::Instant(0s)));
}
