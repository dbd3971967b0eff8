#include "proto/platform/admin_access.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <utility>

#include "proto/platform/system.hpp"

namespace platform {
namespace {

// A Host header that names no domain: a numeric address or localhost, with or without a port. It cannot be rebound.
bool is_numeric_host(std::string_view host) {
  if (host == "localhost" || host.starts_with("localhost:")) return true;
  const bool has_port = host.rfind(':') != std::string_view::npos && !host.ends_with(']');
  return parse_listen_address(has_port ? std::string(host) : std::string(host) + ":0").has_value();
}

HttpResponse unauthorized() {
  HttpResponse response = error_response(401, "unauthorized", "this needs the header Authorization: Bearer <token>");
  response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

}  // namespace

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  const base::Digest left = hasher().sha256({a});
  const base::Digest right = hasher().sha256({b});
  return ::CRYPTO_memcmp(left.bytes.data(), right.bytes.data(), left.bytes.size()) == 0;
}

std::optional<std::string> check_admin_exposure(const AdminExposure& exposure) {
  if (exposure.listen.loopback) return std::nullopt;
  if (exposure.token && exposure.tls) return std::nullopt;
  return fmt::format("{} is reachable from other machines: set {}{}{}, or listen on 127.0.0.1", exposure.listen.text(),
                     exposure.token ? "" : "token_file", exposure.token || exposure.tls ? "" : " and ",
                     exposure.tls ? "" : "tls = { certificate = \"…\", key = \"…\" }");
}

std::optional<HttpResponse> AdminAccess::refuse(const HttpRequest& request) const {
  if (token_.empty()) {
    if (request.host.empty() || is_numeric_host(request.host)) return std::nullopt;
    return error_response(421, "wrong_host", "use the address, not a name, or set a token");
  }
  static constexpr std::string_view kScheme = "Bearer ";
  const std::string_view given = request.authorization;
  const bool right = given.starts_with(kScheme) && equal_in_constant_time(given.substr(kScheme.size()), token_);
  return right ? std::nullopt : std::optional(unauthorized());
}

}  // namespace platform
