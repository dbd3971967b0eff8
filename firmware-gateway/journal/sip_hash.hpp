// SipHash-2-4 (Aumasson, Bernstein 2012): a keyed hash, so that no terminal can choose references that collide.
#pragma once

#include <array>
#include <cstdint>

#include "proto/base/bytes.hpp"

namespace journal {

[[nodiscard]] std::uint64_t sip_hash(const std::array<std::uint8_t, 16>& key, base::BytesView bytes);

}  // namespace journal
