// The bridge's end against gateways that the test plays.
#include <doctest/doctest.h>

#include <map>

#include "proto/handoff/receiver.hpp"
#include "proto/platform/system.hpp"
#include "tests/support/seeded_random.hpp"

using handoff::Progress;
using handoff::Receiver;
using handoff::RefusalReason;
using handoff::Seq;
using std::chrono::minutes;
using std::chrono::seconds;
namespace v1 = tillstream::v1;

namespace {

const base::Hasher& hasher = platform::hasher();

// A gateway on paper: one epoch, one run, rows that are named by their number.
struct Paper {
  explicit Paper(std::uint64_t seed = 1)
      : random(seed), epoch(random.id<handoff::Epoch>()), run(random.id<handoff::Run>()) {}

  [[nodiscard]] std::string record(std::uint64_t seq) const { return prefix + std::to_string(seq); }
  [[nodiscard]] base::Digest digest(std::uint64_t seq) const { return chain_to(epoch, seq); }
  template <class Id>
  [[nodiscard]] base::Digest chain_to(const Id& id, std::uint64_t seq) const {
    base::Digest digest = handoff::chain_start(hasher, id);
    for (std::uint64_t i = 1; i <= seq; ++i) digest = handoff::chain(hasher, digest, record(i));
    return digest;
  }
  [[nodiscard]] v1::Up hello(bool is_new = true) {
    v1::Up up;
    up.set_gateway_id("shop-1");
    up.mutable_hello()->set_epoch(base::Bytes(epoch.view()));
    up.mutable_hello()->set_new_epoch(is_new);
    up.mutable_hello()->set_run(base::Bytes(run.view()));
    up.mutable_hello()->set_nonce(random.next());
    return up;
  }
  [[nodiscard]] v1::Up hello_after(const handoff::Place& place) {
    v1::Up up = hello();
    handoff::set_place(*up.mutable_hello()->mutable_supersedes(), place);
    return up;
  }
  [[nodiscard]] v1::Up batch(std::uint64_t first, std::uint64_t last) const {
    v1::Up up;
    up.set_gateway_id("shop-1");
    v1::Batch& batch = *up.mutable_batch();
    batch.set_epoch(base::Bytes(epoch.view()));
    batch.set_first_seq(first);
    batch.set_digest_before(base::Bytes(digest(first - 1).view()));
    batch.set_run(base::Bytes(run.view()));
    batch.set_run_index(first - 1);
    batch.set_run_digest_before(base::Bytes(chain_to(run, first - 1).view()));
    batch.set_schema_version(1);
    for (std::uint64_t seq = first; seq <= last; ++seq) batch.mutable_records()->add_record(record(seq));
    return up;
  }

  support::SeededRandom random;
  handoff::Epoch epoch;
  handoff::Run run;
  std::string prefix = "row ";
};

// A receiver whose transactions commit when the test says so.
struct Bench {
  explicit Bench(std::optional<Progress> stored = std::nullopt, handoff::ReceiverSettings settings = {})
      : receiver(hasher, "shop-1", settings, std::move(stored)) {
    receiver.set_credit(1'000'000);
    settle();
    acks.clear();
  }
  void hear(v1::Up up) {
    receiver.on_up(std::move(up), now);
    settle();
  }
  void settle() {
    while (auto output = receiver.poll()) {
      if (auto* publish = std::get_if<handoff::Publish>(&*output)) published.push_back(std::move(*publish));
      if (auto* reply = std::get_if<handoff::Reply>(&*output)) acks.push_back(reply->ack);
      if (auto* refuse = std::get_if<handoff::Refuse>(&*output)) refused.push_back(refuse->reason);
      if (auto* heard = std::get_if<handoff::Heard>(&*output)) heartbeats.push_back(heard->heartbeat);
    }
  }
  void commit() {
    if (published.empty()) return;
    receiver.on_committed(published.back().ticket);
    settle();
  }
  void pass(std::chrono::milliseconds time) {
    now.instant += time;
    now.utc += time;
  }
  [[nodiscard]] std::vector<std::string> rows() const {
    std::vector<std::string> rows;
    for (const auto& publish : published) {
      for (const auto& row : publish.rows) rows.push_back(row.record);
    }
    return rows;
  }
  [[nodiscard]] std::size_t notices(handoff::Notice notice) const {
    std::size_t count = 0;
    for (const auto& publish : published) count += std::count(publish.notices.begin(), publish.notices.end(), notice);
    return count;
  }
  // In the epoch of `paper`, with `count` rows committed.
  void stream(Paper& paper, std::uint64_t count) {
    hear(paper.hello());
    commit();
    if (count > 0) hear(paper.batch(1, count));
    commit();
    acks.clear();
    refused.clear();
  }

