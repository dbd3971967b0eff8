// A shard group whose stream, broker or memory fails it.
#include "tests/unit/cloud-bridge/bridge/shard_group_bench.hpp"

using namespace bench;

TEST_CASE(
    "shard group: an uncertain commit is never guessed: whichever way it went, each event is in the stream once") {
  for (const auto fault : {test::CommitFault::before_commit, test::CommitFault::after_commit}) {
    CAPTURE(static_cast<int>(fault));
    Rig rig;
    rig.start();
    ScriptedGateway gateway(platform::hasher(), "shop-1");
    rig.greet(gateway);
    gateway.append_events(6);
    rig.say(gateway, gateway.batch(1, 2));
    rig.settle();
    rig.sent.clear();
    rig.store.next_fault = fault;
    rig.say(gateway, gateway.batch(3, 4));
    rig.poll();
    rig.say(gateway, gateway.batch(5, 6));  // gathers behind the one whose outcome nobody will know
    rig.settle();
    CHECK(rig.counters.transactions_lost == 1);
    CHECK(rig.acks(gateway).empty());
    CHECK(rig.group.owned());
    CHECK(rig.budget.used() == 0);
    CHECK(rig.sent.size() == 256);  // Owner: everyone says Hello again
    rig.sent.clear();
    rig.say(gateway, gateway.hello(2));
    rig.settle();
    REQUIRE(rig.acks(gateway).size() == 1);
    CHECK(rig.acks(gateway)[0].progress().seq() == (fault == test::CommitFault::after_commit ? 4 : 2));
    rig.say(gateway, gateway.batch(3, 6));
    rig.settle();
    CHECK(rig.seqs(gateway) == Seqs{1, 2, 3, 4, 5, 6});
  }
}

TEST_CASE("shard group: after on_lost nothing is acked, published or begun until the partition is ours again") {
  Rig rig;
  rig.start();
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  rig.greet(gateway);
  gateway.append_events(2);
  rig.say(gateway, gateway.batch(1, 1));
  rig.transactions.clear();
  rig.group.on_lost("fenced", rig.now);
  rig.say(gateway, gateway.batch(1, 2));
  rig.say(gateway, gateway.hello(9));
  rig.poll();
  CHECK(rig.sent.empty());
  CHECK(rig.transactions.empty());
  CHECK(rig.counters.unowned == 2);
  CHECK(rig.group.lost_reason() == "fenced");
  CHECK(rig.budget.used() == 0);
}

TEST_CASE("shard group: a partition that stays lost gives its connection up after a while") {
  Rig rig;
  rig.start();
  rig.group.on_lost("another owner", rig.now);
  rig.poll();
  CHECK(rig.disconnects == 0);
  CHECK(rig.group.wakeup_at() == rig.now.instant + rig.group.settings().linger);
  rig.advance(rig.group.settings().linger);
  rig.poll();
  CHECK(rig.disconnects == 1);
}

TEST_CASE("shard group: while the stream takes nothing every credit is zero, and reopening is told at once") {
  Rig rig;
  rig.start();
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  rig.greet(gateway);
  gateway.append_events(3);
  rig.say(gateway, gateway.batch(1, 1));
  rig.poll();
  rig.store.blocked = "full";
  rig.settle();
  REQUIRE_FALSE(rig.acks(gateway).empty());
  CHECK(rig.acks(gateway).back().seq() == 1);
  rig.sent.clear();
  rig.say(gateway, gateway.batch(2, 2));
  rig.say(gateway, gateway.hello(2));
  rig.settle();
  CHECK(rig.counters.over_budget == 1);
  REQUIRE_FALSE(rig.acks(gateway).empty());
  CHECK(rig.acks(gateway).back().credit_bytes() == 0);
  rig.sent.clear();
  rig.store.blocked.clear();
  rig.stream().blocked_changed();
  rig.settle();
  REQUIRE_FALSE(rig.acks(gateway).empty());
  CHECK(rig.acks(gateway).back().credit_bytes() > 0);
  rig.say(gateway, gateway.batch(2, 3));
  rig.settle();
  CHECK(rig.seqs(gateway) == Seqs{1, 2, 3});
}

TEST_CASE("shard group: memory keeps to the budget whatever comes while a commit hangs, and nothing is lost by it") {
  Rig rig({}, 4 << 20);
  rig.start();
  std::vector<std::unique_ptr<ScriptedGateway>> gateways;
  for (int i = 0; i < 40; ++i) {
    gateways.push_back(std::make_unique<ScriptedGateway>(platform::hasher(), "shop-" + std::to_string(i), i + 1));
    gateways.back()->append_events(300);
    rig.greet(*gateways.back());
  }
  rig.say(*gateways[0], gateways[0]->batch(1, 1));
  rig.poll();
  const std::string first = gateways[0]->batch(2, 300);
  rig.say(*gateways[0], first);
  const std::uint64_t of_one = rig.budget.used();
  for (std::size_t i = 1; i < gateways.size(); ++i) {
    rig.say(*gateways[i], gateways[i]->batch(1, 300));
    CHECK(rig.budget.used() <= rig.budget.bytes_max() + of_one);
  }
  CHECK(rig.counters.over_budget > 0);
  rig.settle();
  CHECK(rig.budget.used() == 0);
  for (const auto& gateway : gateways) {
    rig.say(*gateway, gateway->batch(1, 300));
    rig.settle();
    CHECK(rig.seqs(*gateway).size() == 300);
  }
}

TEST_CASE("shard group: reconnects with back-off, never before its time, and greets again") {
  Rig rig;
  rig.start();
  rig.connects.clear();
  for (int attempt = 0; attempt < 5; ++attempt) {
    rig.group.on_offline("cut", rig.now);
    rig.poll();
    CHECK(rig.connects.empty());
    const auto wakeup = rig.group.wakeup_at();
    REQUIRE(wakeup);
    CHECK(*wakeup >= rig.now.instant + bridge::Backoff::floor);
    rig.advance(*wakeup - rig.now.instant - 1us);
    rig.poll();
    CHECK(rig.connects.empty());
    rig.advance(1us);
    rig.poll();
    REQUIRE(rig.connects.size() == 1);
    rig.connects.clear();
  }
  rig.online();
  rig.settle();
  CHECK(rig.sent.size() == 256);
}

TEST_CASE("shard group: a stop finishes the running transaction with its acks and begins nothing more") {
  Rig rig;
  rig.start();
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  rig.greet(gateway);
  gateway.append_events(3);
  rig.say(gateway, gateway.batch(1, 1));
  rig.poll();
  rig.say(gateway, gateway.batch(2, 2));
  rig.group.stop();
  rig.poll();
  CHECK_FALSE(rig.group.idle());
  rig.say(gateway, gateway.batch(3, 3));
  rig.settle();
  CHECK(rig.group.idle());
  CHECK(rig.acks(gateway).back().seq() == 1);
  CHECK(rig.seqs(gateway) == Seqs{1});
}
