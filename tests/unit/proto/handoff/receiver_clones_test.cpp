// The bridge's end: two live boxes with one id, and heartbeats.
#include "tests/unit/proto/handoff/receiver_bench.hpp"

using namespace bench;

namespace {

// Two boxes take the id from each other, three times within `pause` each.
void quarrel(Bench& bench, Paper& one, Paper& other, std::chrono::milliseconds pause) {
  for (int i = 0; i < 3; ++i) {
    Paper& next = i % 2 == 0 ? other : one;
    next.epoch = next.random.id<handoff::Epoch>();
    bench.hear(next.hello_after(bench.receiver.tentative()->place));
    bench.commit();
    bench.pass(pause);
  }
}

}  // namespace

TEST_CASE("receiver: the third switch within ten minutes quarantines the id, and says so in the stream [H-70]") {
  Paper one;
  Paper other(2);
  Bench bench;
  bench.stream(one, 2);
  quarrel(bench, one, other, minutes(2));
  CHECK(bench.receiver.quarantined());
  CHECK(bench.notices(handoff::Notice::gateway_cloned) == 1);

  Bench slow;
  slow.stream(one, 2);
  quarrel(slow, one, other, minutes(6));
  CHECK_FALSE(slow.receiver.quarantined());
}

TEST_CASE("receiver: in quarantine nothing is published, and Hellos get no progress [H-71]") {
  Paper one;
  Paper other(2);
  Bench bench;
  bench.stream(one, 2);
  quarrel(bench, one, other, minutes(1));
  const auto rows = bench.rows().size();
  bench.acks.clear();
  bench.hear(other.batch(1, 1));
  bench.hear(other.hello(false));
  bench.commit();
  CHECK(bench.rows().size() == rows);
  REQUIRE_FALSE(bench.acks.empty());
  for (const v1::Ack& ack : bench.acks) {
    CHECK(ack.reason() == v1::Ack::QUARANTINED);
    CHECK_FALSE(ack.has_progress());
    CHECK(ack.seq() == 0);
  }
}

TEST_CASE("receiver: quarantine ends when for ten minutes only one run said Hello, also over a takeover [H-72]") {
  Paper one;
  Paper other(2);
  Bench first;
  first.stream(one, 2);
  quarrel(first, one, other, minutes(1));
  for (int i = 0; i < 30; ++i) {  // both still there
    first.hear(i % 2 == 0 ? one.hello(false) : other.hello(false));
    first.commit();
    first.pass(minutes(1));
  }
  CHECK(first.receiver.quarantined());
  const auto stored = handoff::from_wire(handoff::to_wire(*first.receiver.committed()));
  REQUIRE(stored == first.receiver.committed());
  Bench second(stored);
  second.now = first.now;
  for (int i = 0; i < 9; ++i) {
    second.hear(one.hello(false));
    second.commit();
    second.pass(minutes(1));
  }
  CHECK(second.receiver.quarantined());
  second.pass(minutes(1));
  second.acks.clear();
  second.hear(one.hello(false));
  CHECK_FALSE(second.receiver.quarantined());
  CHECK(second.notices(handoff::Notice::quarantine_ended) == 1);
  second.commit();
  CHECK(second.acks.front().has_progress());
}

TEST_CASE("receiver: the operator may end a quarantine [H-73]") {
  Paper one;
  Paper other(2);
  Bench bench;
  bench.stream(one, 2);
  quarrel(bench, one, other, minutes(1));
  bench.receiver.end_quarantine(bench.now);
  bench.settle();
  bench.commit();
  CHECK_FALSE(bench.receiver.quarantined());
  bench.hear(other.batch(1, 1));
  CHECK(bench.published.back().rows.size() == 1);
}

TEST_CASE(
    "receiver: a heartbeat counts only as far as the committed progress bears it out, and never a late one [H-80]") {
  Paper paper;
  Bench bench;
  bench.stream(paper, 2);
  const auto heartbeat = [&](std::uint64_t committed, std::uint64_t revision) {
    v1::Up up;
    up.set_gateway_id("shop-1");
    up.mutable_heartbeat()->set_epoch(base::Bytes(paper.epoch.view()));
    up.mutable_heartbeat()->set_run(base::Bytes(paper.run.view()));
    up.mutable_heartbeat()->set_committed_seq(committed);
    up.mutable_heartbeat()->set_revision(revision);
    return up;
  };
  bench.hear(heartbeat(2, 5));
  bench.hear(heartbeat(1, 4));
  bench.hear(heartbeat(2, 5));
  bench.hear(heartbeat(3, 6));
  CHECK(bench.heartbeats.size() == 1);
  v1::Up foreign = heartbeat(1, 7);
  foreign.mutable_heartbeat()->set_epoch(std::string(16, 'x'));
  bench.hear(foreign);
  CHECK(bench.heartbeats.size() == 1);
  bench.hear(heartbeat(2, 6));
  CHECK(bench.heartbeats.size() == 2);
}

TEST_CASE("receiver: stored progress goes there and back, and a broken one is no progress") {
  Paper paper;
  Bench bench;
  bench.stream(paper, 2);
  v1::Progress wire = handoff::to_wire(*bench.receiver.committed());
  CHECK(handoff::from_wire(wire) == bench.receiver.committed());
  v1::Progress broken = wire;
  broken.set_epoch("x");
  CHECK_FALSE(handoff::from_wire(broken));
  broken = wire;
  broken.mutable_runs(0)->set_digest("x");
  CHECK_FALSE(handoff::from_wire(broken));
}
