// Random numbers that one 64-bit seed decides: splitmix64.
#pragma once

#include "proto/base/random.hpp"

namespace support {

class SeededRandom final : public base::Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}

  [[nodiscard]] std::uint64_t next() override {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31U);
  }

  // True once in `n`.
  [[nodiscard]] bool one_in(std::uint64_t n) { return below(n) == 0; }
  // Uniform in [least, most].
  [[nodiscard]] std::uint64_t between(std::uint64_t least, std::uint64_t most) {
    return least + below(most - least + 1);
  }

 private:
  std::uint64_t state_;
};

}  // namespace support
