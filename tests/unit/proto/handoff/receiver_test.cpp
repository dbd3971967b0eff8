// The bridge's end against gateways that the test plays.
#include "tests/unit/proto/handoff/receiver_bench.hpp"

using namespace bench;

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

TEST_CASE(
    "receiver: the overlap is proved by the epoch's chain alone, also where no run could show the difference [H-56]") {
  Paper paper;
  Bench bench;
  bench.stream(paper, 3);
  Paper other = paper;
  other.prefix = "another ";
  other.run = other.random.id<handoff::Run>();
  v1::Up cut = other.batch(2, 5);
  cut.mutable_batch()->clear_run_digest_before();
  for (const v1::Up& up : {other.batch(2, 5), other.batch(4, 5), other.batch(1, 4), cut}) {
    bench.hear(up);
    CHECK(bench.refused.back() == RefusalReason::digest_mismatch);
    CHECK(bench.acks.back().reason() == v1::Ack::MISMATCH);
  }
  CHECK(bench.refused.size() == 4);
  CHECK(bench.rows().size() == 3);
  CHECK(bench.receiver.tentative()->place.digest == paper.digest(3));
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

TEST_CASE("receiver: progress says which runs are renamed, and that one was dropped [H-91]") {
  Paper paper;
  Bench bench;
  bench.stream(paper, 0);
  for (std::uint64_t seq = 1; seq <= 17; ++seq) {
    const auto run = paper.random.id<handoff::Run>();
    v1::Up up = paper.batch(seq, seq);
    up.mutable_batch()->set_run(base::Bytes(run.view()));
    up.mutable_batch()->set_run_index(0);
    up.mutable_batch()->set_run_digest_before(base::Bytes(handoff::chain_start(hasher, run).view()));
    up.mutable_batch()->set_renamed(seq == 1);
    CHECK_FALSE(bench.receiver.tentative()->renamed_forgotten);
    bench.hear(up);
    CHECK(bench.receiver.tentative()->runs.front().renamed == (seq < 17));
    CHECK(bench.receiver.tentative()->runs.back().renamed == (seq == 1));
  }
  CHECK(bench.receiver.tentative()->renamed_forgotten);
  CHECK(handoff::from_wire(handoff::to_wire(*bench.receiver.tentative())) == bench.receiver.tentative());
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
