#include "proto/platform/tls_context.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509err.h>

#include <cerrno>
#include <string_view>
#include <system_error>

#include "proto/base/assert.hpp"

namespace platform {
namespace {

namespace ssl = boost::asio::ssl;

// The last of OpenSSL's errors is the one nearest to the cause that a person knows; the queue is left empty.
std::string last_error() {
  const unsigned long error = ::ERR_peek_last_error();
  ::ERR_clear_error();
  const char* const reason = ::ERR_reason_error_string(error);
  if (ERR_SYSTEM_ERROR(error)) return std::generic_category().message(ERR_GET_REASON(error));
  return reason == nullptr ? "not readable as PEM" : reason;
}

std::string wrong(std::string_view what, const std::string& path) {
  // A missing file shows in the first error of the queue, not in the last.
  const unsigned long first = ::ERR_peek_error();
  if (ERR_SYSTEM_ERROR(first)) {
    ::ERR_clear_error();
    return fmt::format("{} {}: {}", what, path, std::generic_category().message(ERR_GET_REASON(first)));
  }
  return fmt::format("{} {}: {}", what, path, last_error());
}

// OpenSSL compares a key with the certificate as it loads it.
bool is_mismatch(unsigned long error) {
  const int reason = ERR_GET_REASON(error);
  return ERR_GET_LIB(error) == ERR_LIB_X509 &&
         (reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH);
}

// OpenSSL would ask on the terminal for the passphrase of an encrypted key, and hang a service.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*user*/) { return 0; }

std::string load_client_ca(SSL_CTX* context, const std::string& path) {
  STACK_OF(X509_NAME)* const names = ::SSL_load_client_CA_file(path.c_str());
  if (names == nullptr || ::SSL_CTX_load_verify_locations(context, path.c_str(), nullptr) != 1) {
    return wrong("client CA", path);
  }
  ::SSL_CTX_set_client_CA_list(context, names);
  ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return {};
}

std::string load_files(SSL_CTX* context, const TlsFiles& files) {
  ::ERR_clear_error();
  ::SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  if (::SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1) {
    return wrong("certificate", files.certificate);
  }
  if (::SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    if (!is_mismatch(::ERR_peek_last_error())) return wrong("key", files.key);
    ::ERR_clear_error();
    return fmt::format("key {}: does not belong to the certificate {}", files.key, files.certificate);
  }
  return files.client_ca.empty() ? std::string() : load_client_ca(context, files.client_ca);
}

}  // namespace

std::expected<std::shared_ptr<ssl::context>, std::string> make_tls_context(const TlsFiles& files) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX* const native = context->native_handle();
  ASSERT(::SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION) == 1);
  // Resumption with client certificates needs a name of the context; tickets of another context are not taken.
  static constexpr unsigned char kName[] = "tillstream";
  ASSERT(::SSL_CTX_set_session_id_context(native, kName, sizeof kName - 1) == 1);
  // A client must not make us renegotiate: it costs us more than it.
  ::SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // What was read may be card data: gone from OpenSSL's buffer as soon as it is in ours.
  ::SSL_CTX_set_options(native, SSL_OP_CLEANSE_PLAINTEXT);
  if (std::string error = load_files(native, files); !error.empty()) return std::unexpected(std::move(error));
  return context;
}

}  // namespace platform
