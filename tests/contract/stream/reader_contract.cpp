// What every stream's reader promises, whatever keeps the stream. Records of several gateways, so that they lie in
// several partitions where there are any; between those there is no order.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "tests/contract/stream/life.hpp"

using namespace test;
using stream::Bound;
using stream::Place;

namespace {

constexpr int gateways = 7;

std::string gateway(int n) { return "shop-" + std::to_string(n); }

std::string value(int n, std::uint64_t seq) {
  return R"({"event":")" + gateway(n) + ":" + std::to_string(seq) + R"("})";
}

// Of every gateway the events first to last, mixed.
stream::Transaction mixed(std::uint64_t first, std::uint64_t last) {
  stream::Transaction all;
  for (std::uint64_t seq = first; seq <= last; ++seq) {
    for (int n = 0; n < gateways; ++n) {
      all.records.push_back(record(gateway(n), 1, seq));
      all.records.back().value = value(n, seq);
    }
  }
  for (int n = 0; n < gateways; ++n) all.progress.push_back(progress(gateway(n), 1, last));
  return all;
}

std::multiset<std::string> values_of(const stream::Transaction& transaction) {
  std::multiset<std::string> values;
  for (const auto& record : transaction.records) values.insert(record.value);
  return values;
}

// A reader that goes on and on, woken by the stream alone.
class Reading {
 public:
  Reading(Life& life, Place from, stream::ReadLimits limits = {})
      : life_(life), next_(std::move(from)), limits_(limits) {
    life_.reader().watch([this] { changed_ = true; });
  }
  ~Reading() { life_.reader().watch({}); }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  // False when they do not come.
  [[nodiscard]] bool await(std::size_t records) {
    while (seen.size() < records) {
      changed_ = false;
      if (!step() && seen.size() < records && !life_.loop.run_until([this] { return changed_; })) return false;
    }
    return true;
  }
  [[nodiscard]] std::multiset<std::string> values() const {
    std::multiset<std::string> values;
    for (const auto& record : seen) values.insert(record.value);
    return values;
  }
  [[nodiscard]] const Place& next() const { return next_; }

  std::vector<stream::ReadRecord> seen;

 private:
  // Whether there is more.
  bool step() {
    const auto page = life_.read(next_, limits_);
    REQUIRE_MESSAGE(page.has_value(), (page ? "" : page.error().reason));
    CHECK(page->removed.empty());
    CHECK(page->records.size() <= limits_.records);
    seen.insert(seen.end(), page->records.begin(), page->records.end());
    next_ = page->next;
    return page->more;
  }

  Life& life_;
  Place next_;
  stream::ReadLimits limits_;
  bool changed_ = false;
};

}  // namespace

TEST_CASE("reader: everything comes once, in bounded pages, those of one key in order") {
  const auto rig = make_spread_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  Reading reading(life, life.place("0"), {.records = 10, .bytes = 1 << 20});
  const auto all = mixed(1, 9);
  REQUIRE(life.commit(all));
  REQUIRE(reading.await(all.records.size()));
  CHECK(reading.values() == values_of(all));
  for (int n = 0; n < gateways; ++n) {
    std::vector<std::string> of_one;
    for (const auto& read : reading.seen) {
      if (read.value.find(gateway(n) + ":") != std::string::npos) of_one.push_back(read.value);
    }
    CHECK(std::is_sorted(of_one.begin(), of_one.end()));
  }
}

TEST_CASE("reader: behind each single record the rest comes, without gap or repeat") {
  const auto rig = make_spread_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  std::multiset<std::string> rest;
  for (std::uint64_t seq = 1; seq <= 4; ++seq) {
    const auto part = mixed(seq, seq);
    REQUIRE(life.commit(part));
    rest.merge(values_of(part));
  }
  Reading whole(life, life.place("0"));
  REQUIRE(whole.await(rest.size()));
  for (const auto& read : whole.seen) {
    rest.erase(rest.find(read.value));
    CAPTURE(read.id);
    Reading behind(life, life.place(read.id, Bound::after), {.records = 5, .bytes = 1 << 20});
    REQUIRE(behind.await(rest.size()));
    CHECK(behind.values() == rest);
  }
}

