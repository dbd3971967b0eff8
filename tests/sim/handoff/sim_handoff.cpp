// sim_handoff: runs seeds of the handoff's simulation.
//
//   sim_handoff --seeds K            seeds 1 … K (or from --from N on); prints the first that fails, and how to replay
//   it sim_handoff --seed N             one seed; its story, when it fails sim_handoff --seed N --story     its story
//   in any case
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tests/sim/handoff/world.hpp"

namespace {

int run_one(std::uint64_t seed, bool story) {
  std::vector<std::string> lines;
  const sim::Outcome outcome = sim::simulate(seed, [&lines](const std::string& line) { lines.push_back(line); });
  if (story || outcome.failure) {
    for (const std::string& line : lines) std::printf("%s\n", line.c_str());
  }
  std::printf(
      "seed %llu [%s]: %llu events, %llu in the stream, %llu messages, %llu forks, %llu possible repeats, %llu losses: "
      "%s\n",
      static_cast<unsigned long long>(seed), outcome.faults.describe().c_str(),
      static_cast<unsigned long long>(outcome.events), static_cast<unsigned long long>(outcome.entries),
      static_cast<unsigned long long>(outcome.messages), static_cast<unsigned long long>(outcome.forks),
      static_cast<unsigned long long>(outcome.repeats), static_cast<unsigned long long>(outcome.losses),
      outcome.failure ? outcome.failure->c_str() : "good");
  return outcome.failure ? 1 : 0;
}

int run_many(std::uint64_t from, std::uint64_t count) {
  std::uint64_t failed = 0;
  std::uint64_t events = 0;
  std::uint64_t forks = 0;
  std::uint64_t quarantines = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint64_t seed = from; seed < from + count; ++seed) {
    const sim::Outcome outcome = sim::simulate(seed);
    events += outcome.events;
    forks += outcome.forks;
    quarantines += outcome.quarantines;
    if (!outcome.failure) continue;
    ++failed;
    std::printf("seed %llu [%s]: %s\n", static_cast<unsigned long long>(seed), outcome.faults.describe().c_str(),
                outcome.failure->c_str());
    if (failed >= 20) break;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%llu seeds from %llu: %llu failed, %llu events, %llu forks, %llu quarantines, %.1f s\n",
              static_cast<unsigned long long>(count), static_cast<unsigned long long>(from),
              static_cast<unsigned long long>(failed), static_cast<unsigned long long>(events),
              static_cast<unsigned long long>(forks), static_cast<unsigned long long>(quarantines), took.count());
  return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t seed = 0;
  std::uint64_t seeds = 0;
  std::uint64_t from = 1;
  bool story = false;
  for (int i = 1; i < argc; ++i) {
    const bool more = i + 1 < argc;
    if (more && std::strcmp(argv[i], "--seed") == 0) {
      seed = std::strtoull(argv[++i], nullptr, 0);
    } else if (more && std::strcmp(argv[i], "--seeds") == 0) {
      seeds = std::strtoull(argv[++i], nullptr, 0);
    } else if (more && std::strcmp(argv[i], "--from") == 0) {
      from = std::strtoull(argv[++i], nullptr, 0);
    } else if (std::strcmp(argv[i], "--story") == 0) {
      story = true;
    } else {
      std::fprintf(stderr, "usage: sim_handoff --seed N [--story] | --seeds K [--from N]\n");
      return 2;
    }
  }
  if (seeds > 0) return run_many(seed > 0 ? seed : from, seeds);
  return run_one(seed, story);
}
