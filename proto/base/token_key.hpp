// Token keys: what the tokens of cards are made with, one for each gateway, so that a stolen box opens no other's
// tokens.
//
// All gateways' keys come from one master key, by HKDF-SHA-256 (RFC 5869), whose length of output, 32 bytes, is one
// block:
//   salt "tillstream card token key 1", input the master key, info "<gateway id> LF <version, decimal>"
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/bytes.hpp"
#include "proto/base/hasher.hpp"

namespace base {

inline constexpr std::size_t token_key_bytes = 32;

// HKDF-SHA-256 with 32 bytes of output.
[[nodiscard]] Digest hkdf_sha256(const Hasher& hasher, BytesView salt, BytesView input, BytesView info);

[[nodiscard]] Digest derive_token_key(const Hasher& hasher, BytesView master, std::string_view gateway_id,
                                      std::uint32_t version);

// Names a key without telling it: 8 hex digits, 32 bits of a one-way function of its 256.
[[nodiscard]] std::string token_key_name(const Hasher& hasher, BytesView key);

}  // namespace base