  Receiver receiver;
  base::Now now{base::Instant(seconds(100)), base::UtcTime(seconds(1'764'000'000))};
  std::vector<handoff::Publish> published;
  std::vector<v1::Ack> acks;
  std::vector<RefusalReason> refused;
  std::vector<v1::Heartbeat> heartbeats;
};

}  // namespace

TEST_CASE("receiver: a message of another gateway is refused and changes nothing [H-1]") {
  Paper paper;
  Bench bench;
  v1::Up up = paper.hello();
  up.set_gateway_id("shop-2");
  bench.hear(up);
  CHECK(bench.refused == std::vector{RefusalReason::gateway_mismatch});
  CHECK(bench.published.empty());
  CHECK(bench.acks.empty());
}

TEST_CASE("receiver: impossible fields are refused and change nothing [H-2]") {
  Paper paper;
  Bench bench;
  bench.stream(paper, 1);
  const auto before = bench.receiver.tentative();
  std::vector<v1::Up> wrong(7, paper.batch(2, 2));
  wrong[0].mutable_batch()->set_epoch("x");
  wrong[1].mutable_batch()->set_digest_before("x");
  wrong[2].mutable_batch()->set_run("x");
  wrong[3].mutable_batch()->clear_records();
  wrong[4].mutable_batch()->set_first_seq(0);
  wrong[5].mutable_batch()->set_first_seq(~0ULL);
  wrong[6].mutable_batch()->set_run_digest_before("x");
  v1::Up hello = paper.hello();
  hello.mutable_hello()->set_run("x");
  wrong.push_back(hello);
  wrong.push_back({});
  wrong.back().set_gateway_id("shop-1");
  for (const v1::Up& up : wrong) bench.hear(up);
  CHECK(bench.refused == std::vector(wrong.size(), RefusalReason::malformed));
  CHECK(bench.receiver.tentative() == before);
}

TEST_CASE("receiver: an Ack never names more than is committed, and rows go on while a commit runs [H-51]") {
  Paper paper;
  Bench bench;
  bench.stream(paper, 0);
  bench.hear(paper.batch(1, 2));
  bench.hear(paper.batch(3, 4));
  CHECK(bench.acks.empty());
  REQUIRE(bench.published.size() == 3);
  bench.receiver.on_committed(bench.published[1].ticket);
  bench.settle();
  REQUIRE(bench.acks.size() == 1);
  CHECK(bench.acks[0].seq() == 2);
  CHECK(bench.acks[0].digest() == paper.digest(2).view());
  bench.hear(paper.batch(1, 1));  // a repeat brings the committed place, not the tentative one
  CHECK(bench.acks.back().seq() == 2);
  bench.commit();
  CHECK(bench.acks.back().seq() == 4);
}

TEST_CASE("receiver: rows are published in order, and what comes after a gap is not [H-52]") {
  Paper paper;
  Bench bench;
  bench.stream(paper, 1);
  bench.hear(paper.batch(3, 4));
  CHECK(bench.refused == std::vector{RefusalReason::gap});
  CHECK(bench.acks.back().seq() == 1);
  CHECK(bench.acks.back().reason() == v1::Ack::PROGRESS);
  bench.hear(paper.batch(2, 2));
  bench.hear(paper.batch(3, 4));
  CHECK(bench.rows() == std::vector<std::string>{"row 1", "row 2", "row 3", "row 4"});
  std::uint64_t seq = 0;
  for (const auto& publish : bench.published) {
    for (const auto& row : publish.rows) CHECK(row.seq.value() == ++seq);
  }
}

TEST_CASE("receiver: an answer waits until all that it speaks of is committed [H-53]") {
  Paper paper;
  Bench bench;
  bench.hear(paper.hello());
  CHECK(bench.acks.empty());
  bench.commit();
  REQUIRE(bench.acks.front().has_nonce());
  bench.acks.clear();
  bench.hear(paper.batch(1, 2));
  bench.hear(paper.hello(false));
  CHECK(bench.acks.empty());
  bench.commit();
  CHECK(bench.acks.front().progress().seq() == 2);
  CHECK(bench.acks.front().progress().runs(0).count() == 2);
}

TEST_CASE("receiver: rows that came before are not published again, and are acked again [H-54]") {
  Paper paper;
  Bench bench;
  bench.stream(paper, 4);
  bench.hear(paper.batch(1, 4));
  bench.hear(paper.batch(2, 3));
  CHECK(bench.rows().size() == 4);
  CHECK(bench.acks.size() == 2);
  CHECK(bench.acks.back().seq() == 4);
  CHECK(bench.receiver.counters().rows_repeated == 6);
}

TEST_CASE("receiver: what is published and not committed is bounded [H-55]") {
  Paper paper;
  Bench bench(std::nullopt, {.uncommitted_bytes_max = 20});
  bench.stream(paper, 0);
  bench.hear(paper.batch(1, 3));
  bench.hear(paper.batch(4, 6));
  CHECK(bench.refused == std::vector{RefusalReason::over_credit});
  CHECK(bench.receiver.uncommitted_bytes() <= 20);
  bench.commit();
  bench.hear(paper.batch(4, 12));  // alone, a large one is taken
  CHECK(bench.rows().size() == 12);
}

TEST_CASE("receiver: a batch that overlaps counts only if its chain ends in the stored digest [H-56]") {
  Paper paper;
  Bench bench;
  bench.stream(paper, 3);
  Paper other = paper;
  other.prefix = "another ";
  v1::Up forged = other.batch(2, 5);
  bench.hear(forged);
  bench.hear(other.batch(4, 5));
  CHECK(bench.refused == std::vector{RefusalReason::digest_mismatch, RefusalReason::digest_mismatch});
  CHECK(bench.acks.back().reason() == v1::Ack::MISMATCH);
  CHECK(bench.rows().size() == 3);
  bench.hear(paper.batch(2, 5));
  CHECK(bench.rows() == std::vector<std::string>{"row 1", "row 2", "row 3", "row 4", "row 5"});
  CHECK(bench.receiver.tentative()->place.digest == paper.digest(5));
  CHECK(bench.receiver.tentative()->runs.back().digest == paper.chain_to(paper.run, 5));
}

TEST_CASE("receiver: rows of a run that are counted are never published again, in whatever epoch [H-57]") {
  Paper paper;
  Bench bench;
  bench.stream(paper, 3);
  Paper next = paper;
  next.epoch = paper.random.id<handoff::Epoch>();
  bench.hear(next.hello_after(bench.receiver.committed()->place));
  bench.commit();
  bench.hear(next.batch(1, 2));
  CHECK(bench.refused.back() == RefusalReason::digest_mismatch);
  CHECK(bench.rows().size() == 3);
}

TEST_CASE("receiver: rows that continue a run must be of that run [H-57]") {
  Paper paper;
  Bench bench;
  bench.stream(paper, 3);
  v1::Up up = paper.batch(4, 4);
  up.mutable_batch()->set_run_digest_before(std::string(32, 'x'));
  bench.hear(up);
  CHECK(bench.refused == std::vector{RefusalReason::digest_mismatch});
}

TEST_CASE("receiver: the last 16 runs are counted, and that one was dropped is remembered [H-57]") {
  Paper paper;
  Bench bench;
  bench.stream(paper, 0);
  std::vector<handoff::Run> runs;
  for (std::uint64_t seq = 1; seq <= 17; ++seq) {
    v1::Up up = paper.batch(seq, seq);
    runs.push_back(paper.random.id<handoff::Run>());
    up.mutable_batch()->set_run(base::Bytes(runs.back().view()));
    up.mutable_batch()->set_run_index(0);
    up.mutable_batch()->set_run_digest_before(base::Bytes(handoff::chain_start(hasher, runs.back()).view()));
    CHECK(bench.receiver.tentative()->runs_overflowed == (seq > 17));
    bench.hear(up);
  }
  const Progress& progress = *bench.receiver.tentative();
  CHECK(progress.runs_overflowed);
  CHECK(progress.runs.size() == 16);
  CHECK(progress.find(runs[0]) == nullptr);
  CHECK(progress.runs.back().run == runs[16]);
  CHECK(progress.runs.back().count == 1);
}

TEST_CASE("receiver: a cut run's count may jump, and its digest is void [H-57]") {
  Paper paper;
  Bench bench;
  bench.stream(paper, 3);
  v1::Up up = paper.batch(4, 5);
  up.mutable_batch()->set_run_index(9);
  up.mutable_batch()->clear_run_digest_before();
  bench.hear(up);
  CHECK(bench.rows().size() == 5);
  CHECK(bench.receiver.tentative()->runs.back() == handoff::RunProgress{paper.run, 11, std::nullopt});
}

TEST_CASE("receiver: a batch of a newer schema is held, and nothing of it published [H-58]") {
  Paper paper;
  Bench bench;
  bench.stream(paper, 1);
  v1::Up up = paper.batch(2, 3);
  up.mutable_batch()->set_schema_version(2);
  bench.hear(up);
  CHECK(bench.refused == std::vector{RefusalReason::newer_schema});
  CHECK(bench.acks.back().reason() == v1::Ack::UPGRADE_BRIDGE);
  CHECK(bench.acks.back().seq() == 1);
  CHECK(bench.rows().size() == 1);
}

TEST_CASE("receiver: after an unknown outcome the stream's progress counts, whichever it is [H-59]") {
  Paper paper;
  Bench bench;
  bench.stream(paper, 1);
  const auto before = bench.receiver.committed();
  bench.hear(paper.batch(2, 3));
  const auto after = bench.receiver.tentative();
  bench.hear(paper.hello(false));
  bench.receiver.on_reset(before);
  bench.settle();
  CHECK(bench.acks.empty());  // the answer spoke of rows that may not be there
  bench.hear(paper.batch(2, 3));
  CHECK(bench.published.back().rows.size() == 2);
  bench.receiver.on_reset(after);
  bench.hear(paper.batch(2, 3));
  bench.settle();
  CHECK(bench.acks.back().seq() == 3);
  bench.receiver.on_reset(std::nullopt);
  bench.hear(paper.batch(4, 4));
  CHECK(bench.refused.back() == RefusalReason::foreign_epoch);
}

TEST_CASE("receiver: the epoch changes only from exactly what a Hello supersedes [H-60]") {
  Paper paper;
  Bench bench;
  bench.stream(paper, 3);
  const handoff::Place place = bench.receiver.committed()->place;
  Paper next(2);
  handoff::Place earlier = place;
  earlier.seq = Seq(2);
  earlier.digest = paper.digest(2);
  handoff::Place other_digest = place;
  other_digest.digest = paper.digest(2);
  handoff::Place other_epoch = place;
  other_epoch.epoch = next.epoch;
  v1::Up not_new = next.hello_after(place);
  not_new.mutable_hello()->set_new_epoch(false);
  for (const v1::Up& up : {next.hello_after(earlier), next.hello_after(other_digest), next.hello_after(other_epoch),
                           not_new, next.hello()}) {
    bench.hear(up);
    REQUIRE(bench.acks.back().nonce() == up.hello().nonce());
    CHECK(bench.acks.back().reason() == v1::Ack::MISMATCH);
    CHECK(bench.acks.back().progress().seq() == 3);
    CHECK(bench.receiver.tentative()->place == place);
  }
  bench.hear(next.batch(1, 1));
  CHECK(bench.acks.back().reason() == v1::Ack::MISMATCH);
  CHECK(bench.rows().size() == 3);
  const v1::Up right = next.hello_after(place);
  bench.hear(right);
  bench.commit();
  CHECK(bench.receiver.committed()->place == handoff::Place{next.epoch, Seq(0), next.digest(0)});
  CHECK(bench.receiver.committed()->find(paper.run)->count == 3);
  Paper late(3);
  bench.hear(late.hello_after(place));  // another one that was computed from the same answer
  CHECK(bench.receiver.tentative()->place.epoch == next.epoch);
}

TEST_CASE("receiver: the same Hello again, and an own one, change nothing [H-60]") {
  Paper paper;
  Bench bench;
  bench.stream(paper, 2);
  const std::size_t published = bench.published.size();
  bench.hear(paper.hello());
  CHECK(bench.published.size() == published);
  CHECK(bench.acks.back().progress().seq() == 2);
}

TEST_CASE("receiver: without progress only a new epoch that supersedes nothing is taken [H-61]") {
  Paper paper;
  Bench bench;
  bench.hear(paper.hello(false));
  bench.hear(paper.hello_after({paper.epoch, Seq(1), {}}));
  CHECK(bench.published.empty());
  REQUIRE(bench.acks.size() == 2);
  CHECK(bench.acks[0].has_nonce());
  CHECK_FALSE(bench.acks[0].has_progress());
  bench.hear(paper.batch(1, 1));
  CHECK(bench.published.empty());
  bench.hear(paper.hello());
  bench.commit();
  CHECK(bench.receiver.committed()->place.epoch == paper.epoch);
}

TEST_CASE("receiver: the lost range is published with the switch, and nowhere else [H-62]") {
  Paper paper;
  Bench bench;
  bench.stream(paper, 3);
  const handoff::Place place = bench.receiver.committed()->place;
  Paper next(2);
  v1::Up up = next.hello_after(place);
  up.mutable_hello()->mutable_lost()->set_reason("disk_replaced");
  up.mutable_hello()->mutable_lost()->set_first_seq(4);
  bench.hear(up);
  REQUIRE(bench.published.back().loss);
  CHECK(bench.published.back().loss->lost == handoff::Lost{"disk_replaced", Seq(4), Seq(0)});
  CHECK(bench.published.back().loss->superseded == place);
  CHECK(bench.published.back().progress.place.epoch == next.epoch);
  bench.commit();
  bench.hear(up);  // a copy
  std::size_t losses = 0;
  for (const auto& publish : bench.published) losses += publish.loss ? 1 : 0;
  CHECK(losses == 1);
}

TEST_CASE("receiver: credit is told with each Ack, and at once when it opens again [H-63]") {
  Paper paper;
  Bench bench;
  bench.stream(paper, 1);
  bench.receiver.set_credit(0);
  bench.settle();
  bench.hear(paper.hello(false));
  CHECK(bench.acks.back().credit_bytes() == 0);
  CHECK(bench.acks.back().reason() == v1::Ack::BUSY);
  bench.acks.clear();
  bench.receiver.set_credit(500);
  bench.settle();
  REQUIRE(bench.acks.size() == 1);
  CHECK(bench.acks[0].credit_bytes() == 500);
  CHECK(bench.acks[0].reason() == v1::Ack::PROGRESS);
  bench.receiver.set_credit(400);
  bench.settle();
  CHECK(bench.acks.size() == 1);
}

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
