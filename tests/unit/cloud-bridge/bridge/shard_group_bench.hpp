// A shard group on the bench: a scripted broker on one side, a stream in memory on the other.
#pragma once

#include <doctest/doctest.h>

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "cloud-bridge/bridge/shard_group.hpp"
#include "proto/platform/system.hpp"
#include "tests/support/bridge/scripted_gateway.hpp"
#include "tests/support/seeded_random.hpp"
#include "tests/support/stream/memory_stream.hpp"

namespace bench {

using namespace std::chrono_literals;
using support::ScriptedGateway;
using Seqs = std::vector<std::uint64_t>;

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

}  // namespace bench
