#include <doctest/doctest.h>

#include <limits>

#include "firmware-gateway/journal/tally.hpp"

using journal::Tallies;
using journal::Tally;
using journal::TallyNumbers;

namespace {

std::int64_t first_number(const Tallies& tallies, std::string_view key) {
  const auto sum = tallies.find(key);
  REQUIRE(sum.has_value());
  return sum->numbers->front();
}

// As many as there may be.
Tallies full() {
  Tallies tallies(true);
  for (std::size_t n = 0; n < journal::kTalliesMax; ++n) tallies.add({.key = std::to_string(n), .add = {1}});
  return tallies;
}

}  // namespace

TEST_CASE("tallies: sums are added up by key, each for itself") {
  Tallies tallies(true);
  CHECK(tallies.add({.key = "a", .add = {1, 1250}}) == 0);
  CHECK(tallies.add({.key = "b", .add = {1, 300}}) == 1);
  CHECK(tallies.add({.key = "a", .add = {1, -250}}) == 0);
  CHECK(tallies.find("a")->numbers == TallyNumbers{2, 1000});
  CHECK(tallies.find("b")->numbers == TallyNumbers{1, 300});
  CHECK(tallies.find("c")->numbers == TallyNumbers{});
}

TEST_CASE("tallies: a reset begins at zero, with what comes along") {
  Tallies tallies(true);
  tallies.add({.key = "a", .add = {7, 7, 7}});
  tallies.add({.key = "a", .add = {0, 0, 1}, .reset = true});
  CHECK(tallies.find("a")->numbers == TallyNumbers{0, 0, 1});
}

TEST_CASE("tallies: where nobody knows what was before, a sum begins with its reset") {
  Tallies tallies;
  CHECK(!tallies.add({.key = "a", .add = {1}}));
  CHECK(!tallies.find("a"));
  CHECK(tallies.add({.key = "a", .add = {1}, .reset = true}) == 0);
  tallies.add({.key = "a", .add = {1}});
  CHECK(first_number(tallies, "a") == 2);
}

TEST_CASE("tallies: one that overflows is unknown until its reset") {
  Tallies tallies(true);
  tallies.add({.key = "a", .add = {std::numeric_limits<std::int64_t>::max()}});
  tallies.add({.key = "a", .add = {1}});
  CHECK(!tallies.find("a"));
  tallies.add({.key = "a", .add = {5}});
  CHECK(!tallies.find("a"));
  tallies.add({.key = "a", .add = {5}, .reset = true});
  CHECK(first_number(tallies, "a") == 5);
}

TEST_CASE("tallies: beyond the limit a sum is not kept, and what has none is unknown from then on") {
  Tallies tallies = full();
  CHECK(tallies.whole());
  CHECK(first_number(tallies, "other") == 0);
  CHECK(!tallies.add({.key = "one more", .add = {1}}));
  CHECK(!tallies.whole());
  CHECK(!tallies.find("one more"));
  CHECK(!tallies.find("other"));
  CHECK(!tallies.add({.key = "one more", .add = {1}, .reset = true}));
  tallies.add({.key = "17", .add = {1}});
  CHECK(first_number(tallies, "17") == 2);
  CHECK(tallies.sums().size() == journal::kTalliesMax);
}

TEST_CASE("tallies: after a salvage the sums are known and marked, and the others unknown") {
  Tallies tallies(true);
  tallies.add({.key = "a", .add = {3}});
  Tallies kept = tallies.salvaged();
  CHECK(first_number(kept, "a") == 3);
  CHECK(kept.find("a")->salvaged);
  CHECK(!kept.find("b"));
  kept.add({.key = "a", .add = {1}});
  CHECK(kept.find("a")->salvaged);
  kept.add({.key = "a", .reset = true});
  CHECK(!kept.find("a")->salvaged);
}
