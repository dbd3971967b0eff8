#include "proto/platform/tls_client_context.hpp"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <fmt/format.h>

#include <array>

#include "proto/base/assert.hpp"

namespace platform {

namespace {

std::string openssl_error() {
  std::array<char, 256> text{};
  const unsigned long code = ERR_peek_last_error();
  ERR_error_string_n(code, text.data(), text.size());
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : text.data();
}

bool is_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return ::inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

}  // namespace

TlsClientContext::TlsClientContext(const TlsClientSettings& settings)
    : context_(SSL_CTX_new(TLS_client_method())), host_(settings.host), host_is_address_(is_address(settings.host)) {
  ASSERT(context_ != nullptr);
}

TlsClientContext::~TlsClientContext() { SSL_CTX_free(context_); }

std::expected<std::unique_ptr<TlsClientContext>, std::string> TlsClientContext::open(
    const TlsClientSettings& settings) {
  std::unique_ptr<TlsClientContext> tls(new TlsClientContext(settings));
  if (auto error = tls->load(settings); !error.empty()) return std::unexpected(std::move(error));
  return tls;
}

std::string TlsClientContext::load(const TlsClientSettings& settings) {
  ERR_clear_error();
  SSL_CTX_set_min_proto_version(context_, TLS1_2_VERSION);
  if (settings.ca.empty()) {
    if (SSL_CTX_set_default_verify_paths(context_) != 1)
      return "the system's certificate authorities: " + openssl_error();
  } else if (SSL_CTX_load_verify_locations(context_, settings.ca.c_str(), nullptr) != 1) {
    return fmt::format("{}.ca {}: {}", settings.table, settings.ca, openssl_error());
  }
  if (!settings.certificate.empty()) {
    if (SSL_CTX_use_certificate_chain_file(context_, settings.certificate.c_str()) != 1) {
      return fmt::format("{}.certificate {}: {}", settings.table, settings.certificate, openssl_error());
    }
    if (SSL_CTX_use_PrivateKey_file(context_, settings.key.c_str(), SSL_FILETYPE_PEM) != 1) {
      return fmt::format("{}.key {}: {}", settings.table, settings.key, openssl_error());
    }
  }
  X509_VERIFY_PARAM* const verify = SSL_CTX_get0_param(context_);
  X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const int named = host_is_address_ ? X509_VERIFY_PARAM_set1_ip_asc(verify, host_.c_str())
                                     : X509_VERIFY_PARAM_set1_host(verify, host_.c_str(), host_.size());
  if (named != 1) return fmt::format("{} is no host name that a certificate can carry", host_);
  SSL_CTX_set_app_data(context_, this);
  SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, &TlsClientContext::on_verify);
  SSL_CTX_set_info_callback(context_, &TlsClientContext::on_progress);
  return {};
}

int TlsClientContext::on_verify(int accepted, X509_STORE_CTX* store) {
  if (accepted == 1) return accepted;
  const auto* ssl = static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* self = static_cast<TlsClientContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  const int error = X509_STORE_CTX_get_error(store);
  self->verify_error_ = fmt::format("the broker's certificate is refused: {}", X509_verify_cert_error_string(error));
  if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH) {
    self->verify_error_ += fmt::format(" (it does not carry {})", self->host_);
  }
  return 0;
}

// The server's name, whatever the user of the context would announce: libmosquitto says the numeric address that it
// connects to.
void TlsClientContext::on_progress(const SSL* ssl, int where, int /*result*/) {
  if ((where & SSL_CB_HANDSHAKE_START) == 0) return;
  const auto* self = static_cast<const TlsClientContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  auto* connection = const_cast<SSL*>(ssl);  // NOLINT: OpenSSL's callback type is older than its own setters
  const char* const name = self->host_is_address_ ? nullptr : self->host_.c_str();
  SSL_set_tlsext_host_name(connection, const_cast<char*>(name));  // NOLINT: a macro that casts away const itself
}

}  // namespace platform