TEST_CASE("reader: a place outlives the bridge that gave it") {
  const auto rig = make_spread_rig();
  std::string id;
  {
    Life life(*rig);
    REQUIRE(life.become_owner());
    REQUIRE(life.commit(mixed(1, 2)));
    Reading reading(life, life.place("0"));
    REQUIRE(reading.await(2 * gateways));
    id = reading.seen.back().id;
    REQUIRE(life.close());
  }
  Life life(*rig);
  REQUIRE(life.become_owner());
  const auto more = mixed(3, 4);
  REQUIRE(life.commit(more));
  Reading reading(life, life.place(id, Bound::after));
  REQUIRE(reading.await(more.records.size()));
  CHECK(reading.values() == values_of(more));
}

TEST_CASE("reader: from the end only what is committed later comes, and each commit wakes") {
  const auto rig = make_spread_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  REQUIRE(life.commit(mixed(1, 3)));
  {
    Reading before(life, life.place("0"));
    REQUIRE(before.await(3 * gateways));
  }
  Reading reading(life, life.find_end());
  std::multiset<std::string> expected;
  for (std::uint64_t seq = 4; seq < 9; ++seq) {
    const auto more = mixed(seq, seq);
    REQUIRE(life.commit(more));
    expected.merge(values_of(more));
    REQUIRE(reading.await(expected.size()));
    CHECK(reading.values() == expected);
  }
}

TEST_CASE("reader: a place before the end gives some of the last, and all that follows") {
  const auto rig = make_spread_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  const auto old = mixed(1, 40);
  REQUIRE(life.commit(old));
  {
    Reading before(life, life.place("0"));
    REQUIRE(before.await(old.records.size()));
  }
  Reading reading(life, life.find_end(14));
  REQUIRE(reading.await(7));
  CHECK(reading.seen.size() <= 3 * 14);
  REQUIRE(life.commit(mixed(41, 41)));
  const auto has = [&](const std::string& wanted) { return reading.values().contains(wanted); };
  for (int n = 0; n < gateways; ++n) {
    while (!has(value(n, 41))) REQUIRE(reading.await(reading.seen.size() + 1));
  }
  Reading whole(life, life.find_end(1'000'000));
  CHECK(whole.await(41 * gateways));
}

TEST_CASE("reader: what was aborted is never shown, and nothing behind it is held back") {
  const auto rig = make_spread_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  REQUIRE(life.commit(mixed(1, 2)));
  Reading reading(life, life.place("0"));
  REQUIRE(reading.await(2 * gateways));
  auto aborted = mixed(3, 3);
  for (auto& record : aborted.records) record.value = R"({"event":"aborted"})";
  rig->leave_aborted(aborted.records);
  rig->fail_next_commit(Fault::certain_failure);
  life.begin(aborted);
  REQUIRE(life.await_loss());
  REQUIRE(life.become_owner());
  REQUIRE(life.commit(mixed(3, 3)));
  REQUIRE(reading.await(3 * gateways));
  CHECK(reading.values() == values_of(mixed(1, 3)));
  Reading later(life, life.place("0"));
  REQUIRE(later.await(3 * gateways));
  CHECK(later.values() == values_of(mixed(1, 3)));
}

TEST_CASE("reader: bytes bound a page, and one record always fits") {
  const auto rig = make_spread_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  const auto all = mixed(1, 3);
  REQUIRE(life.commit(all));
  Reading reading(life, life.place("0"), {.records = 100, .bytes = 1});
  REQUIRE(reading.await(all.records.size()));
  CHECK(reading.values() == values_of(all));
  const std::size_t bytes = all.records.front().value.size();
  CHECK(life.read(life.place("0"), {.records = 100, .bytes = 1})->records.size() == 1);
  CHECK(life.read(life.place("0"), {.records = 100, .bytes = 3 * bytes})->records.size() < 6);
}

TEST_CASE("reader: at the end there is nothing, until more comes") {
  const auto rig = make_spread_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  const auto empty = life.read(life.place("0"));
  REQUIRE(empty.has_value());
  CHECK(empty->records.empty());
  CHECK_FALSE(empty->more);
  REQUIRE(life.commit(mixed(1, 1)));
  Reading reading(life, empty->next);
  REQUIRE(reading.await(gateways));
  const auto end = life.read(reading.next());
  REQUIRE(end.has_value());
  CHECK(end->records.empty());
  CHECK_FALSE(end->more);
}

