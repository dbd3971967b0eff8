// What gateways say that is no plain event: poison, newer schemas, losses, heartbeats, clones.
#include "cloud-bridge/stream/record.hpp"
#include "tests/unit/cloud-bridge/bridge/shard_group_bench.hpp"

using namespace bench;

TEST_CASE("shard group: poison becomes one dead letter with its reason, and the line goes on") {
  Rig rig;
  rig.start();
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  ScriptedGateway other(platform::hasher(), "shop-2");
  rig.greet(gateway);
  gateway.append_events(1);
  for (int i = 0; i < 3; ++i) {
    rig.say(gateway, "\xff\xff\xffno message");
    rig.group.on_message(gateway.up_topic(), other.hello(1), rig.now);
    rig.group.on_message("tillstream/v1/up/zz/" + gateway.id(), gateway.hello(1), rig.now);
    rig.group.on_message(
        "tillstream/v1/up/" + std::string(gateway.up_topic().substr(17, 2) == "00" ? "01" : "00") + "/shop-1",
        gateway.hello(1), rig.now);
    rig.say(gateway, std::string(5 << 20, 'x'));
    rig.settle();
  }
  std::map<std::string, int> reasons;
  for (const auto& [key, letter] : rig.store.dead_letters) ++reasons[letter.reason];
  CHECK(
      reasons ==
      std::map<std::string, int>{
          {"undecodable", 1}, {"gateway_mismatch", 1}, {"foreign_topic", 1}, {"shard_mismatch", 1}, {"too_large", 1}});
  CHECK(rig.counters.dead_letters == 5);
  CHECK(rig.counters.dead_letters_known == 10);
  CHECK(rig.counters.refused[static_cast<std::size_t>(intake::Refusal::undecodable)] == 3);
  CHECK(rig.acks(gateway).empty());
  rig.say(gateway, gateway.batch(1, 1));
  rig.settle();
  CHECK(rig.seqs(gateway) == Seqs{1});
}

TEST_CASE("shard group: a poisonous record leaves a notice in its place, so that the epoch has no gap") {
  Rig rig;
  rig.start();
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  rig.greet(gateway);
  gateway.append_events(1);
  gateway.append("\xff\xff\xffnothing");
  gateway.append_events(1);
  rig.say(gateway, gateway.batch(1, 3));
  rig.settle();
  CHECK(rig.seqs(gateway) == Seqs{1, 2, 3});
  CHECK(rig.store.records.back().record.type == "sale");
  CHECK((rig.store.records.end() - 2)->record.type == "notice");
  REQUIRE(rig.store.dead_letters.size() == 1);
  CHECK(rig.store.dead_letters.begin()->second.epoch == gateway.epoch_hex());
  CHECK(rig.acks(gateway).back().seq() == 3);
}

