// TlsClientContext: what a TLS connection to the broker needs, read from its files anew for each attempt, so that a
// renewed certificate counts without a restart. It verifies the configured name, whatever address is connected to, and
// keeps OpenSSL's own word for what was wrong with the broker's certificate.
#pragma once

#include <openssl/ssl.h>

#include <expected>
#include <memory>
#include <string>

namespace platform {

struct TlsClientSettings {
  // PEM file of the authorities; empty: those of the system.
  std::string ca = {};
  // PEM; both or neither.
  std::string certificate = {};
  std::string key = {};
  // The name, or numeric address, that the broker's certificate must carry.
  std::string host = {};
  // The configuration's table with these keys, for messages: "uplink".
  std::string table = {};
};

class TlsClientContext {
 public:
  // The error names the file and what is wrong with it.
  [[nodiscard]] static std::expected<std::unique_ptr<TlsClientContext>, std::string> open(
      const TlsClientSettings& settings);
  TlsClientContext(const TlsClientContext&) = delete;
  TlsClientContext& operator=(const TlsClientContext&) = delete;
  ~TlsClientContext();

  [[nodiscard]] SSL_CTX* native() const { return context_; }
  // Why the broker's certificate was refused; empty when it was not.
  [[nodiscard]] const std::string& verify_error() const { return verify_error_; }

 private:
  explicit TlsClientContext(const TlsClientSettings& settings);
  [[nodiscard]] std::string load(const TlsClientSettings& settings);
  static int on_verify(int accepted, X509_STORE_CTX* store);
  static void on_progress(const SSL* ssl, int where, int result);

  SSL_CTX* context_;
  std::string host_;
  bool host_is_address_ = false;
  std::string verify_error_;
};

}  // namespace platform
