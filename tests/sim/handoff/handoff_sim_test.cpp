#include <doctest/doctest.h>

#include <cstdlib>

#include "tests/sim/handoff/world.hpp"

namespace {

// As many as take about half a minute under AddressSanitizer; TILLSTREAM_SIM_SEEDS asks for more.
std::uint64_t seeds_wanted() {
  const char* wanted = std::getenv("TILLSTREAM_SIM_SEEDS");
  return wanted == nullptr ? 1000 : std::strtoull(wanted, nullptr, 10);
}

}  // namespace

TEST_CASE("handoff in simulation: every answered event is in the stream once, in order, whatever happens") {
  std::uint64_t forks = 0;
  std::uint64_t repeats = 0;
  std::uint64_t losses = 0;
  std::uint64_t quarantines = 0;
  const std::uint64_t last = seeds_wanted();
  for (std::uint64_t seed = 1; seed <= last; ++seed) {
    const sim::Outcome outcome = sim::simulate(seed);
    INFO("replay with: sim_handoff --seed " << seed);
    REQUIRE_MESSAGE(!outcome.failure, outcome.failure.value_or(""));
    forks += outcome.forks;
    repeats += outcome.repeats;
    losses += outcome.losses;
    quarantines += outcome.quarantines;
  }
  // A simulation in which nothing happens proves nothing.
  CHECK(forks > last / 2);
  CHECK(repeats > last / 50);
  CHECK(losses > last / 20);
  CHECK(quarantines > last / 100);
}

// Wiped streams and old backups, while each box remembers what it was told.
TEST_CASE("handoff in simulation: what the stream lost is filled in again and marked, and nothing else is [H-49]") {
  std::uint64_t repeats = 0;
  std::uint64_t entries = 0;
  for (std::uint64_t seed = 1; seed <= seeds_wanted() / 5; ++seed) {
    const sim::Outcome outcome = sim::simulate(seed, {}, [seed](sim::Faults& faults) {
      faults.image = faults.clone = faults.memory = faults.salvage = faults.disk_replaced = faults.box_crash = false;
      faults.roll_back = seed % 3 != 0;
      faults.wipe = seed % 3 != 1;
    });
    INFO("seed " << seed);
    REQUIRE_MESSAGE(!outcome.failure, outcome.failure.value_or(""));
    repeats += outcome.repeats;
    entries += outcome.entries;
  }
  CHECK(repeats > 1'000);
  CHECK(entries > 2 * repeats);
}

TEST_CASE("handoff in simulation: a seed replays bit for bit") {
  for (const std::uint64_t seed : {3ULL, 17ULL, 99ULL}) {
    std::vector<std::string> first;
    std::vector<std::string> second;
    const auto one = sim::simulate(seed, [&](const std::string& line) { first.push_back(line); });
    const auto two = sim::simulate(seed, [&](const std::string& line) { second.push_back(line); });
    CHECK(one.fingerprint == two.fingerprint);
    CHECK(first == second);
  }
}