TEST_CASE("reader: what is no place is refused with words about what is one") {
  const auto rig = make_spread_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  for (const char* text :
       {"x", "-1", "1 ", " 1", "0:1;1:2", "0:1,0:2", "1,2,", "0:99999999999999999999", "é", "0:-1"}) {
    for (const Bound bound : {Bound::from, Bound::after}) {
      const auto parsed = life.reader().parse(text, bound);
      CAPTURE(text);
      REQUIRE_FALSE(parsed.has_value());
      CHECK_FALSE(parsed.error().empty());
    }
  }
}

TEST_CASE("reader: a place is found again by its own text") {
  const auto rig = make_spread_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  REQUIRE(life.commit(mixed(1, 1)));
  Reading reading(life, life.place("0"));
  REQUIRE(reading.await(gateways));
  CHECK(life.place(reading.next().text) == reading.next());
  CHECK(life.place(life.find_end().text) == life.find_end());
}

TEST_CASE("reader: who watches no more is not called") {
  const auto rig = make_spread_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  int calls = 0;
  life.reader().watch([&calls] { ++calls; });
  REQUIRE(life.commit(mixed(1, 1)));
  REQUIRE(life.loop.run_until([&calls] { return calls > 0; }));
  life.reader().watch({});
  calls = 0;
  REQUIRE(life.commit(mixed(2, 2)));
  life.loop.run_pending();
  CHECK(calls == 0);
}

TEST_CASE("reader: reads that wait are answered while transactions go on, and when it closes") {
  const auto rig = make_spread_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  int answered = 0;
  int asked = 0;
  for (std::uint64_t seq = 1; seq <= 20; ++seq) {
    life.begin(mixed(seq, seq));
    for (int i = 0; i < 3; ++i, ++asked) {
      life.reader().read(life.place("0"), {}, [&answered](const auto& /*page*/) { ++answered; });
    }
    REQUIRE(life.await_commit());
  }
  life.reader().find_end(0, [&answered](const auto& /*end*/) { ++answered; });
  ++asked;
  REQUIRE(life.close());
  CHECK(answered == asked);
}

TEST_CASE("reader: more reads than may wait are refused, the others answered") {
  const auto rig = make_spread_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  std::size_t served = 0;
  std::size_t busy = 0;
  constexpr std::size_t asked = 70;
  for (std::size_t i = 0; i < asked; ++i) {
    life.reader().read(life.place("0"), {}, [&](const auto& page) {
      if (!page) CHECK(page.error().error == stream::ReadError::busy);
      ++(page ? served : busy);
    });
  }
  REQUIRE(life.loop.run_until([&] { return served + busy == asked; }));
  CHECK(served == 64);
}

TEST_CASE("reader: what the stream has let go of is said once, and what is left comes") {
  const auto rig = make_spread_rig();
  Life life(*rig);
  REQUIRE(life.become_owner());
  REQUIRE(life.commit(mixed(1, 3)));
  Place middle;
  {
    Reading reading(life, life.place("0"), {.records = 4, .bytes = 1 << 20});
    REQUIRE(reading.await(4));
    middle = life.place(reading.seen[3].id, Bound::after);
    REQUIRE(reading.await(3 * gateways));
  }
  if (!rig->remove_records()) return;
  REQUIRE(life.commit(mixed(4, 4)));
  const auto page = life.read(middle);
  REQUIRE(page.has_value());
  REQUIRE_FALSE(page->removed.empty());
  for (const auto& removed : page->removed) CHECK(removed.first != removed.next);
  Reading left(life, life.place(page->removed.back().id, Bound::after));
  REQUIRE(left.await(gateways));
  CHECK(left.values() == values_of(mixed(4, 4)));
  // Who asks for everything gets what is there, without a word.
  Reading all(life, life.place("0"));
  REQUIRE(all.await(gateways));
  CHECK(all.values() == values_of(mixed(4, 4)));
}
