// UUIDs: 16 bytes as RFC 9562 writes them.
#pragma once

#include <string>

#include "proto/base/bytes.hpp"

namespace stream {

inline constexpr std::size_t kUuidBytes = 16;

// "0192f0c1-7b3a-7e4d-8a55-0123456789ab"; empty for anything but 16 bytes.
[[nodiscard]] std::string uuid_text(base::BytesView bytes);
// A UUIDv8 from the first 128 bits of a digest.
[[nodiscard]] std::string uuid_text(const base::Digest& digest);

}  // namespace stream
