// Whole runs of the handoff's simulator (tests/sim/handoff): the input is the run's seed and a script that bends its
// decisions one by one, so that whoever changes a byte changes what one message meets, or when one fault strikes. The
// simulator's checkers judge.
//
//   8 bytes   seed, little endian
//   the rest  script (support::SeededRandom)
#include <array>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/sim/handoff/world.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static_assert(std::endian::native == std::endian::little);
  const std::span<const std::uint8_t> input(data, size);
  std::uint64_t seed = 0;
  if (input.size() < sizeof seed) return 0;
  std::memcpy(&seed, input.data(), sizeof seed);
  const support::SeededRandom random(seed, input.subspan(sizeof seed));
  if (!sim::World(random, {}, {}).run().failure) return 0;
  const auto tell = [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
  const sim::Outcome told = sim::World(random, tell, {}).run();
  std::fprintf(stderr, "%s\n", told.failure.value_or("not again").c_str());
  std::abort();
}
