#include <doctest/doctest.h>

#include "cloud-bridge/bridge/backoff.hpp"
#include "cloud-bridge/bridge/budget.hpp"
#include "cloud-bridge/bridge/counters.hpp"
#include "cloud-bridge/bridge/gathering.hpp"
#include "cloud-bridge/bridge/outbox.hpp"
#include "cloud-bridge/bridge/row_schedule.hpp"
#include "cloud-bridge/bridge/seen.hpp"
#include "proto/platform/system.hpp"
#include "tests/support/seeded_random.hpp"

using namespace std::chrono_literals;

TEST_CASE("budget: takes nothing that does not fit, and everything again once it was given back") {
  bridge::Budget budget(1000 * bridge::Budget::growth);
  CHECK(budget.fits(1000));
  CHECK_FALSE(budget.fits(1001));
  budget.charge(4);
  CHECK_FALSE(budget.fits(1000));
  budget.give_back(4);
  CHECK(budget.fits(1000));
}

TEST_CASE("budget: shares of all active gateways together stay within it, down to room for one record each") {
  const std::uint64_t bytes = 256 * 1024 * 1024;
  bridge::Budget budget(bytes);
  CHECK(budget.share(0) == bridge::Budget::share_max);
  CHECK(budget.share(1) == bridge::Budget::share_max);
  for (const std::uint64_t active : {100ULL, 500ULL, 1000ULL})
    CHECK(active * budget.share(active) * bridge::Budget::growth <= bytes);
  CHECK(budget.share(100'000) == bridge::Budget::share_min);
  budget.charge(2 * bytes);
  CHECK(budget.share(1) == bridge::Budget::share_min);
}

TEST_CASE("backoff: grows to its cap with full jitter, never below its floor, and starts over when reset") {
  support::SeededRandom random(7);
  bridge::Backoff backoff;
  CHECK(backoff.next(random) < bridge::Backoff::base);
  auto longest = 0ms;
  for (int i = 0; i < 200; ++i) {
    const auto wait = backoff.next(random);
    CHECK(wait >= bridge::Backoff::floor);
    CHECK(wait <= bridge::Backoff::cap);
    longest = std::max(longest, wait);
  }
  CHECK(longest > bridge::Backoff::cap / 2);
  backoff.reset();
  for (int i = 0; i < 1; ++i) CHECK(backoff.next(random) < bridge::Backoff::base);
}

TEST_CASE("histogram: each time is counted in the first class that holds it") {
  bridge::Histogram histogram;
  histogram.add(250us);
  histogram.add(251us);
  histogram.add(1h);
  CHECK(histogram.in_class(0) == 1);
  CHECK(histogram.in_class(1) == 1);
  CHECK(histogram.in_class(bridge::Histogram::bounds_us.size()) == 1);
  CHECK(histogram.count() == 3);
}

TEST_CASE("seen: knows the last digests_max at least, and holds at most twice as many") {
  bridge::Seen seen(100);
  for (int i = 0; i < 1000; ++i) CHECK(seen.add(std::to_string(i)));
  for (int i = 900; i < 1000; ++i) CHECK_FALSE(seen.add(std::to_string(i)));
  CHECK(seen.add("0"));
}

TEST_CASE(
    "outbox: a gateway gets at most its last answer and then the newest place, in the order in which gateways came") {
  bridge::Outbox outbox;
  const auto ack = [](std::uint64_t seq, std::optional<std::uint64_t> nonce = {}) {
    tillstream::v1::Ack made;
    made.set_seq(seq);
    if (nonce) made.set_nonce(*nonce);
    return made;
  };
  outbox.put("a", ack(1));
  outbox.put("b", ack(10));
  outbox.put("a", ack(2));
  outbox.put("a", ack(2, 77));
  outbox.put("a", ack(2));  // says nothing that the answer does not say
  outbox.put("a", ack(3));
  outbox.put("a", ack(4));
  auto letter = outbox.take();
  CHECK((letter->gateway_id == "a" && letter->ack.nonce() == 77));
  letter = outbox.take();
  CHECK((letter->gateway_id == "a" && letter->ack.seq() == 4 && !letter->ack.has_nonce()));
  CHECK(outbox.take()->gateway_id == "b");
  CHECK_FALSE(outbox.take());
  CHECK(outbox.empty());
}

namespace {

bridge::Bundle bundle(progress::Gateway* gateway, std::uint64_t ticket, std::size_t records) {
  bridge::Bundle made;
  made.gateway = gateway;
  made.ticket = handoff::Ticket(ticket);
  made.records.resize(records);
  made.progress.emplace().set_seq(ticket);
  return made;
}

}  // namespace

TEST_CASE("gathering: what comes together stays together, in order, in transactions that keep their limit") {
  progress::Gateway one(platform::hasher(), "one", {}, std::nullopt);
  progress::Gateway two(platform::hasher(), "two", {}, std::nullopt);
  bridge::Gathering gathering({.events = 10, .bytes = 1 << 20});
  gathering.add(bundle(&one, 1, 4));
  gathering.add(bundle(&two, 1, 4));
  gathering.add(bundle(&one, 2, 2));
  gathering.add(bundle(&one, 3, 1));
  gathering.add(bundle(&two, 2, 30));
  const std::uint64_t bytes = gathering.bytes();
  const auto first = gathering.take();
  CHECK(first.transaction.records.size() == 10);
  CHECK(first.transaction.progress.size() == 2);
  // In the order in which they came: acks follow it.
  REQUIRE(first.issues.size() == 2);
  CHECK(first.issues[0].gateway == &one);
  CHECK(first.issues[0].ticket == handoff::Ticket(2));
  CHECK(first.transaction.progress[0].seq() == 2);
  CHECK(first.issues[1].gateway == &two);
  const auto second = gathering.take();
  CHECK(second.transaction.records.size() == 1);
  const auto third = gathering.take();
  CHECK(third.transaction.records.size() == 30);
  CHECK(first.bytes + second.bytes + third.bytes == bytes);
  CHECK((gathering.empty() && gathering.bytes() == 0 && gathering.events() == 0));
}

TEST_CASE(
    "row schedule: a row is written at once, then not again before its interval is over, however often there is news") {
  progress::Gateway gateway(platform::hasher(), "one", {}, std::nullopt);
  bridge::RowSchedule rows;
  const base::Instant start{};
  rows.note(gateway, 1, start);
  CHECK(rows.take(start) == &gateway);
  for (int i = 0; i < 10; ++i) rows.note(gateway, 1, start + 10ms);
  CHECK_FALSE(rows.due(start + bridge::RowSchedule::interval_min - 1ms));
  CHECK(rows.next() == start + bridge::RowSchedule::interval_min);
  CHECK(rows.take(start + bridge::RowSchedule::interval_min) == &gateway);
  CHECK(rows.take(start + 1h) == nullptr);
}

TEST_CASE("row schedule: with many gateways each rests longer, so that all together keep the rate") {
  progress::Gateway gateway(platform::hasher(), "one", {}, std::nullopt);
  bridge::RowSchedule rows;
  const base::Instant start{};
  const std::size_t gateways = 100'000;
  rows.note(gateway, gateways, start);
  CHECK(rows.take(start) != nullptr);
  rows.note(gateway, gateways, start);
  const auto rest = *rows.next() - start;
  CHECK(static_cast<double>(gateways) / std::chrono::duration<double>(rest).count() <=
        bridge::RowSchedule::rows_per_second);
}
