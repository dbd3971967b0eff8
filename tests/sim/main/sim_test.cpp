#include <doctest/doctest.h>

#include <cstdlib>

#include "tests/sim/world/world.hpp"

namespace {

using whole::Sabotage;

constexpr std::chrono::minutes kShort{10};

// As many as take some ten seconds under AddressSanitizer, and short; TILLSTREAM_SIM_SEEDS asks for more.
std::uint64_t seeds_wanted() {
  const char* wanted = std::getenv("TILLSTREAM_SIM_SEEDS");
  return wanted == nullptr ? 40 : std::strtoull(wanted, nullptr, 10);
}

// The first promise that a seed finds broken, when the simulator itself makes this mistake.
std::string found(Sabotage sabotage, const std::function<void(whole::Faults&)>& adjust, std::uint64_t from = 1) {
  for (std::uint64_t seed = from; seed < from + 60; ++seed) {
    const whole::Outcome outcome =
        whole::simulate(seed, {.sabotage = sabotage, .chaos_time = kShort, .adjust = adjust});
    if (outcome.failure) return *outcome.failure;
  }
  return "nothing";
}

// Nothing but these: what is found must come of the sabotage.
void none(whole::Faults& faults) { faults = {}; }
void crashes(whole::Faults& faults) {
  faults = {};
  faults.gateway_crash = faults.cut = true;
}
void uncertain_streams(whole::Faults& faults) {
  faults = {};
  faults.unknown_outcome = faults.late_request = faults.bridge_crash = faults.bridge_sleeps = faults.slow_commit = true;
}

}  // namespace

TEST_CASE("the whole system in simulation: every answered event is in the stream once, in order, whatever happens") {
  std::uint64_t events = 0;
  std::uint64_t dropped = 0;
  std::uint64_t possible_repeats = 0;
  std::uint64_t losses = 0;
  const std::uint64_t last = seeds_wanted();
  for (std::uint64_t seed = 1; seed <= last; ++seed) {
    const whole::Outcome outcome = whole::simulate(seed, {.chaos_time = kShort});
    INFO("replay with: sim --minutes 10 --verbose --seed " << seed);
    REQUIRE_MESSAGE(!outcome.failure, outcome.failure.value_or(""));
    events += outcome.events;
    dropped += outcome.dropped;
    possible_repeats += outcome.possible_repeats;
    losses += outcome.losses;
  }
  // A simulation in which nothing happens proves nothing.
  CHECK(events > 50 * last);
  CHECK(dropped > 20 * last);
  CHECK(possible_repeats > 0);
  CHECK(losses > 0);
}

TEST_CASE("the whole system in simulation: without faults nothing is repeated, lost, or told to be") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const whole::Outcome outcome = whole::simulate(seed, {.chaos_time = kShort, .adjust = none});
    REQUIRE_MESSAGE(!outcome.failure, outcome.failure.value_or(""));
    CHECK(outcome.events > 0);
    CHECK(outcome.events == outcome.records);
  }
}

TEST_CASE("the whole system in simulation: a seed replays bit for bit") {
  const whole::Options kept{.telling = sim::Story::Telling::kept, .chaos_time = kShort};
  for (const std::uint64_t seed : {3ULL, 17ULL}) {
    const whole::Outcome one = whole::simulate(seed, kept);
    const whole::Outcome two = whole::simulate(seed, kept);
    CHECK(one.trace == two.trace);
    CHECK(one.story == two.story);
    CHECK(one.story.size() > 100);
  }
}

TEST_CASE("the simulator's own mistakes are noticed") {
  CHECK(found(Sabotage::trim_on_puback, none).starts_with("[nothing early]"));
  CHECK(found(Sabotage::ack_before_commit, none).starts_with("[nothing early]"));
  CHECK(found(Sabotage::drop_event, none).starts_with("[nothing early]"));
  CHECK(found(Sabotage::repeat_event, none).starts_with("[order]"));
  CHECK(found(Sabotage::forget_synced, crashes) != "nothing");
}

// The order of a take-over, and what follows an unknown outcome.
TEST_CASE("a bridge that reads progress before it fences, or keeps a producer after an unknown outcome, is found out") {
  CHECK(found(Sabotage::progress_before_fence, uncertain_streams, 20) != "nothing");
  CHECK(found(Sabotage::no_new_producer, uncertain_streams, 5) != "nothing");
}
