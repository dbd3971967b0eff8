// TlsContext: what a TLS connection to the broker needs, read from its files anew for each attempt, so that a renewed
// certificate counts without a restart.
//
// libmosquitto's own TLS set-up says "A TLS error occurred" for everything, and verifies the name that it is told to
// connect to, which is a numeric address here (see Resolver). So the context is ours: it verifies the configured name,
// and keeps OpenSSL's own word for what was wrong with the broker's certificate.
#pragma once

#include <openssl/ssl.h>

#include <expected>
#include <memory>
#include <string>

namespace mqtt {

struct TlsSettings {
  // PEM file of the authorities; empty: those of the system.
  std::string ca = {};
  // PEM; both or neither.
  std::string certificate = {};
  std::string key = {};
  // The name, or numeric address, that the broker's certificate must carry.
  std::string host = {};
};

class TlsContext {
 public:
  // The error names the file and what is wrong with it.
  [[nodiscard]] static std::expected<std::unique_ptr<TlsContext>, std::string> open(const TlsSettings& settings);
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();

  [[nodiscard]] SSL_CTX* native() const { return context_; }
  // Why the broker's certificate was refused; empty when it was not.
  [[nodiscard]] const std::string& verify_error() const { return verify_error_; }

 private:
  explicit TlsContext(const TlsSettings& settings);
  [[nodiscard]] std::string load(const TlsSettings& settings);
  static int on_verify(int accepted, X509_STORE_CTX* store);
  static void on_progress(const SSL* ssl, int where, int result);

  SSL_CTX* context_;
  std::string host_;
  bool host_is_address_ = false;
  std::string verify_error_;
};

}  // namespace mqtt
