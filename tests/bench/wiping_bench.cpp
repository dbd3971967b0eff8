// What wiping costs: a turn's scrub of the stack, and blocks taken from the heap and given back. Run it in a release
// build, under a sanitizer it tells nothing.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "firmware-gateway/adapters/memory/wiping.hpp"

namespace {

// Of the best of some rounds, so that whatever else the machine does counts little.
template <class Work>
double nanoseconds(Work work) {
  constexpr int rounds = 20;
  constexpr int times = 2000;
  double best = 1e9;
  for (int round = 0; round < rounds; ++round) {
    const auto begun = std::chrono::steady_clock::now();
    for (int i = 0; i < times; ++i) work();
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - begun;
    best = std::min(best, taken.count() / times);
  }
  return best;
}

}  // namespace

int main() {
  fmt::print("stack, a turn: {:.0f} ns\n", nanoseconds([] { memory::scrub_stack(); }));
  for (const std::size_t bytes : {std::size_t{40}, std::size_t{1000}, std::size_t{16UL * 1024}}) {
    fmt::print("block of {} bytes: {:.0f} ns\n", bytes, nanoseconds([bytes] {
                 void* const block = std::malloc(bytes);
                 __asm__ __volatile__("" : : "r"(block) : "memory");
                 std::free(block);
               }));
  }
}
