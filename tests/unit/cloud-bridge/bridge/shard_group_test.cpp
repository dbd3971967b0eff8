// How an event goes through a shard group.
#include "tests/unit/cloud-bridge/bridge/shard_group_bench.hpp"

using namespace bench;

TEST_CASE("shard group: connects only once the partition is ours, greets each shard, then takes what comes") {
  Rig rig;
  rig.poll();
  CHECK(rig.connects.empty());
  rig.stream().open(rig);
  rig.settle();
  REQUIRE(rig.connects.size() == 1);
  CHECK(rig.connects[0] == std::vector<std::string>{"tillstream/v1/up/+/+"});
  CHECK(rig.sent.empty());
  rig.online();
  rig.settle();
  CHECK(rig.sent.size() == 256);
  CHECK(rig.sent[0].topic == "tillstream/v1/down/00/all");
  CHECK(rig.sent[255].topic == "tillstream/v1/down/ff/all");
}

TEST_CASE("shard group: a partition of several subscribes its own shards, and leaves the others' messages alone") {
  Rig rig({.partition = 1, .partitions = 4});
  rig.group.on_owned({}, true, rig.now);
  rig.poll();
  REQUIRE(rig.connects.size() == 1);
  CHECK(rig.connects[0].size() == 64);
  CHECK(rig.connects[0][0] == "tillstream/v1/up/01/+");
  std::uint64_t foreign = 0;
  for (int i = 0; i < 20; ++i) {
    ScriptedGateway gateway(platform::hasher(), "shop-" + std::to_string(i));
    rig.say(gateway, gateway.hello(1));
    foreign += std::stoul(gateway.up_topic().substr(17, 2), nullptr, 16) % 4 != 1 ? 1U : 0U;
  }
  CHECK(rig.counters.unowned == foreign);
  CHECK(rig.group.ledger().size() == 20 - foreign);
}

TEST_CASE("shard group: an event is acked when it is committed, and not before") {
  Rig rig;
  rig.start();
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  rig.greet(gateway);
  gateway.append_events(1);
  rig.transactions.clear();
  rig.say(gateway, gateway.batch(1, 1));
  rig.poll();
  CHECK(rig.transactions.size() == 1);  // no timer delays it
  CHECK(rig.acks(gateway).empty());
  REQUIRE(rig.stream_answers());
  rig.poll();
  REQUIRE(rig.acks(gateway).size() == 1);
  CHECK(rig.acks(gateway)[0].seq() == 1);
  CHECK(rig.acks(gateway)[0].credit_bytes() > 0);
  CHECK(rig.seqs(gateway) == Seqs{1});
}

TEST_CASE("shard group: the answer to a Hello carries its nonce and the whole progress, once that is committed") {
  Rig rig;
  rig.start();
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  rig.say(gateway, gateway.hello(4711));
  rig.poll();
  CHECK(rig.acks(gateway).empty());
  rig.settle();
  REQUIRE_FALSE(rig.acks(gateway).empty());
  CHECK(rig.acks(gateway)[0].nonce() == 4711);
  CHECK(rig.acks(gateway)[0].progress().seq() == 0);
  CHECK(base::to_hex(rig.acks(gateway)[0].progress().epoch()) == gateway.epoch_hex());
}

TEST_CASE("shard group: what arrives while a transaction commits goes into the next one, with one ack a gateway") {
  Rig rig;
  rig.start();
  ScriptedGateway one(platform::hasher(), "shop-1", 1);
  ScriptedGateway two(platform::hasher(), "shop-2", 2);
  rig.greet(one);
  rig.greet(two);
  one.append_events(50);
  two.append_events(50);
  rig.transactions.clear();
  rig.say(one, one.batch(1, 1));
  rig.poll();
  for (std::uint64_t i = 2; i <= 50; ++i) {
    rig.say(one, one.batch(i, i));
    rig.say(two, two.batch(i - 1, i - 1));
    rig.poll();
  }
  CHECK(rig.transactions.size() == 1);
  rig.settle();
  CHECK(rig.transactions.size() == 2);
  CHECK(rig.transactions[1].progress.size() == 2);
  CHECK(rig.acks(one).size() == 2);
  CHECK(rig.acks(two).size() == 1);
  CHECK(rig.acks(one).back().seq() == 50);
}

TEST_CASE("shard group: a transaction keeps its limits, and the rest follows in order") {
  Rig rig({.transaction = {.events = 10, .bytes = 1 << 20}});
  rig.start();
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  rig.greet(gateway);
  gateway.append_events(41);
  rig.transactions.clear();
  rig.say(gateway, gateway.batch(1, 1));
  rig.poll();
  for (std::uint64_t i = 2; i <= 41; i += 4) rig.say(gateway, gateway.batch(i, i + 3));
  rig.settle();
  for (const auto& transaction : rig.transactions) CHECK(transaction.records.size() <= 10);
  Seqs all(41);
  for (std::uint64_t i = 0; i < 41; ++i) all[i] = i + 1;
  CHECK(rig.seqs(gateway) == all);
  CHECK(rig.acks(gateway).back().seq() == 41);
}

TEST_CASE("shard group: a repeat is acked again and published once; a gap changes nothing") {
  Rig rig;
  rig.start();
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  rig.greet(gateway);
  gateway.append_events(5);
  rig.say(gateway, gateway.batch(1, 2));
  rig.settle();
  rig.sent.clear();
  rig.say(gateway, gateway.batch(1, 2));
  rig.settle();
  REQUIRE(rig.acks(gateway).size() == 1);
  CHECK(rig.acks(gateway)[0].seq() == 2);
  rig.say(gateway, gateway.batch(4, 5));
  rig.settle();
  CHECK(rig.seqs(gateway) == Seqs{1, 2});
  CHECK(rig.counters.gaps == 1);
  rig.say(gateway, gateway.batch(2, 5));
  rig.settle();
  CHECK(rig.seqs(gateway) == Seqs{1, 2, 3, 4, 5});
  CHECK(rig.counters.repeats == 3);
}
