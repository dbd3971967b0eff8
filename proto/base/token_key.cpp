#include "proto/base/token_key.hpp"

#include <fmt/format.h>

namespace base {

Digest hkdf_sha256(const Hasher& hasher, BytesView salt, BytesView input, BytesView info) {
  const Digest extracted = hasher.hmac_sha256(salt, input);
  std::string first_block(info);
  first_block += '\x01';
  return hasher.hmac_sha256(extracted.view(), first_block);
}

Digest derive_token_key(const Hasher& hasher, BytesView master, std::string_view gateway_id, std::uint32_t version) {
  return hkdf_sha256(hasher, "tillstream card token key 1", master, fmt::format("{}\n{}", gateway_id, version));
}

std::string token_key_name(const Hasher& hasher, BytesView key) {
  const Digest digest = hasher.sha256({"tillstream token key name 1", key});
  return to_hex(digest.view().substr(0, 4));
}

}  // namespace base
