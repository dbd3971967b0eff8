// The server's TLS: 1.2 or newer, from PEM files.
#pragma once

#include <boost/asio/ssl/context.hpp>

#include <expected>
#include <memory>
#include <string>

#include "proto/platform/http_server.hpp"

namespace platform {

// The error names the file and what is wrong with it.
[[nodiscard]] std::expected<std::shared_ptr<boost::asio::ssl::context>, std::string> make_tls_context(
    const TlsFiles& files);

}  // namespace platform
