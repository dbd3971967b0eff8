#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <memory>

#include "proto/base/assert.hpp"
#include "proto/platform/system.hpp"

namespace platform {
namespace {

template <auto Free>
struct Freed {
  void operator()(auto* object) const { Free(object); }
};

using DigestContext = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;
using MacContext = std::unique_ptr<EVP_MAC_CTX, Freed<EVP_MAC_CTX_free>>;

// Looking an algorithm up costs more than hashing an event, so it is done once a process. Never freed: hashing goes on
// until the last thread ends.
EVP_MD* sha256_algorithm() {
  static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  ASSERT(algorithm != nullptr);
  return algorithm;
}

EVP_MAC* hmac_algorithm() {
  static EVP_MAC* const algorithm = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  ASSERT(algorithm != nullptr);
  return algorithm;
}

// An HMAC context that knows its digest, but no key yet.
MacContext make_mac_context() {
  MacContext context(EVP_MAC_CTX_new(hmac_algorithm()));
  ASSERT(context != nullptr);
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                   OSSL_PARAM_construct_end()};
  ASSERT(EVP_MAC_CTX_set_params(context.get(), parameters) == 1);
  return context;
}

const unsigned char* octets(base::BytesView bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

// A failure here is lack of memory or a broken library, and nothing that a caller could answer: ASSERT.
class OpensslHasher final : public base::Hasher {
 public:
  base::Digest sha256(std::initializer_list<base::BytesView> parts) const override {
    thread_local const DigestContext context(EVP_MD_CTX_new());
    ASSERT(context != nullptr && EVP_DigestInit_ex2(context.get(), sha256_algorithm(), nullptr) == 1);
    for (const base::BytesView part : parts) {
      ASSERT(EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1);
    }
    base::Digest digest;
    ASSERT(EVP_DigestFinal_ex(context.get(), digest.bytes.data(), nullptr) == 1);
    return digest;
  }

  base::Digest hmac_sha256(base::BytesView key, base::BytesView message) const override {
    thread_local const MacContext context = make_mac_context();
    // OpenSSL takes a null key for "the one before": an empty view may be null.
    if (key.data() == nullptr) key = "";
    ASSERT(EVP_MAC_init(context.get(), octets(key), key.size(), nullptr) == 1);
    ASSERT(EVP_MAC_update(context.get(), octets(message), message.size()) == 1);
    base::Digest digest;
    std::size_t length = 0;
    ASSERT(EVP_MAC_final(context.get(), digest.bytes.data(), &length, digest.bytes.size()) == 1);
    ASSERT(length == digest.bytes.size());
    return digest;
  }
};

}  // namespace

const base::Hasher& hasher() {
  static const OpensslHasher hasher;
  return hasher;
}

}  // namespace platform
