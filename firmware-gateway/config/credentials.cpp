#include "firmware-gateway/config/credentials.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <memory>
#include <system_error>
#include <utility>

#include "proto/platform/locked_memory.hpp"

namespace config {

namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

Bio open_pem(const std::string& path) { return {BIO_new_file(path.c_str(), "r"), &BIO_free}; }

std::string why_unreadable(const std::string& path) {
  std::ifstream file(path);
  const int number = errno;
  return file ? std::string("is not PEM") : std::generic_category().message(number);
}

// Encrypted keys ask for a passphrase on the terminal; a gateway has nobody to ask.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*user*/) { return -1; }

Certificate read_certificate(const std::string& path) {
  const Bio pem = open_pem(path);
  Certificate certificate(pem ? PEM_read_bio_X509(pem.get(), nullptr, &no_passphrase, nullptr) : nullptr, &X509_free);
  ERR_clear_error();
  return certificate;
}

Key read_key(const std::string& path) {
  const Bio pem = open_pem(path);
  Key key(pem ? PEM_read_bio_PrivateKey(pem.get(), nullptr, &no_passphrase, nullptr) : nullptr, &EVP_PKEY_free);
  ERR_clear_error();
  return key;
}

}  // namespace

std::expected<std::string, std::string> read_private_file(const std::string& path, std::size_t bytes_max) {
  const auto bytes = platform::read_private_bytes(path, bytes_max);
  if (!bytes) return std::unexpected(bytes.error());
  return std::string(bytes->view());
}

std::optional<std::string> check_pair(const std::string& certificate, const std::string& key) {
  const Certificate mine = read_certificate(certificate);
  if (!mine) return fmt::format("certificate {}: {}", certificate, why_unreadable(certificate));
  const Key secret = read_key(key);
  if (!secret) return fmt::format("key {}: {}", key, why_unreadable(key));
  const bool match = X509_check_private_key(mine.get(), secret.get()) == 1;
  ERR_clear_error();
  if (!match) return fmt::format("certificate {} and key {} do not belong together", certificate, key);
  return std::nullopt;
}

std::optional<std::string> check_certificates(const std::string& path) {
  if (read_certificate(path)) return std::nullopt;
  return fmt::format("{}: {}", path, why_unreadable(path));
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

}  // namespace config