TEST_CASE("shard group: a record that the stream is too small for leaves a notice in its place and a dead letter") {
  const auto large = [](std::size_t bytes) {
    tillstream::v1::Event event;
    REQUIRE(event.ParseFromString(ScriptedGateway::event(2)));
    (*event.mutable_attributes())["note"] = std::string(bytes, 'x');
    return event.SerializeAsString();
  };
  // The same event as the stream renders it, so that the limit is exactly its size, and one byte less.
  const auto rendered_bytes = [&] {
    Rig rig;
    rig.start();
    ScriptedGateway gateway(platform::hasher(), "shop-1");
    rig.greet(gateway);
    gateway.append(large(3'000));
    rig.say(gateway, gateway.batch(1, 1));
    rig.settle();
    REQUIRE(rig.store.records.size() == 1);
    return stream::size_of(rig.store.records[0].record);
  }();
  for (const std::size_t lacking : {0U, 1U}) {
    CAPTURE(lacking);
    for (const std::size_t letter_bytes : {std::size_t{64} * 1024, std::size_t{1'000}}) {
      bridge::ShardGroupSettings settings;
      settings.sizes = {.record_bytes = rendered_bytes - lacking, .dead_letter_bytes = letter_bytes};
      Rig rig(settings);
      rig.start();
      ScriptedGateway gateway(platform::hasher(), "shop-1");
      rig.greet(gateway);
      gateway.append(large(3'000));
      gateway.append_events(1);
      rig.say(gateway, gateway.batch(1, 2));
      rig.settle();
      CHECK(rig.seqs(gateway) == Seqs{1, 2});
      CHECK(rig.acks(gateway).back().seq() == 2);
      const bool fits = lacking == 0;
      CHECK(rig.store.records[0].record.type == (fits ? "sale" : "notice"));
      REQUIRE(rig.store.dead_letters.size() == (fits ? 0 : 1));
      if (fits) continue;
      CHECK(rig.store.records[0].record.value.find(R"("detail_reason":"too_large")") != std::string::npos);
      const auto& letter = rig.store.dead_letters.begin()->second;
      CHECK(letter.reason == "too_large");
      CHECK(letter.payload.has_value() == (letter_bytes > 3'000));
      REQUIRE(rig.transactions.size() >= 1);
    }
  }
}

TEST_CASE("shard group: a newer schema is held, none of its batch is published, also when the batch hides it") {
  Rig rig;
  rig.start();
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  rig.greet(gateway);
  gateway.append_events(1);
  gateway.append(ScriptedGateway::event(2, 3));
  for (const std::uint32_t told : {3U, 1U}) {
    rig.say(gateway, gateway.batch(1, 2, told));
    rig.settle();
  }
  CHECK(rig.seqs(gateway).empty());
  CHECK(rig.store.dead_letters.empty());
  REQUIRE_FALSE(rig.acks(gateway).empty());
  CHECK(rig.acks(gateway).back().reason() == tillstream::v1::Ack::UPGRADE_BRIDGE);
  CHECK(rig.group.ledger().find("shop-1")->held_at);
  rig.say(gateway, gateway.batch(1, 1));
  rig.settle();
  CHECK(rig.seqs(gateway) == Seqs{1});
  CHECK_FALSE(rig.group.ledger().find("shop-1")->held_at);
}

TEST_CASE("shard group: a lost range is in the stream with the switch to the new epoch, and only with it") {
  Rig rig;
  rig.start();
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  rig.greet(gateway);
  gateway.append_events(2);
  rig.say(gateway, gateway.batch(1, 2));
  rig.settle();
  const tillstream::v1::Progress stored = rig.store.progress.at("shop-1");
  gateway.begin_epoch();
  gateway.begin_run();
  tillstream::v1::Up up;
  REQUIRE(up.ParseFromString(gateway.hello(2, &stored)));
  up.mutable_hello()->mutable_lost()->set_reason("disk_replaced");
  up.mutable_hello()->mutable_lost()->set_first_seq(3);
  up.mutable_hello()->mutable_lost()->set_last_seq(7);
  rig.transactions.clear();
  rig.say(gateway, up.SerializeAsString());
  rig.say(gateway, up.SerializeAsString());
  rig.settle();
  REQUIRE(rig.transactions.size() == 1);
  REQUIRE(rig.transactions[0].records.size() == 1);
  CHECK(rig.transactions[0].records[0].type == "notice");
  CHECK(rig.transactions[0].records[0].value.find("events_lost") != std::string::npos);
  CHECK(rig.store.progress.at("shop-1").epoch() == rig.transactions[0].progress.at(0).epoch());
}

TEST_CASE(
    "shard group: heartbeats become rows of the public table, each after the events it speaks of, stale ones never") {
  Rig rig;
  rig.start();
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  rig.greet(gateway);
  gateway.append_events(3);
  rig.say(gateway, gateway.batch(1, 2));
  rig.settle();
  rig.advance(2s);
  rig.say(gateway, gateway.heartbeat(5, 2));
  rig.settle();
  const std::string row = rig.store.gateways.at("shop-1");
  CHECK(row.find("\"pending_events\":1") != std::string::npos);
  CHECK(row.find("\"committed_seq\":2") != std::string::npos);
  rig.advance(2s);
  gateway.append_events(20);
  rig.say(gateway, gateway.heartbeat(4, 2));
  rig.settle();
  CHECK(rig.store.gateways.at("shop-1") == row);
}

TEST_CASE("shard group: what was committed since a heartbeat is pending no more, neither in the row nor in memory") {
  Rig rig;
  rig.start();
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  rig.greet(gateway);
  gateway.append_events(5);
  const auto pending = [&] {
    rig.settle();
    rig.advance(2s);
    rig.settle();
    const std::string& row = rig.store.gateways.at("shop-1");
    const auto at = row.find("\"pending_events\":");
    REQUIRE(at != std::string::npos);
    CHECK((row.find("\"pending_amounts\":[]") != std::string::npos) ==
          row.substr(at).starts_with("\"pending_events\":0,"));
    return row.substr(at + 17, 1);
  };
  rig.say(gateway, gateway.heartbeat(1, 0));
  CHECK(pending() == "5");
  rig.say(gateway, gateway.batch(1, 2));
  CHECK(pending() == "3");
  // Sent before its acks had come.
  rig.say(gateway, gateway.heartbeat(2, 1));
  CHECK(pending() == "3");
  gateway.append_events(1);
  rig.say(gateway, gateway.batch(3, 6));
  CHECK(pending() == "0");
}

TEST_CASE("shard group: a row that must wait is written when its time has come, without any event") {
  Rig rig;
  rig.start();
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  rig.greet(gateway);
  gateway.append_events(9);
  rig.advance(2s);
  rig.say(gateway, gateway.heartbeat(1, 0));
  rig.settle();
  const std::uint64_t rows = rig.counters.gateway_rows;
  for (std::uint64_t revision = 2; revision < 8; ++revision) {
    rig.say(gateway, gateway.heartbeat(revision, 0));
    rig.settle();
  }
  CHECK(rig.counters.gateway_rows == rows);
  const auto wakeup = rig.group.wakeup_at();
  REQUIRE(wakeup);
  rig.advance(*wakeup - rig.now.instant);
  rig.settle();
  CHECK(rig.counters.gateway_rows == rows + 1);
}

TEST_CASE("shard group: two boxes with one id are quarantined and said to be, until the operator releases the id") {
  Rig rig;
  rig.start();
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  rig.greet(gateway);
  CHECK(rig.group.release("shop-1", rig.now) == bridge::Release::not_quarantined);
  CHECK(rig.group.release("shop-9", rig.now) == bridge::Release::unknown);
  for (int i = 0; i < 3; ++i) {
    const tillstream::v1::Progress stored = rig.store.progress.at("shop-1");
    gateway.begin_epoch();
    gateway.begin_run();
    rig.advance(1s);
    rig.say(gateway, gateway.hello(10 + i, &stored));
    rig.settle();
  }
  CHECK(rig.counters.quarantines == 1);
  CHECK(rig.acks(gateway).back().reason() == tillstream::v1::Ack::QUARANTINED);
  CHECK(rig.group.release("shop-1", rig.now) == bridge::Release::released);
  rig.settle();
  CHECK(rig.store.progress.at("shop-1").quarantined_at_ms() == 0);
  int notices = 0;
  for (const auto& read : rig.store.records) notices += read.record.type == "notice" ? 1 : 0;
  CHECK(notices == 2);
}

TEST_CASE(
    "shard group: a gateway beyond the limit, or whose stored progress is unreadable, gets nothing and costs nothing") {
  Rig rig({.gateways_max = 2});
  rig.start();
  for (int i = 0; i < 5; ++i) {
    ScriptedGateway gateway(platform::hasher(), "shop-" + std::to_string(i));
    rig.say(gateway, gateway.hello(1));
  }
  CHECK(rig.group.ledger().size() == 2);
  CHECK(rig.counters.gateways_refused == 3);
  tillstream::v1::Progress broken;
  broken.set_gateway_id("shop-x");
  broken.set_epoch("short");
  rig.group.on_owned({broken}, true, rig.now);
  ScriptedGateway gateway(platform::hasher(), "shop-x");
  rig.say(gateway, gateway.hello(1));
  CHECK(rig.counters.gateways_refused == 4);
  CHECK(rig.group.ledger().unreadable().size() == 1);
}
