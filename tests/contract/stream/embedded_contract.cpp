// What a stream promises beyond stream_contract.cpp when the bridge itself keeps it: it knows every place, has limited
// room, and can be read through the bridge.
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

TEST_CASE("stream: a reader goes through all records in bounded pages, from any position") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  const auto empty = life.read(Position(0));
  REQUIRE(empty.has_value());
  CHECK(empty->records.empty());
  CHECK_FALSE(empty->more);

  const auto transaction = test::transaction("shop-1", 1, 1, 25);
  REQUIRE(life.commit(transaction));
  std::vector<stream::Record> seen;
  std::vector<Position> positions;
  Position from(0);
  for (bool more = true; more;) {
    const auto page = life.read(from, {.records = 10, .bytes = 1 << 20});
    REQUIRE(page.has_value());
    CHECK(page->records.size() <= 10);
    for (const auto& read : page->records) {
      seen.push_back(read.record);
      positions.push_back(read.position);
    }
    from = page->next;
    more = page->more;
  }
  CHECK(seen == transaction.records);
  CHECK(std::is_sorted(positions.begin(), positions.end()));
  CHECK(std::adjacent_find(positions.begin(), positions.end()) == positions.end());
  CHECK(positions.front() > Position(0));

  SUBCASE("a position is where it starts") {
    const auto page = life.read(positions[7], {.records = 1, .bytes = 1});
    REQUIRE(page->records.size() == 1);
    CHECK(page->records.front().position == positions[7]);
    CHECK(page->next > positions[7]);
    CHECK(page->next <= positions[8]);
  }
  SUBCASE("bytes bound a page, and one record always fits") {
    const std::size_t value = seen.front().value.size();
    CHECK(life.read(Position(0), {.records = 100, .bytes = 3 * value})->records.size() < 6);
    CHECK(life.read(Position(0), {.records = 100, .bytes = 1})->records.size() == 1);
  }
  SUBCASE("the end is found again when more comes") {
    CHECK(life.read(from)->records.empty());
    REQUIRE(life.commit(test::transaction("shop-1", 1, 26, 26)));
    const auto page = life.read(from);
    REQUIRE(page->records.size() == 1);
    CHECK(*page->records.front().record.seq == 26);
  }
  SUBCASE("far beyond the end there is nothing") { CHECK(life.read(Position(UINT64_MAX))->records.empty()); }
}

TEST_CASE("stream: a watcher hears of each commit that appended, with the last position") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  std::vector<Position> heard;
  life.reader().watch([&heard](Position last) { heard.push_back(last); });
  REQUIRE(life.commit(transaction("shop-1", 1, 1, 3)));
  stream::Transaction quiet;
  quiet.gateways = {{"shop-1", "{}"}};
  REQUIRE(life.commit(quiet));
  REQUIRE(life.commit(transaction("shop-1", 1, 4, 4)));
  life.loop.run_pending();
  REQUIRE(heard.size() == 2);
  CHECK(heard[0] < heard[1]);
  CHECK(life.read(heard[1])->records.size() == 1);
  CHECK(life.stream().status().last_position == heard[1]);

  life.reader().watch({});
  REQUIRE(life.commit(transaction("shop-1", 1, 5, 5)));
  life.loop.run_pending();
  CHECK(heard.size() == 2);
}

TEST_CASE("stream: reads that wait are answered while transactions go on, and when it closes") {
  const auto rig = make_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  int answered = 0;
  int asked = 0;
  std::uint64_t through = 0;
  for (; through < 20; ++through) {
    life.begin(transaction("shop-1", 1, through + 1, through + 1));
    for (int i = 0; i < 3; ++i, ++asked) {
      life.reader().read(Position(0), {}, [&answered](const auto& /*page*/) { ++answered; });
    }
    REQUIRE(life.await_commit());
  }
  REQUIRE(life.close());
  CHECK(answered == asked);
  CHECK(seqs(rig->committed().records, "shop-1", 1) == up_to(20));
}
