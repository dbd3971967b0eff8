// The gateway's end against a bridge that the test plays.
#include <doctest/doctest.h>

#include "tests/support/handoff/gateway_bench.hpp"

using namespace support;
using handoff::SenderState;

TEST_CASE("sender: says nothing but Hello before the first answer [H-10]") {
  GatewayBench gateway;
  gateway.append(3);
  gateway.connect();
  gateway.append(2);
  gateway.pass(seconds(20));
  for (const v1::Up& up : gateway.sent) CHECK(up.has_hello());
  gateway.hear(gateway.answer(gateway.progress(0)));
  CHECK(gateway.sent_seqs() == "1+5");
}

TEST_CASE("sender: repeats a Hello with the same nonce until it is answered, ever more seldom [H-11]") {
  GatewayBench gateway;
  gateway.connect();
  gateway.pass(seconds(60));
  const auto hellos = gateway.hellos();
  CHECK(hellos.size() >= 12);
  CHECK(hellos.size() <= 30);
  for (const v1::Hello& hello : hellos) CHECK(hello.nonce() == hellos.front().nonce());
  gateway.hear(gateway.answer(gateway.progress(0)));
  const std::size_t said = gateway.hellos().size();
  gateway.pass(seconds(60));
  CHECK(gateway.hellos().size() == said);
}

TEST_CASE("sender: a fresh connection gets a fresh nonce [H-11]") {
  GatewayBench gateway;
  gateway.connect();
  const auto first = gateway.last_hello().nonce();
  gateway.sender->on_disconnected(gateway.now);
  gateway.connect();
  CHECK(gateway.last_hello().nonce() != first);
}

