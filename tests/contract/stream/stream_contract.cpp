// What every stream promises, whatever keeps it. Written against the interface alone; completions are pumped by a test
// loop.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/contract/stream/life.hpp"

using namespace test;

TEST_CASE("stream: nothing may begin before the partition is owned") {
  const auto rig = make_rig();
  Life life(*rig);
  CHECK_FALSE(life.stream().may_begin(kPartition));
  REQUIRE(life.become_owner());
  CHECK(life.owner.progress_found.empty());
  CHECK(life.stream().may_begin(kPartition));
  CHECK(life.stream().status().up);
}

TEST_CASE("stream: what on_committed names is there for other readers, whole and in order") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  auto transaction = test::transaction("shop-1", 1, 1, 3);
  const auto other = test::transaction("shop-2", 7, 1, 2);
  transaction.records.insert(transaction.records.begin() + 1, other.records.begin(), other.records.end());
  transaction.progress.push_back(other.progress.front());
  transaction.dead_letters.push_back(dead_letter("shop-1", "", "d1"));
  transaction.gateways.push_back({"shop-1", R"({"gateway_id":"shop-1"})"});
  REQUIRE(life.commit(transaction));

  const CommittedView view = rig->committed();
  CHECK(view.records == transaction.records);
  CHECK(view.dead_letters == transaction.dead_letters);
  CHECK(view.gateways.at("shop-1") == R"({"gateway_id":"shop-1"})");
}

TEST_CASE("stream: one transaction at a time") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  life.begin(transaction("shop-1", 1, 1, 1));
  CHECK_FALSE(life.stream().may_begin(kPartition));
  REQUIRE(life.await_commit());
  CHECK(life.stream().may_begin(kPartition));
}

TEST_CASE("stream: the next owner finds the progress that was committed last") {
  const auto rig = make_rig();
  const auto last = progress("shop-1", 2, 4);
  {
    Life life(*rig);
    REQUIRE(life.become_owner());
    REQUIRE(life.commit(transaction("shop-1", 1, 1, 9)));
    REQUIRE(life.commit(transaction("shop-2", 1, 1, 5)));
    REQUIRE(life.commit(transaction("shop-1", 2, 1, 4)));
    REQUIRE(life.close());
  }
  Life life(*rig);
  REQUIRE(life.become_owner());
  REQUIRE(life.owner.progress_found.size() == 2);
  CHECK(progress_of(life.owner.progress_found, "shop-2") == 5);
  const auto& found = life.owner.progress_found;
  CHECK(std::any_of(found.begin(), found.end(),
                    [&](const auto& row) { return row.SerializeAsString() == last.SerializeAsString(); }));
}

TEST_CASE("stream: the same seq of another epoch or gateway is another place, and a bridge's notices have none") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  auto transaction = test::transaction("shop-1", 1, 1, 1);
  transaction.records.push_back(record("shop-1", 2, 1));
  transaction.records.push_back(record("shop-2", 1, 1));
  transaction.records.push_back(bridge_notice("shop-1", "n1"));
  transaction.records.push_back(bridge_notice("shop-1", "n2"));
  REQUIRE(life.commit(transaction));
  CHECK(rig->committed().records == transaction.records);
}

TEST_CASE("stream: a dead letter is kept once for each gateway, epoch and digest") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  stream::Transaction letters;
  letters.dead_letters = {dead_letter("shop-1", "", "d1"), dead_letter("shop-1", "", "d1")};
  REQUIRE(life.commit(letters));
  letters.dead_letters = {dead_letter("shop-1", "", "d1"), dead_letter("shop-1", "", "d2"),
                          dead_letter("shop-2", "", "d1"), dead_letter("shop-1", epoch_hex(1), "d1")};
  letters.dead_letters.back().payload = std::string("\0\1x", 3);
  REQUIRE(life.commit(letters));
  const auto kept = rig->committed().dead_letters;
  CHECK(kept.size() == 4);
  CHECK(std::count(kept.begin(), kept.end(), letters.dead_letters.back()) == 1);
}

TEST_CASE("stream: the newest row of a gateway stands for it") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  stream::Transaction rows;
  rows.gateways = {{"shop-1", R"({"n":1})"}, {"shop-2", R"({"n":2})"}, {"shop-1", R"({"n":3})"}};
  REQUIRE(life.commit(rows));
  CHECK(rig->committed().gateways ==
        std::map<std::string, std::string>{{"shop-1", R"({"n":3})"}, {"shop-2", R"({"n":2})"}});
}

TEST_CASE("stream: a failed commit is a loss, and the progress found afterwards says exactly what is in the stream") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  REQUIRE(life.commit(transaction("shop-1", 1, 1, 3)));
  Fault fault = Fault::certain_failure;
  SUBCASE("certainly not in the stream") { fault = Fault::certain_failure; }
  SUBCASE("perhaps in the stream") { fault = Fault::uncertain_outcome; }
  rig->fail_next_commit(fault);
  life.begin(transaction("shop-1", 1, 4, 40));
  REQUIRE(life.await_loss());
  CHECK(life.owner.committed.size() == 1);
  CHECK_FALSE(life.owner.losses.front().empty());
  const auto failed = life.stream().status();
  CHECK_FALSE(failed.last_error.empty());
  CHECK(failed.last_error_at.has_value());

  REQUIRE(life.become_owner());
  CHECK_FALSE(life.stream().status().last_error.empty());
  CHECK(life.stream().status().last_error_at >= failed.last_error_at);
  const std::uint64_t through = progress_of(life.owner.progress_found, "shop-1");
  CHECK((through == 3 || through == 40));
  if (fault == Fault::certain_failure) CHECK(through == 3);
  CHECK(seqs(rig->committed().records, "shop-1", 1) == up_to(through));

  REQUIRE(life.commit(transaction("shop-1", 1, through + 1, 50)));
  CHECK(seqs(rig->committed().records, "shop-1", 1) == up_to(50));
}

TEST_CASE("stream: a crash in the middle of a commit leaves all of it or nothing") {
  const auto rig = make_rig();
  std::uint64_t through = 0;
  for (int round = 0; round < 8; ++round) {
    Life life(*rig);
    REQUIRE(life.become_owner());
    through = progress_of(life.owner.progress_found, "shop-1");
    CHECK(seqs(rig->committed().records, "shop-1", 1) == up_to(through));
    REQUIRE(life.commit(transaction("shop-1", 1, through + 1, through + 2)));
    life.begin(transaction("shop-1", 1, through + 3, through + 100));
  }
  Life life(*rig);
  REQUIRE(life.become_owner());
  CHECK(progress_of(life.owner.progress_found, "shop-1") >= 16);
  CHECK(seqs(rig->committed().records, "shop-1", 1) == up_to(progress_of(life.owner.progress_found, "shop-1")));
}

TEST_CASE("stream: close finishes what is under way, and calls nothing afterwards") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  life.begin(transaction("shop-1", 1, 1, 20));
  REQUIRE(life.close());
  CHECK(life.owner.committed.size() == 1);
  CHECK_FALSE(life.stream().may_begin(kPartition));
  const int calls = life.owner.calls;
  life.loop.run_pending();
  CHECK(life.owner.calls == calls);
  CHECK(seqs(rig->committed().records, "shop-1", 1) == up_to(20));
}
