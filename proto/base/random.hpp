// Random numbers behind an interface: real ones in production, a seeded generator in tests and the simulator.
#pragma once

#include <cstdint>

#include "proto/base/bytes.hpp"

namespace base {

class Random {
 public:
  virtual ~Random() = default;

  [[nodiscard]] virtual std::uint64_t next() = 0;

  // Uniform in [0, bound); 0 when bound is 0. The bias of the multiplication (< 2^-32 for bounds that fit 32 bits) is
  // harmless for jitter, which is all it serves.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((static_cast<Wide>(next()) * bound) >> 64U);
  }

  template <class Id>
  [[nodiscard]] Id id() {
    Id id;
    for (std::size_t i = 0; i < id.bytes.size(); i += 8) {
      const std::uint64_t word = next();
      for (std::size_t j = 0; j < 8; ++j) id.bytes[i + j] = static_cast<std::uint8_t>(word >> (8 * j));
    }
    return id;
  }
};

}  // namespace base
