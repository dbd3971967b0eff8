// Hashing behind an interface, so that pure code needs no OpenSSL.
#pragma once

#include <initializer_list>

#include "proto/base/bytes.hpp"

namespace base {

// Implementations are stateless and may be used from any thread.
class Hasher {
 public:
  virtual ~Hasher() = default;

  // SHA-256 of the parts, one after the other.
  [[nodiscard]] virtual Digest sha256(std::initializer_list<BytesView> parts) const = 0;
  // HMAC-SHA-256 (RFC 2104).
  [[nodiscard]] virtual Digest hmac_sha256(BytesView key, BytesView message) const = 0;
};

}  // namespace base
