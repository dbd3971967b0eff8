#include "proto/platform/certificates.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pemerr.h>
#include <openssl/x509.h>
#include <openssl/x509err.h>

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string_view>
#include <system_error>

#include "proto/base/assert.hpp"

namespace platform {

namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Store = std::unique_ptr<X509_STORE, decltype(&X509_STORE_free)>;

constexpr int warning_days = 30;

Bio open_pem(const std::string& path) { return {BIO_new_file(path.c_str(), "r"), &BIO_free}; }

// What keeps a file from being looked into, or else `otherwise`.
std::string why_unreadable(const std::string& path, std::string_view otherwise) {
  std::error_code error;
  const auto kind = std::filesystem::status(path, error).type();
  if (error) return error.message();
  if (kind == std::filesystem::file_type::directory) return "is a folder";
  std::ifstream file(path);
  if (!file) return std::generic_category().message(errno);
  if (file.peek() == std::ifstream::traits_type::eof()) return "is empty";
  return std::string(otherwise);
}

// Encrypted keys ask for a passphrase on the terminal; a service has nobody to ask.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*user*/) { return -1; }

Certificate next_certificate(BIO* pem) {
  return {PEM_read_bio_X509(pem, nullptr, &no_passphrase, nullptr), &X509_free};
}

// OpenSSL's word for what came last; its queue is left empty.
std::string last_reason() {
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason == nullptr ? "not readable" : reason;
}

Certificate read_certificate(const std::string& path) {
  const Bio pem = open_pem(path);
  Certificate certificate = pem ? next_certificate(pem.get()) : Certificate(nullptr, &X509_free);
  ERR_clear_error();
  return certificate;
}

// Why the file holds no certificate, or no chain behind it that can be read.
std::optional<std::string> chain_problem(const std::string& path) {
  const Bio pem = open_pem(path);
  if (!pem || !next_certificate(pem.get())) {
    ERR_clear_error();
    return why_unreadable(path, "holds no certificate in PEM");
  }
  while (next_certificate(pem.get())) {
  }
  const bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  const std::string reason = last_reason();
  if (ended) return std::nullopt;
  return fmt::format("holds a chain that is broken behind its first certificate ({})", reason);
}

Key read_key(const std::string& path) {
  const Bio pem = open_pem(path);
  Key key(pem ? PEM_read_bio_PrivateKey(pem.get(), nullptr, &no_passphrase, nullptr) : nullptr, &EVP_PKEY_free);
  ERR_clear_error();
  return key;
}

}  // namespace

std::optional<std::string> pair_problem(const std::string& certificate, const std::string& key) {
  if (const auto problem = chain_problem(certificate))
    return fmt::format("certificate {}: {}; needed: a PEM file, the certificate first, then its chain", certificate,
                       *problem);
  const Key secret = read_key(key);
  if (!secret)
    return fmt::format("key {}: {}; needed: the certificate's key in PEM, without a passphrase", key,
                       why_unreadable(key, "holds no private key that can be read"));
  const bool match = X509_check_private_key(read_certificate(certificate).get(), secret.get()) == 1;
  ERR_clear_error();
  if (match) return std::nullopt;
  return fmt::format("certificate {} and key {} do not belong together; needed: the key that the certificate is for",
                     certificate, key);
}

std::optional<std::string> authorities_problem(const std::string& path) {
  const Store store(X509_STORE_new(), &X509_STORE_free);
  ASSERT(store != nullptr);
  ERR_clear_error();
  // As whoever connects will read it: every certificate of the file.
  const bool loaded = X509_STORE_load_file(store.get(), path.c_str()) == 1;
  const bool none = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_NO_CERTIFICATE_OR_CRL_FOUND;
  const std::string reason = last_reason();
  if (loaded) return std::nullopt;
  return fmt::format("{}: {}; needed: a PEM file with the authorities' certificates", path,
                     why_unreadable(path, none ? "holds no certificate in PEM"
                                               : fmt::format("holds a certificate that is broken ({})", reason)));
}

std::optional<std::string> common_name(const std::string& certificate) {
  const Certificate mine = read_certificate(certificate);
  if (!mine) return std::nullopt;
  std::array<char, 256> name{};
  const int length = X509_NAME_get_text_by_NID(X509_get_subject_name(mine.get()), NID_commonName, name.data(),
                                               static_cast<int>(name.size()));
  return length < 0 ? std::string() : std::string(name.data(), static_cast<std::size_t>(length));
}

std::optional<int> days_left(const std::string& certificate) {
  const Certificate mine = read_certificate(certificate);
  if (!mine) return std::nullopt;
  int days = 0;
  int seconds = 0;
  if (ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(mine.get())) != 1) return std::nullopt;
  // ASN1_TIME_diff truncates towards zero: an hour ago is not "0 days left".
  return seconds < 0 ? days - 1 : days;
}

std::optional<std::string> validity_warning(const std::string& certificate) {
  const Certificate mine = read_certificate(certificate);
  if (mine && X509_cmp_current_time(X509_get0_notBefore(mine.get())) > 0)
    return fmt::format("{}: the certificate is not valid yet", certificate);
  const auto days = days_left(certificate);
  if (!days || *days >= warning_days) return std::nullopt;
  if (*days < 0) return fmt::format("{}: the certificate has expired", certificate);
  return fmt::format("{}: the certificate expires in {} days", certificate, *days);
}

}  // namespace platform
