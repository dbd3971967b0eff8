#include "cloud-bridge/stream/recent_records.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/support/seeded_random.hpp"

using stream::Offsets;
using stream::parse_offsets;
using stream::RecentRecords;

namespace {

std::vector<std::string> values(const stream::ReadPage& page) {
  std::vector<std::string> values;
  for (const auto& record : page.records) values.push_back(record.value);
  return values;
}

using Values = std::vector<std::string>;

}  // namespace

TEST_CASE("recent records: nothing is covered before it begins, nor after it was cleared") {
  RecentRecords recent;
  CHECK_FALSE(recent.covers({}));
  recent.begin({{0, 5}});
  CHECK(recent.covers({{0, 5}}));
  recent.clear();
  CHECK_FALSE(recent.covers({{0, 5}}));
}

TEST_CASE(
    "recent records: a place that lacks a partition, names a strange one or lies before it began is not covered") {
  RecentRecords recent;
  recent.begin({{0, 5}, {1, 0}});
  CHECK(recent.covers({{0, 5}, {1, 0}}));
  CHECK(recent.covers({{0, 50}, {1, 7}}));
  CHECK_FALSE(recent.covers({{0, 4}, {1, 0}}));
  CHECK_FALSE(recent.covers({{0, 5}}));
  CHECK_FALSE(recent.covers({{0, 5}, {2, 0}}));
  CHECK_FALSE(recent.covers({{0, 5}, {1, 0}, {2, 0}}));
}

TEST_CASE(
    "recent records: each reader gets what it has not seen, and goes on at the end over marks and what was aborted") {
  RecentRecords recent;
  recent.begin({{0, 5}, {1, 0}});
  recent.add(0, 5, "a");
  recent.add(1, 3, "b");
  recent.add(0, 6, "c");
  recent.pass(0, 8);
  const auto all = recent.read({{0, 5}, {1, 0}}, {});
  CHECK(values(all) == Values{"a", "b", "c"});
  CHECK(all.records[0].id == "0:6,1:0");
  CHECK(all.records[1].id == "0:6,1:4");
  CHECK(all.records[2].id == "0:7,1:4");
  CHECK(all.next.text == "0:8,1:4");
  CHECK_FALSE(all.more);
  CHECK(values(recent.read({{0, 6}, {1, 4}}, {})) == Values{"c"});
  const auto mixed_otherwise = recent.read({{0, 7}, {1, 0}}, {});
  CHECK(values(mixed_otherwise) == Values{"b"});
  CHECK(mixed_otherwise.records[0].id == "0:7,1:4");
}

TEST_CASE("recent records: an offset beyond what was read waits there") {
  RecentRecords recent;
  recent.begin({{0, 0}});
  recent.add(0, 0, "a");
  const auto page = recent.read({{0, 2}}, {});
  CHECK(page.records.empty());
  CHECK(page.next.text == "0:2");
  recent.add(0, 1, "b");
  recent.add(0, 2, "c");
  CHECK(values(recent.read({{0, 2}}, {})) == Values{"c"});
}

TEST_CASE("recent records: pages are bounded by records and by bytes, and one record always fits") {
  RecentRecords recent;
  recent.begin({{0, 0}});
  for (int i = 0; i < 5; ++i) recent.add(0, i, "xxxx");
  recent.pass(0, 9);
  const auto two = recent.read({{0, 0}}, {.records = 2, .bytes = 1000});
  CHECK(two.records.size() == 2);
  CHECK(two.more);
  CHECK(two.next.text == "0:2");
  CHECK(recent.read({{0, 0}}, {.records = 100, .bytes = 5}).records.size() == 2);
  CHECK(recent.read({{0, 0}}, {.records = 100, .bytes = 1}).records.size() == 1);
  CHECK_FALSE(recent.read({{0, 0}}, {.records = 5, .bytes = 1000}).more);
}

TEST_CASE("recent records: no more is kept than the limits say, and what went is not covered any more") {
  RecentRecords recent({.records = 3, .bytes = 1000});
  recent.begin({{0, 0}, {1, 0}});
  recent.add(0, 0, "a");
  recent.add(1, 0, "b");
  recent.add(0, 1, "c");
  CHECK(recent.covers({{0, 0}, {1, 0}}));
  recent.add(1, 1, "d");
  CHECK_FALSE(recent.covers({{0, 0}, {1, 0}}));
  CHECK(values(recent.read({{0, 1}, {1, 0}}, {})) == Values{"b", "c", "d"});
  recent.add(0, 2, std::string(2000, 'x'));
  CHECK_FALSE(recent.covers({{0, 2}, {1, 1}}));
  CHECK(recent.read({{0, 2}, {1, 2}}, {}).records.size() == 1);
}

TEST_CASE("recent records: whoever stops behind any record and goes on there sees each one once") {
  support::SeededRandom random(11);
  RecentRecords recent;
  recent.begin({{0, 0}, {1, 0}, {2, 0}});
  Offsets next{{0, 0}, {1, 0}, {2, 0}};
  std::multiset<std::string> all;
  for (int i = 0; i < 60; ++i) {
    const auto partition = static_cast<std::int32_t>(random.below(3));
    next[partition] += static_cast<std::int64_t>(random.below(3));  // marks in between
    all.insert(std::to_string(i));
    recent.add(partition, next[partition]++, std::to_string(i));
  }
  Offsets at{{0, 0}, {1, 0}, {2, 0}};
  std::multiset<std::string> seen;
  for (bool more = true; more;) {
    const auto page = recent.read(at, {.records = 1 + random.below(5), .bytes = 1000});
    const std::size_t taken = page.records.empty() ? 0 : 1 + random.below(page.records.size());
    for (std::size_t i = 0; i < taken; ++i) seen.insert(page.records[i].value);
    if (taken > 0) at = *parse_offsets(page.records[taken - 1].id);
    more = page.more || taken < page.records.size();
  }
  CHECK(seen == all);
}