TEST_CASE("sender: hears Owner, waits a jittered moment, says Hello, and until the answer nothing else [H-12] [H-10]") {
  GatewayBench gateway;
  gateway.stream_from(0);
  v1::Owner owner;
  owner.set_nonce(5);
  gateway.sender->on_owner(owner, gateway.now);
  gateway.append(1);
  gateway.pass(milliseconds(1'000));
  CHECK(gateway.hellos().size() >= 1);
  CHECK(gateway.batches().empty());
  gateway.hear(gateway.answer(gateway.progress(0)));
  CHECK(gateway.sent_seqs() == "1+1");
  const std::size_t said = gateway.hellos().size();
  gateway.sender->on_owner(owner, gateway.now);  // a copy of the same message
  gateway.pass(milliseconds(1'500));
  CHECK(gateway.hellos().size() == said);
}

TEST_CASE("sender: gateways that hear the same Owner do not answer at the same moment [H-12]") {
  std::vector<base::Instant> moments;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    GatewayBench gateway({}, seed);
    gateway.stream_from(0);
    v1::Owner owner;
    owner.set_nonce(5);
    gateway.sender->on_owner(owner, gateway.now);
    const auto wakeup = gateway.sender->wakeup_at();
    REQUIRE(wakeup);
    CHECK(*wakeup <= gateway.now + seconds(1));
    moments.push_back(*wakeup);
  }
  std::sort(moments.begin(), moments.end());
  CHECK(std::unique(moments.begin(), moments.end()) == moments.end());
}

TEST_CASE("sender: an answer to an older Hello, or a second one to the same, moves nothing [H-13]") {
  GatewayBench gateway;
  gateway.stream_from(0);
  gateway.append(4);
  v1::Ack again = GatewayBench::place(gateway.progress(0));
  again.set_nonce(12345);
  *again.mutable_progress() = handoff::to_wire(gateway.progress(0));
  gateway.hear(GatewayBench::place(gateway.progress(4)));
  CHECK(gateway.sender->acked() == Row(4));
  gateway.hear(again);
  CHECK(gateway.sender->acked() == Row(4));
  CHECK(gateway.sender->state() == SenderState::streaming);
}

TEST_CASE("sender: an answer to the Hello of an older connection is not taken for the one under way [H-13]") {
  GatewayBench gateway;
  gateway.append(4);
  gateway.connect();
  const v1::Ack old = gateway.answer(gateway.progress(0));
  gateway.sender->on_disconnected(gateway.now);
  gateway.connect();
  gateway.hear(old);
  CHECK(gateway.sender->state() == SenderState::greeting);
  gateway.hear(gateway.answer(gateway.progress(3)));
  CHECK(gateway.sent_seqs() == "4+1");
}

TEST_CASE("sender: the copy of an answer that was already taken does not rewind [H-13]") {
  GatewayBench gateway;
  gateway.append(4);
  gateway.connect();
  const v1::Ack answer = gateway.answer(gateway.progress(0));
  gateway.hear(answer);
  gateway.hear(GatewayBench::place(gateway.progress(4)));
  gateway.hear(answer);
  CHECK(gateway.sender->acked() == Row(4));
  CHECK(gateway.acked == std::vector<Row>{Row(4)});
}

TEST_CASE("sender: a late Ack below acked is ignored [H-13]") {
  GatewayBench gateway;
  gateway.stream_from(0);
  gateway.append(1);
  gateway.hear(GatewayBench::place(gateway.progress(1)));
  gateway.append(1);
  gateway.hear(GatewayBench::place(gateway.progress(2)));
  gateway.hear(GatewayBench::place(gateway.progress(1)));
  CHECK(gateway.sender->acked() == Row(2));
  CHECK(gateway.sender->counters().acks_late == 1);
  CHECK(gateway.sender->counters().acks_refused == 0);
}

TEST_CASE("sender: an Ack that comes while a Hello is under way does not move acked past its answer [H-13]") {
  GatewayBench gateway;
  gateway.stream_from(0);
  gateway.append(2);
  const v1::Ack late = GatewayBench::place(gateway.progress(2));
  gateway.sender->on_disconnected(gateway.now);
  gateway.connect();
  gateway.hear(late);
  CHECK(gateway.acked.empty());
}

TEST_CASE("sender: a lone event travels at once and alone, without a read [H-26]") {
  GatewayBench gateway;
  gateway.stream_from(0);
  const std::size_t reads = gateway.reads;
  const base::Instant before = gateway.now;
  gateway.append(1);
  CHECK(gateway.sent_seqs() == "1+1");
  CHECK(gateway.now == before);
  CHECK(gateway.reads == reads);
}

TEST_CASE("sender: a backlog fills batches to their limits in events and bytes [H-26]") {
  GatewayBench by_events({.batch_events = 10, .batch_bytes = 100'000});
  by_events.append(25);
  by_events.stream_from(0);
  // One message until the first ack; then as many as the window takes.
  CHECK(by_events.sender->counters().batches == 1);
  by_events.hear(GatewayBench::place(by_events.progress(10)));
  CHECK(by_events.sent_seqs() == "11+10 21+5");

  GatewayBench by_bytes({.batch_events = 100, .batch_bytes = 1'000});
  by_bytes.append(25, 200);
  by_bytes.connect();
  by_bytes.hear(by_bytes.answer(by_bytes.progress(0)));
  CHECK(by_bytes.sent_seqs() == "1+4");
}

TEST_CASE("sender: a batch respects the broker's packet size, and an event larger than a batch still travels [H-26]") {
  GatewayBench gateway({.batch_bytes = 100'000});
  gateway.append(8, 900);
  gateway.append(1, 50'000);
  gateway.connect({.packet_bytes_max = 4'096});
  gateway.hear(gateway.answer(gateway.progress(0)));
  CHECK(gateway.sent_seqs() == "1+3");
  for (const std::uint64_t seq : {3U, 6U, 8U}) gateway.hear(GatewayBench::place(gateway.progress(seq)));
  CHECK(gateway.batches().back().first_seq() == 9);
}

TEST_CASE("sender: after a refused packet it goes back at once, with smaller batches [H-22]") {
  GatewayBench gateway({.batch_bytes = 100'000});
  gateway.append(8, 900);
  gateway.connect();
  gateway.hear(gateway.answer(gateway.progress(0)));
  CHECK(gateway.sent_seqs() == "1+8");
  gateway.sender->on_packet_refused(4'096, gateway.now);
  gateway.settle();
  CHECK(gateway.sent_seqs() == "1+8 1+3");
  // One that was under way when the limit fell says nothing new.
  gateway.sender->on_packet_refused(50'000, gateway.now);
  gateway.settle();
  CHECK(gateway.sent_seqs() == "1+8 1+3");
  // The next connection may be to another broker.
  gateway.sender->on_disconnected(gateway.now);
  gateway.connect();
  gateway.hear(gateway.answer(gateway.progress(0)));
  CHECK(gateway.sent_seqs() == "1+8 1+3 1+8");
}

TEST_CASE("sender: a batch holds rows of one run [H-26]") {
  GatewayBench gateway;
  gateway.append(2);
  gateway.reset();
  gateway.append(2);
  gateway.connect();
  gateway.hear(gateway.answer(gateway.progress(0)));
  gateway.hear(GatewayBench::place(gateway.progress(2)));
  CHECK(gateway.sent_seqs() == "1+2 3+2");
  const auto batches = gateway.batches();
  CHECK(batches[0].run() != batches[1].run());
  CHECK(batches[1].run_index() == 0);
}

TEST_CASE("sender: never more under way than its own window in events and bytes [H-20]") {
  GatewayBench events({.window_events = 5, .batch_events = 2});
  events.append(20);
  events.stream_from(0);
  events.hear(GatewayBench::place(events.progress(2)));
  CHECK(events.sender->sent() - events.sender->acked() <= 5);
  events.hear(GatewayBench::place(events.progress(4)));
  events.hear(GatewayBench::place(events.progress(6)));
  CHECK(events.sender->sent() - events.sender->acked() == 5);

  GatewayBench bytes({.window_bytes = 1'000, .batch_events = 3});
  bytes.append(20, 200);
  bytes.stream_from(0);
  bytes.hear(GatewayBench::place(bytes.progress(3)));
  CHECK(bytes.sender->sent() - bytes.sender->acked() == 4);
}

TEST_CASE("sender: never more under way than the bridge's credit, except one row [H-20]") {
  GatewayBench gateway({.batch_events = 1});
  gateway.append(20, 200);
  gateway.connect();
  gateway.hear(gateway.answer(gateway.progress(0), 650));
  gateway.hear(GatewayBench::place(gateway.progress(1), 650));
  gateway.hear(GatewayBench::place(gateway.progress(2), 650));
  CHECK(gateway.sender->sent() - gateway.sender->acked() == 3);
  gateway.hear(GatewayBench::place(gateway.progress(5), 10));
  CHECK(gateway.sender->sent() - gateway.sender->acked() == 1);
}

TEST_CASE("sender: never more messages under way than the broker's Receive Maximum [H-20]") {
  GatewayBench gateway({.batch_events = 1});
  gateway.append(50);
  gateway.connect({.receive_maximum = 6});
  gateway.hear(gateway.answer(gateway.progress(0)));
  for (std::uint64_t seq = 1; seq <= 8; ++seq) gateway.hear(GatewayBench::place(gateway.progress(seq)));
  CHECK(gateway.sender->sent() - gateway.sender->acked() == 4);
}

TEST_CASE("sender: without credit it sends nothing and asks by Hello, ever more seldom [H-21]") {
  GatewayBench gateway;
  gateway.append(3);
  gateway.connect();
  gateway.hear(gateway.answer(gateway.progress(0), 0));
  CHECK(gateway.batches().empty());
  CHECK(gateway.sender->held() == handoff::Held::busy);
  gateway.sent.clear();
  for (int i = 0; i < 240; ++i) {
    gateway.pass(milliseconds(500));
    if (!gateway.sent.empty() && gateway.sender->state() == SenderState::greeting)
      gateway.hear(gateway.answer(gateway.progress(0), 0));
  }
  CHECK(gateway.batches().empty());
  CHECK(gateway.hellos().size() >= 4);
  CHECK(gateway.hellos().size() <= 16);
  CHECK(gateway.reconnects == 0);  // [H-25] the bridge is alive, and says wait
  gateway.pass(seconds(35));
  gateway.hear(gateway.answer(gateway.progress(0)));
  CHECK(gateway.sent_seqs() == "1+3");
}

TEST_CASE("sender: what is not acked in time is sent again, all of it, in order [H-22]") {
  GatewayBench gateway({.batch_events = 1});
  gateway.stream_from(0);
  gateway.append(1);
  gateway.hear(GatewayBench::place(gateway.progress(1)));
  gateway.append(1);
  gateway.append(1);
  CHECK(gateway.sent_seqs() == "1+1 2+1 3+1");
  gateway.sent.clear();
  gateway.pass(seconds(2));
  REQUIRE_FALSE(gateway.batches().empty());
  for (const v1::Batch& batch : gateway.batches()) CHECK(batch.first_seq() == 2);  // one message at a time
  gateway.sent.clear();
  gateway.hear(GatewayBench::place(gateway.progress(2)));
  CHECK(gateway.sent_seqs() == "3+1");
}

TEST_CASE("sender: the time to send again follows the round trip, and never exceeds two seconds [H-23]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    GatewayBench gateway({}, seed);
    gateway.stream_from(0);
    gateway.append(1);
    for (int i = 0; i < 8; ++i) {
      const std::size_t before = gateway.batches().size();
      gateway.pass(seconds(2));
      CHECK(gateway.batches().size() > before);
    }
  }
  SeededRandom random(7);
  handoff::Retransmission quick(random);
  handoff::Retransmission slow(random);
  for (int i = 0; i < 50; ++i) {
    quick.on_round_trip(milliseconds(5));
    slow.on_round_trip(milliseconds(700));
  }
  CHECK(quick.estimate() == handoff::Retransmission::kMin);
  CHECK(slow.estimate() >= milliseconds(700));
  CHECK(slow.estimate() < milliseconds(1'000));
  std::vector<base::Instant::duration> drawn;
  for (int i = 0; i < 10; ++i) {
    slow.on_timeout();
    drawn.push_back(slow.draw());
    CHECK(drawn.back() >= slow.estimate());
    CHECK(drawn.back() <= seconds(2));
  }
  CHECK(std::adjacent_find(drawn.begin(), drawn.end()) == drawn.end());  // jitter
}

TEST_CASE(
    "sender: an Ack that repeats the place brings a resend at once, but only one until there is progress [H-24]") {
  GatewayBench gateway({.batch_events = 1});
  gateway.stream_from(0);
  gateway.append(1);
  gateway.hear(GatewayBench::place(gateway.progress(1)));
  gateway.append(1);
  gateway.append(1);
  gateway.sent.clear();
  for (int i = 0; i < 5; ++i) gateway.hear(GatewayBench::place(gateway.progress(1)));
  CHECK(gateway.sent_seqs() == "2+1 3+1");
}

TEST_CASE("sender: with a backlog and no ack progress it reconnects, however healthy the socket looks [H-25]") {
  GatewayBench gateway({.ack_timeout = seconds(10)});
  gateway.stream_from(0);
  gateway.pass(seconds(60));
  CHECK(gateway.reconnects == 0);  // nothing to send is no reason
  gateway.append(1);
  for (int i = 0; i < 9; ++i) {
    gateway.pass(seconds(1));
    gateway.hear(GatewayBench::place(gateway.progress(0)));  // acks, but no progress
  }
  CHECK(gateway.reconnects == 0);
  gateway.pass(seconds(2));
  CHECK(gateway.reconnects == 1);
}

TEST_CASE("sender: a Hello that nobody answers, with a backlog, brings a reconnect too [H-25]") {
  GatewayBench gateway({.ack_timeout = seconds(10)});
  gateway.append(1);
  gateway.connect();
  gateway.pass(seconds(11));
  CHECK(gateway.reconnects == 1);
}

TEST_CASE("sender: goes on after what the stream has, also when its own mark is stale [H-30]") {
  GatewayBench gateway;
  gateway.append(5);
  gateway.connect();
  gateway.hear(gateway.answer(gateway.progress(3)));
  CHECK(gateway.acked == std::vector<Row>{Row(3)});
  CHECK(gateway.sent_seqs() == "4+2");
  CHECK(gateway.stored.front().start.accepted);
}

TEST_CASE("sender: rewinds when the stream was rolled back, and sends what it still has [H-30]") {
  GatewayBench gateway;
  gateway.append(6);
  gateway.stream_from(6);
  gateway.reset();
  gateway.connect();
  gateway.hear(gateway.answer(gateway.progress(2)));
  CHECK(gateway.sent_seqs() == "3+4");
  CHECK(gateway.acked.back() == Row(2));
  CHECK(gateway.journal.epoch().accepted);
  CHECK(std::find(gateway.alarms.begin(), gateway.alarms.end(), handoff::AlarmKind::stream_rolled_back) !=
        gateway.alarms.end());
}

TEST_CASE(
    "sender: an Ack that cannot be right trims nothing, is counted, and brings a Hello, at most one a second [H-31] "
    "[H-32]") {
  GatewayBench gateway;
  gateway.stream_from(0);
  gateway.append(2);
  const v1::Ack right = GatewayBench::place(gateway.progress(2));
  const auto refuses = [&](v1::Ack ack) {
    const auto refused = gateway.sender->counters().acks_refused;
    gateway.hear(ack);
    CHECK(gateway.sender->counters().acks_refused == refused + 1);
    CHECK(gateway.sender->acked() == Row(0));
    CHECK(gateway.acked.empty());
    if (gateway.sender->state() == SenderState::greeting) gateway.hear(gateway.answer(gateway.progress(0)));
  };
  v1::Ack digest = right;
  digest.set_digest(std::string(32, 'x'));
  v1::Ack epoch = right;
  epoch.set_epoch(std::string(16, 'x'));
  v1::Ack beyond = right;
  beyond.set_seq(3);
  v1::Ack far = right;
  far.set_seq(~0ULL);
  v1::Ack short_digest = right;
  short_digest.set_digest("x");
  for (const v1::Ack& ack : {digest, epoch, beyond, far, short_digest}) refuses(ack);
  CHECK(gateway.hellos().size() == 1);
  gateway.pass(seconds(1));
  refuses(digest);
  CHECK(gateway.hellos().size() == 2);
}

TEST_CASE("sender: an Ack of what was never sent trims nothing, even with the right digest [H-31]") {
  GatewayBench gateway({.batch_events = 1});
  gateway.stream_from(0, 10);
  gateway.append(3, 200);
  REQUIRE(gateway.sender->sent() == Row(1));
  gateway.hear(GatewayBench::place(gateway.progress(2), 10));
  CHECK(gateway.sender->acked() == Row(0));
  CHECK(gateway.sender->counters().acks_refused == 1);
}

TEST_CASE("sender: an answer whose progress cannot be read is refused [H-2] [H-31]") {
  GatewayBench gateway;
  gateway.append(2);
  gateway.connect();
  v1::Ack ack = gateway.answer(gateway.progress(2));
  ack.mutable_progress()->set_digest("short");
  gateway.hear(ack);
  CHECK(gateway.sender->state() == SenderState::greeting);
  CHECK(gateway.acked.empty());
}

TEST_CASE("sender: a held schema is tried again seldom, and that is no reason to reconnect [H-58]") {
  GatewayBench gateway({.ack_timeout = seconds(10)});
  gateway.stream_from(0);
  gateway.append(1);
  v1::Ack held = GatewayBench::place(gateway.progress(0));
  held.set_reason(v1::Ack::UPGRADE_BRIDGE);
  std::size_t tried = gateway.batches().size();
  for (int i = 0; i < 120; ++i) {
    gateway.hear(held);
    gateway.pass(seconds(1));
  }
  CHECK(gateway.sender->held() == handoff::Held::upgrade_bridge);
  CHECK(gateway.batches().size() - tried <= 20);
  CHECK(gateway.batches().size() > tried);
  CHECK(gateway.reconnects == 0);
  gateway.pass(seconds(31));
  gateway.hear(GatewayBench::place(gateway.progress(1)));
  CHECK(gateway.sender->held() == handoff::Held::no);
  CHECK(gateway.sender->acked() == Row(1));
}

TEST_CASE("sender: in quarantine it goes on storing and says Hello about every 30 seconds [H-74]") {
  GatewayBench gateway;
  gateway.stream_from(0);
  gateway.append(1);
  v1::Ack quarantined;
  quarantined.set_reason(v1::Ack::QUARANTINED);
  gateway.hear(quarantined);
  gateway.sent.clear();
  for (int i = 0; i < 600; ++i) {
    gateway.pass(seconds(1));
    if (gateway.sent.empty()) continue;
    v1::Ack answer = gateway.answer(std::nullopt);
    answer.set_reason(v1::Ack::QUARANTINED);
    gateway.hear(answer);
  }
  CHECK(gateway.hellos().size() >= 20);
  CHECK(gateway.hellos().size() <= 50);
  CHECK(gateway.batches().empty());
  CHECK(gateway.stored.size() == 1);  // only the accepted epoch: no fork
  gateway.append(1);
  gateway.hear(gateway.answer(gateway.progress(0)));
  CHECK(gateway.sent_seqs() == "1+2");
}

TEST_CASE("sender: a heartbeat tells what is pending, at its interval, while streaming [H-81]") {
  GatewayBench gateway({.heartbeat_interval = seconds(5)});
  handoff::HeartbeatFacts facts;
  facts.clock_synced = true;
  facts.complete_until = base::UtcTime(milliseconds(77));
  facts.certificate_days_left = 12;
  gateway.sender->on_facts(facts);
  gateway.append(3);
  gateway.connect();
  gateway.pass(seconds(12));
  for (const v1::Up& up : gateway.sent) CHECK_FALSE(up.has_heartbeat());
  gateway.hear(gateway.answer(gateway.progress(1)));
  gateway.pass(seconds(11));
  std::vector<v1::Heartbeat> heartbeats;
  for (const v1::Up& up : gateway.sent) {
    if (up.has_heartbeat()) heartbeats.push_back(up.heartbeat());
  }
  REQUIRE(heartbeats.size() == 3);
  CHECK(heartbeats[2].committed_seq() == 1);
  CHECK(heartbeats[2].pending_events() == 2);
  CHECK(heartbeats[2].complete_until_ms() == 77);
  CHECK(heartbeats[2].certificate_days_left() == 12);
  CHECK(heartbeats[2].revision() > heartbeats[1].revision());
  facts.clock_synced = false;
  gateway.sender->on_facts(facts);
  gateway.pass(seconds(6));
  CHECK_FALSE(gateway.sent.back().heartbeat().has_complete_until_ms());
}

TEST_CASE("sender: a journal that broke and was opened anew starts over from what is on disk") {
  GatewayBench gateway;
  gateway.stream_from(0);
  gateway.append(2);
  gateway.sender->on_closed(gateway.now);
  gateway.pass(seconds(5));
  CHECK(gateway.sender->state() == SenderState::closed);
  gateway.sent.clear();
  gateway.sender->on_opened(gateway.journal.open(gateway.random), gateway.now);
  gateway.settle();
  CHECK(gateway.hellos().size() == 1);
  gateway.hear(gateway.answer(gateway.progress(1)));
  CHECK(gateway.sent_seqs() == "2+1");
}

TEST_CASE("sender: what a journal that broke was about to be asked is not asked of the next one") {
  GatewayBench gateway;
  gateway.append(3);
  gateway.connect();
  handoff::Progress stored = gateway.progress(2);
  stored.place = {gateway.random.id<handoff::Epoch>(), Seq(40), base::Digest{}};
  gateway.sender->on_ack(gateway.answer(stored), gateway.now);
  gateway.sender->on_closed(gateway.now);
  gateway.settle();
  CHECK(gateway.stored.empty());
  gateway.sender->on_opened(gateway.journal.open(gateway.random), gateway.now);
  gateway.settle();
  gateway.hear(gateway.answer(stored));
  CHECK(gateway.stored.size() == 1);
}

TEST_CASE("sender: memory holds at most the window, whatever the backlog") {
  GatewayBench gateway({.window_events = 8, .batch_events = 4});
  gateway.append(200);
  gateway.stream_from(0);
  for (std::uint64_t seq = 4; seq <= 200; seq += 4) gateway.hear(GatewayBench::place(gateway.progress(seq)));
  CHECK(gateway.sender->acked() == Row(200));
  CHECK(gateway.sender->pending() == 0);
}
