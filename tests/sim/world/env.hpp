// What all parts of one run share.
#pragma once

#include "tests/sim/clock/clock.hpp"
#include "tests/sim/story/story.hpp"
#include "tests/sim/world/faults.hpp"
#include "tests/support/seeded_random.hpp"

namespace whole {

struct Env {
  Env(std::uint64_t seed, sim::Story::Telling telling) : random(seed), story(clock, telling) {}

  // Whether a fault strikes now: a class that is on, once in `n`, and never in the calm.
  [[nodiscard]] bool strikes(bool on, std::uint64_t n) { return chaos && on && random.one_in(n); }
  [[nodiscard]] std::chrono::microseconds between(std::chrono::microseconds least, std::chrono::microseconds most) {
    return std::chrono::microseconds(
        random.between(static_cast<std::uint64_t>(least.count()), static_cast<std::uint64_t>(most.count())));
  }

  sim::Clock clock;
  support::SeededRandom random;
  sim::Story story;
  Faults faults;
  Sabotage sabotage = Sabotage::none;
  bool chaos = true;
  // How long the faults go on: in a long run everything happens more seldom.
  base::Instant::duration chaos_time{};
};

}  // namespace whole
