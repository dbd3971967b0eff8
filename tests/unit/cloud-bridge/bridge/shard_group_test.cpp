#include <doctest/doctest.h>

#include <deque>
#include <map>
#include <memory>

#include "cloud-bridge/bridge/shard_group.hpp"
#include "proto/platform/system.hpp"
#include "tests/support/bridge/scripted_gateway.hpp"
#include "tests/support/seeded_random.hpp"
#include "tests/support/stream/memory_stream.hpp"

using namespace std::chrono_literals;
using support::ScriptedGateway;

namespace {

// A shard group between a scripted broker and a stream in memory. Nothing happens but what the test does; settle() lets
// the stream and the machine do what follows from it.
class Rig final : public stream::Owner {
 public:
  explicit Rig(bridge::ShardGroupSettings settings = {}, std::uint64_t budget_bytes = 64 << 20)
      : budget(budget_bytes), group(platform::hasher(), random_, budget, counters, named(std::move(settings))) {
    stream_ = std::make_unique<test::MemoryStream>(
        store, [this](std::function<void()> task) { tasks_.push_back(std::move(task)); });
  }

  static bridge::ShardGroupSettings named(bridge::ShardGroupSettings settings) {
    settings.bridge_id = "bridge-1";
    settings.program = "test 1";
    return settings;
  }

  // Owned, connected, Owner messages out of the way.
  void start() {
    stream_->open(*this);
    settle();
    online();
    settle();
    sent.clear();
  }
  void online() { group.on_online(now); }

  void say(const ScriptedGateway& gateway, const std::string& payload) {
    group.on_message(gateway.up_topic(), payload, now);
  }

  // The machine's outputs, without letting the stream answer.
  void poll() {
    while (auto output = group.poll(now)) {
      if (auto* send = std::get_if<bridge::Send>(&*output)) {
        sent.push_back(*send);
      } else if (auto* begin = std::get_if<bridge::Begin>(&*output)) {
        transactions.push_back(begin->transaction);
        stream_->begin(stream::Partition(0), begin->id, std::move(begin->transaction));
      } else if (auto* connect = std::get_if<bridge::Connect>(&*output)) {
        connects.push_back(connect->filters);
      } else {
        ++disconnects;
      }
    }
  }
  // One answer of the stream, if one waits.
  bool stream_answers() {
    if (tasks_.empty()) return false;
    auto task = std::move(tasks_.front());
    tasks_.pop_front();
    task();
    return true;
  }
  void settle() {
    do poll();
    while (stream_answers());
    poll();
  }
  void advance(base::Instant::duration time) {
    now.instant += time;
    now.utc += std::chrono::duration_cast<std::chrono::milliseconds>(time);
  }

  std::vector<tillstream::v1::Ack> acks(const ScriptedGateway& gateway) const {
    std::vector<tillstream::v1::Ack> found;
    for (const bridge::Send& send : sent) {
      tillstream::v1::Down down;
      REQUIRE(down.ParseFromString(send.payload));
      if (send.topic == gateway.down_topic() && down.has_ack()) found.push_back(down.ack());
    }
    return found;
  }
  // A gateway that has said Hello and was answered.
  void greet(const ScriptedGateway& gateway) {
    say(gateway, gateway.hello(1));
    settle();
    REQUIRE_FALSE(acks(gateway).empty());
    REQUIRE(acks(gateway)[0].nonce() == 1);
    sent.clear();
  }
  std::vector<std::uint64_t> seqs(const ScriptedGateway& gateway) const {
    std::vector<std::uint64_t> found;
    for (const auto& read : store.records) {
      if (read.record.gateway_id == gateway.id() && read.record.seq) found.push_back(*read.record.seq);
    }
    return found;
  }
  test::MemoryStream& stream() { return *stream_; }

  void on_owned(stream::Partition partition, std::vector<tillstream::v1::Progress> progress) override {
    group.on_owned(progress, stream_->may_begin(partition), now);
  }
  void on_lost(stream::Partition /*partition*/, std::string reason) override { group.on_lost(std::move(reason), now); }
  void on_committed(stream::Partition partition, stream::TransactionId id) override {
    group.on_committed(id, stream_->may_begin(partition), now);
  }
  void on_ready(stream::Partition /*partition*/) override { group.on_ready(now); }

  base::Now now{base::Instant(1h), base::UtcTime(1'795'000'000'000ms)};
  test::MemoryStreamStore store;
  bridge::Budget budget;
  bridge::Counters counters;
  std::vector<bridge::Send> sent;
  std::vector<std::vector<std::string>> connects;
  std::vector<stream::Transaction> transactions;
  int disconnects = 0;

 private:
  support::SeededRandom random_{42};
  std::deque<std::function<void()>> tasks_;

 public:
  bridge::ShardGroup group;

 private:
  std::unique_ptr<test::MemoryStream> stream_;
};

using Seqs = std::vector<std::uint64_t>;

}  // namespace

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

TEST_CASE("shard group: a newer schema is held, none of its batch is published, also when the batch hides it") {
  Rig rig;
  rig.start();
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  rig.greet(gateway);
  gateway.append_events(1);
  gateway.append(ScriptedGateway::event(2, 2));
  for (const std::uint32_t told : {2U, 1U}) {
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
