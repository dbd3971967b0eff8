// Certificates for tests: an authority, and what it signs, with any lifetime and name. Written as PEM files.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <chrono>
#include <memory>
#include <string>

namespace testing {

struct CertificateWish {
  std::string name;
  // "DNS:localhost", "IP:127.0.0.1"; empty: none.
  std::string alternative_name;
  // From now.
  std::chrono::seconds not_before = -std::chrono::hours(1);
  std::chrono::seconds not_after = std::chrono::hours(24);
};

class Authority {
 public:
  explicit Authority(const std::string& name);

  // Writes the certificate and its key; the same files may be written again.
  void issue(const CertificateWish& wish, const std::string& certificate_file, const std::string& key_file) const;
  void write(const std::string& certificate_file) const;

 private:
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
  std::unique_ptr<X509, decltype(&X509_free)> certificate_;
};

}  // namespace testing
