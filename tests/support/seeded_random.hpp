// Random numbers that one 64-bit seed decides: splitmix64. A script may bend them: each number takes one byte of it,
// which is added to its highest bits, those that decide; 0 leaves it as it is, and so does the script's end. What
// changes one byte of a script changes one decision.
#pragma once

#include <span>

#include "proto/base/random.hpp"

namespace support {

class SeededRandom final : public base::Random {
 public:
  // Does not own the script.
  explicit SeededRandom(std::uint64_t seed, std::span<const std::uint8_t> script = {})
      : state_(seed), script_(script) {}

  [[nodiscard]] std::uint64_t next() override {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
    return (z ^ (z >> 31U)) + bend();
  }

  // True once in `n`.
  [[nodiscard]] bool one_in(std::uint64_t n) { return below(n) == 0; }
  // Uniform in [least, most].
  [[nodiscard]] std::uint64_t between(std::uint64_t least, std::uint64_t most) {
    return least + below(most - least + 1);
  }

 private:
  [[nodiscard]] std::uint64_t bend() {
    if (script_.empty()) return 0;
    const std::uint64_t byte = script_.front();
    script_ = script_.subspan(1);
    return byte << 56U;
  }

  std::uint64_t state_;
  std::span<const std::uint8_t> script_;
};

}  // namespace support
