// Who may use an admin port.
//
// On loopback: whoever is on the machine, unless a token is set. Off loopback: only over TLS and only with the token.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "proto/platform/http_message.hpp"
#include "proto/platform/listen_address.hpp"

namespace platform {

// Characters of a token that is worth asking for.
inline constexpr std::size_t admin_token_length_min = 16;

struct AdminExposure {
  ListenAddress listen = {};
  bool tls = false;
  bool token = false;
};

// For the configuration: why this must not be started, as a text that reads after the key; nothing when it is fine.
[[nodiscard]] std::optional<std::string> check_admin_exposure(const AdminExposure& exposure);

class AdminAccess {
 public:
  // An empty token: none is asked for, which check_admin_exposure() allows on loopback only.
  explicit AdminAccess(std::string token) : token_(std::move(token)) {}

  // The answer to a request that has no business here: 401 without or with a wrong token; 421 for a foreign Host header
  // when there is no token (a page on the web that lets its own name point to 127.0.0.1). Nothing when it may pass.
  [[nodiscard]] std::optional<HttpResponse> refuse(const HttpRequest& request) const;

 private:
  std::string token_;
};

// Takes as long for wrong texts as for right ones, whatever their lengths.
[[nodiscard]] bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace platform
