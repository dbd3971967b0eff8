#include <doctest/doctest.h>

#include <algorithm>
#include <deque>

#include "firmware-gateway/journal/duplicate_index.hpp"
#include "tests/support/seeded_random.hpp"

using handoff::Row;
using journal::DuplicateIndex;

namespace {

bool contains(const std::vector<Row>& rows, Row row) { return std::find(rows.begin(), rows.end(), row) != rows.end(); }

}  // namespace

TEST_CASE("duplicate index: never misses a row, whatever was inserted and erased around it") {
  support::SeededRandom random(3);
  DuplicateIndex index(100'000);
  std::deque<std::pair<std::uint64_t, Row>> rows;
  Row next(1);
  for (int step = 0; step < 60'000; ++step) {
    if (rows.size() < 20'000 && !random.one_in(4)) {
      // Few different hashes, so that slots collide and keys repeat.
      const std::uint64_t hash = random.below(5000);
      index.insert(hash, next);
      rows.emplace_back(hash, next);
      ++next;
    } else if (!rows.empty()) {
      index.erase(rows.front().first, rows.front().second);
      rows.pop_front();
    }
  }
  CHECK(index.size() == rows.size());
  for (const auto& [hash, row] : rows) REQUIRE(contains(index.find(hash, Row(0)), row));
  for (std::uint64_t hash = 0; hash < 5000; ++hash) {
    for (const Row row : index.find(hash, Row(0))) REQUIRE(row >= rows.front().second);
  }
}

TEST_CASE("duplicate index: finds newest first, and only above what was seen") {
  DuplicateIndex index;
  for (const std::uint64_t row : {3U, 8U, 21U}) index.insert(77, Row(row));
  CHECK(index.find(77, Row(0)) == std::vector{Row(21), Row(8), Row(3)});
  CHECK(index.find(77, Row(8)) == std::vector{Row(21)});
  CHECK(index.find(78, Row(0)).empty());
}

TEST_CASE("duplicate index: rows beyond 2^32 are the rows that they are") {
  DuplicateIndex index;
  const std::uint64_t edge = 1ULL << 32U;
  for (std::uint64_t row = edge - 3; row < edge + 3; ++row) index.insert(row, Row(row));
  for (std::uint64_t row = edge - 3; row < edge + 3; ++row) CHECK(index.find(row, Row(0)) == std::vector{Row(row)});
  index.erase(edge, Row(edge));
  CHECK(index.find(edge, Row(0)).empty());
  CHECK(index.size() == 5);
}

TEST_CASE("duplicate index: holds as many rows as it promises") {
  DuplicateIndex index(3000);
  for (std::uint64_t row = 1; row <= 3000; ++row) index.insert(row * 31, Row(row));
  CHECK(index.size() == index.rows_max());
  for (std::uint64_t row = 1; row <= 3000; ++row) CHECK(contains(index.find(row * 31, Row(0)), Row(row)));
}

TEST_CASE("duplicate index: takes at most 11.5 bytes a row, however many there are") {
  DuplicateIndex index;
  for (std::uint64_t row = 1; row <= 100'000; ++row) {
    index.insert(row * 31, Row(row));
    if (row >= 1024) REQUIRE(index.bytes() * 2 <= row * 23);
  }
}

TEST_CASE("duplicate index: with room reserved it does not grow, and finds what it had before") {
  DuplicateIndex index;
  for (std::uint64_t row = 1; row <= 500; ++row) index.insert(row * 31, Row(row));
  index.reserve(100'000);
  const std::size_t bytes = index.bytes();
  CHECK(bytes <= 100'000 * 10);
  std::vector<DuplicateIndex::Key> keys;
  for (std::uint64_t row = 501; row <= 100'000; ++row) keys.push_back({row * 31, Row(row)});
  index.insert(keys);
  CHECK(index.bytes() == bytes);
  CHECK(index.size() == 100'000);
  for (std::uint64_t row = 1; row <= 100'000; ++row) REQUIRE(contains(index.find(row * 31, Row(0)), Row(row)));
}
