// What a stream promises beyond stream_contract.cpp when the bridge itself keeps it: it knows every place, and has
// limited room.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/contract/stream/life.hpp"

using namespace test;

TEST_CASE("stream: a second record of one place fails its whole transaction, loudly") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  REQUIRE(life.commit(transaction("shop-1", 1, 1, 3)));
  auto repeat = transaction("shop-1", 1, 4, 5);
  SUBCASE("already in the stream") { repeat.records.push_back(record("shop-1", 1, 3)); }
  SUBCASE("twice in one transaction") { repeat.records.push_back(record("shop-1", 1, 5)); }
  repeat.dead_letters.push_back(dead_letter("shop-1", "", "d1"));
  repeat.gateways.push_back({"shop-1", "{}"});
  life.begin(repeat);
  REQUIRE(life.await_loss());
  CHECK(life.owner.committed.size() == 1);
  CHECK_FALSE(life.stream().status().last_error.empty());

  REQUIRE(life.become_owner());
  CHECK(progress_of(life.owner.progress_found, "shop-1") == 3);
  const CommittedView view = rig->committed();
  CHECK(seqs(view.records, "shop-1", 1) == up_to(3));
  CHECK(view.dead_letters.empty());
  CHECK(view.gateways.empty());
  CHECK(life.commit(transaction("shop-1", 1, 4, 5)));
}

TEST_CASE("stream: its status counts the dead letters that it keeps") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  stream::Transaction letters;
  letters.dead_letters = {dead_letter("shop-1", "", "d1"), dead_letter("shop-1", "", "d1"),
                          dead_letter("shop-2", "", "d1")};
  REQUIRE(life.commit(letters));
  CHECK(life.stream().status().dead_letters == 2);
}

TEST_CASE("stream: a blocked stream says why, takes nothing, and recovers by itself") {
  const auto rig = make_embedded_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  rig->block();
  std::uint64_t through = 0;
  for (int round = 0; round < 100 && life.stream().may_begin(kPartition); ++round, through += 100) {
    REQUIRE(life.commit(transaction("shop-1", 1, through + 1, through + 100)));
  }
  CHECK_FALSE(life.stream().may_begin(kPartition));
  CHECK(life.stream().status().up);
  CHECK_FALSE(life.stream().status().blocked.empty());
  CHECK(life.owner.losses.empty());

  rig->unblock();
  REQUIRE(life.loop.run_until([&] { return life.owner.times_ready > 0; }));
  CHECK(life.stream().status().blocked.empty());
  REQUIRE(life.commit(transaction("shop-1", 1, through + 1, through + 1)));
  CHECK(seqs(rig->committed().records, "shop-1", 1) == up_to(through + 1));
}
