// Several partitions of one stream, in one bridge and in two.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <set>

#include "proto/handoff/topics.hpp"
#include "tests/unit/cloud-bridge/bridge/shard_group_bench.hpp"

using namespace bench;

namespace {

constexpr std::uint32_t kPartitions = 2;

std::uint32_t home_of(const ScriptedGateway& gateway) {
  return static_cast<std::uint32_t>(std::stoul(gateway.up_topic().substr(17, 2), nullptr, 16)) % kPartitions;
}

// A gateway whose shard is in this partition.
ScriptedGateway gateway_in(std::uint32_t partition, std::uint64_t seed) {
  for (std::uint64_t i = 0;; ++i) {
    ScriptedGateway gateway(platform::hasher(), "shop-" + std::to_string(seed * 100 + i), seed);
    if (home_of(gateway) == partition) return gateway;
  }
}

// One bridge with a group for each partition, as its process has.
class Bridge final : public stream::Owner {
 public:
  explicit Bridge(test::MemoryStreamStore& store, std::uint64_t seed)
      : random_(seed),
        stream_(store, [this](std::function<void()> task) { tasks_.push_back(std::move(task)); }, kPartitions) {
    for (std::uint32_t p = 0; p < kPartitions; ++p) {
      groups_[p] = std::make_unique<bridge::ShardGroup>(
          platform::hasher(), random_, budget_, counters,
          bridge::ShardGroupSettings{.bridge_id = "bridge", .partition = p, .partitions = kPartitions});
    }
    stream_.join(*this);
  }

  bridge::ShardGroup& group(std::uint32_t p) { return *groups_.at(p); }
  test::MemoryStream& stream() { return stream_; }
  void take(std::uint32_t p) {
    stream_.take(stream::Partition(p));
    settle();
    group(p).on_online(now);
    settle();
  }
  // Each group has its own connection: what one says reaches all that subscribe its shard.
  void hear(const ScriptedGateway& gateway, const std::string& payload) {
    for (std::uint32_t p = 0; p < kPartitions; ++p) {
      if (group(p).owned()) group(p).on_message(gateway.up_topic(), payload, now);
    }
  }
  void poll() {
    for (std::uint32_t p = 0; p < kPartitions; ++p) {
      while (auto output = group(p).poll(now)) {
        if (auto* send = std::get_if<bridge::Send>(&*output)) sent.push_back(*send);
        if (auto* begin = std::get_if<bridge::Begin>(&*output)) {
          begun.emplace_back(p, begin->id);
          stream_.begin(stream::Partition(p), begin->id, std::move(begin->transaction));
        }
      }
    }
  }
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
  std::vector<tillstream::v1::Ack> acks(const ScriptedGateway& gateway) const {
    std::vector<tillstream::v1::Ack> found;
    for (const bridge::Send& send : sent) {
      tillstream::v1::Down down;
      REQUIRE(down.ParseFromString(send.payload));
      if (send.topic == gateway.down_topic() && down.has_ack()) found.push_back(down.ack());
    }
    return found;
  }

  void on_owned(stream::Partition p, std::vector<tillstream::v1::Progress> progress) override {
    taken.emplace_back(p.value(), progress.size());
    group(p.value()).on_owned(progress, stream_.may_begin(p), now);
  }
  void on_lost(stream::Partition p, std::string reason) override { group(p.value()).on_lost(std::move(reason), now); }
  void on_committed(stream::Partition p, stream::TransactionId id) override {
    group(p.value()).on_committed(id, stream_.may_begin(p), now);
  }
  void on_ready(stream::Partition p) override { group(p.value()).on_ready(now); }

  base::Now now{base::Instant(1h), base::UtcTime(1'795'000'000'000ms)};
  bridge::Counters counters;
  std::vector<bridge::Send> sent;
  std::vector<std::pair<std::uint32_t, stream::TransactionId>> begun;
  std::vector<std::pair<std::uint32_t, std::size_t>> taken;  // partition, gateways whose progress came with it

 private:
  support::SeededRandom random_;
  bridge::Budget budget_{64 << 20};
  std::deque<std::function<void()>> tasks_;
  std::array<std::unique_ptr<bridge::ShardGroup>, kPartitions> groups_;
  test::MemoryStream stream_;
};

Seqs seqs_of(const test::MemoryStreamStore& store, const ScriptedGateway& gateway) {
  Seqs found;
  for (const auto& read : store.records) {
    if (read.record.gateway_id == gateway.id() && read.record.seq) found.push_back(*read.record.seq);
  }
  return found;
}

}  // namespace

TEST_CASE("partitions: their shards are disjoint, and together all of them") {
  test::MemoryStreamStore store;
  Bridge bridge(store, 1);
  std::set<std::uint8_t> all;
  std::size_t owned = 0;
  for (std::uint32_t p = 0; p < kPartitions; ++p) {
    for (const std::uint8_t shard : bridge.group(p).shards()) {
      CHECK(shard % kPartitions == p);
      all.insert(shard);
      ++owned;
    }
  }
  CHECK(owned == 256);
  CHECK(all.size() == 256);
}

