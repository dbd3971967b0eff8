// CRC-32C (Castagnoli, RFC 3720 appendix B.4): what every stored row carries, so that a flipped bit is seen and not
// published.
#pragma once

#include <cstdint>

#include "proto/base/bytes.hpp"

namespace journal {

// Of `before`'s bytes followed by these: crc32c(crc32c(0, a), b) == crc32c(0, ab).
[[nodiscard]] std::uint32_t crc32c(std::uint32_t before, base::BytesView bytes);
// The same without the processor's own instruction, which crc32c() uses where there is one.
[[nodiscard]] std::uint32_t portable_crc32c(std::uint32_t before, base::BytesView bytes);

// Of a row: its number and key hash are covered, so that a record in another's place is seen too.
[[nodiscard]] std::uint32_t row_crc(std::uint64_t row, std::uint64_t key_hash, base::BytesView record);

}  // namespace journal