TEST_CASE("partitions: each greets its own shards, and takes its own gateways only, also when it hears the others") {
  test::MemoryStreamStore store;
  Bridge bridge(store, 1);
  bridge.take(0);
  CHECK(bridge.sent.size() == 128);
  bridge.take(1);
  CHECK(bridge.sent.size() == 256);
  ScriptedGateway even = gateway_in(0, 1);
  ScriptedGateway odd = gateway_in(1, 2);
  bridge.hear(even, even.hello(1));
  bridge.hear(odd, odd.hello(1));
  bridge.settle();
  CHECK(bridge.group(0).ledger().find(even.id()) != nullptr);
  CHECK(bridge.group(0).ledger().find(odd.id()) == nullptr);
  CHECK(bridge.group(1).ledger().find(odd.id()) != nullptr);
  CHECK(bridge.group(1).ledger().find(even.id()) == nullptr);
  CHECK(bridge.counters.unowned == 2);
}

TEST_CASE("partitions: their transactions overlap, and one that is uncertain does not touch the other") {
  test::MemoryStreamStore store;
  Bridge bridge(store, 1);
  bridge.take(0);
  bridge.take(1);
  ScriptedGateway even = gateway_in(0, 1);
  ScriptedGateway odd = gateway_in(1, 2);
  for (ScriptedGateway* gateway : {&even, &odd}) {
    bridge.hear(*gateway, gateway->hello(1));
    bridge.settle();
    gateway->append_events(2);
  }
  bridge.begun.clear();
  bridge.sent.clear();
  store.next_fault = test::CommitFault::before_commit;  // strikes the first to commit
  bridge.hear(even, even.batch(1, 2));
  bridge.hear(odd, odd.batch(1, 2));
  bridge.poll();
  REQUIRE(bridge.begun.size() == 2);  // both under way before either has answered
  CHECK(bridge.begun[0].first != bridge.begun[1].first);
  bridge.settle();
  CHECK(bridge.acks(even).empty());
  REQUIRE_FALSE(bridge.acks(odd).empty());
  CHECK(bridge.acks(odd).back().seq() == 2);
  CHECK(seqs_of(store, odd) == Seqs{1, 2});
  CHECK(bridge.counters.transactions_lost == 1);
}

TEST_CASE("partitions: one that is taken away is acked no more at once, while the other goes on") {
  test::MemoryStreamStore store;
  Bridge bridge(store, 1);
  bridge.take(0);
  bridge.take(1);
  ScriptedGateway even = gateway_in(0, 1);
  ScriptedGateway odd = gateway_in(1, 2);
  for (ScriptedGateway* gateway : {&even, &odd}) {
    bridge.hear(*gateway, gateway->hello(1));
    bridge.settle();
    gateway->append_events(4);
    bridge.hear(*gateway, gateway->batch(1, 2));
    bridge.settle();
  }
  bridge.sent.clear();
  bridge.hear(even, even.batch(1, 2));  // its ack is due, and not sent yet
  bridge.group(0).on_lost("assigned to another bridge", bridge.now);
  bridge.hear(even, even.batch(3, 4));
  bridge.hear(odd, odd.batch(3, 4));
  bridge.settle();
  CHECK(bridge.acks(even).empty());
  REQUIRE_FALSE(bridge.acks(odd).empty());
  CHECK(bridge.acks(odd).back().seq() == 4);
  CHECK(seqs_of(store, even) == Seqs{1, 2});
}

TEST_CASE("partitions: one that moves is read again before anything is processed, and its old owner commits nothing") {
  test::MemoryStreamStore store;
  Bridge old_owner(store, 1);
  Bridge new_owner(store, 2);
  old_owner.take(0);
  old_owner.take(1);
  ScriptedGateway even = gateway_in(0, 1);
  ScriptedGateway odd = gateway_in(1, 2);
  for (ScriptedGateway* gateway : {&even, &odd}) {
    old_owner.hear(*gateway, gateway->hello(1));
    old_owner.settle();
    gateway->append_events(6);
    old_owner.hear(*gateway, gateway->batch(1, 2));
    old_owner.settle();
  }
  old_owner.sent.clear();
  old_owner.hear(even, even.batch(3, 4));
  old_owner.poll();  // under way when the partition moves
  new_owner.stream().take(stream::Partition(0));
  new_owner.hear(even, even.batch(3, 4));  // nothing is processed before the progress is there
  CHECK(new_owner.group(0).ledger().size() == 0);
  new_owner.settle();
  REQUIRE(new_owner.taken.size() == 1);
  CHECK(new_owner.taken[0] == std::pair<std::uint32_t, std::size_t>{0, 1});  // and only what belongs to it
  REQUIRE(new_owner.group(0).ledger().find(even.id()) != nullptr);
  CHECK(new_owner.group(0).ledger().find(even.id())->receiver.committed()->place.seq == handoff::Seq(2));
  new_owner.group(0).on_online(new_owner.now);
  new_owner.settle();
  CHECK(new_owner.sent.size() == 128);  // Owner, to the moved shards and no others
  old_owner.settle();
  CHECK_FALSE(old_owner.group(0).owned());
  CHECK(old_owner.acks(even).empty());
  new_owner.sent.clear();
  new_owner.hear(even, even.batch(3, 6));
  new_owner.settle();
  CHECK(new_owner.acks(even).back().seq() == 6);
  CHECK(seqs_of(store, even) == Seqs{1, 2, 3, 4, 5, 6});
  old_owner.hear(odd, odd.batch(3, 6));
  old_owner.settle();
  CHECK(old_owner.acks(odd).back().seq() == 6);
  CHECK(old_owner.group(1).owned());
}
