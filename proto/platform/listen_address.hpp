// Addresses to listen on: "127.0.0.1:8801", "[::1]:0". Only numeric addresses and "localhost": a name would need DNS
// before anything works.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace platform {

struct ListenAddress {
  std::string host = {};   // "127.0.0.1", "::1"
  std::uint16_t port = 0;  // 0: any free one
  bool loopback = false;   // not reachable from other machines

  // "127.0.0.1:8801", "[::1]:0"
  [[nodiscard]] std::string text() const;
};

// The error reads after the setting's key: `is "x"; needed: …`.
[[nodiscard]] std::expected<ListenAddress, std::string> parse_listen_address(std::string_view text);

// "cannot listen on 127.0.0.1:80: Permission denied; ports below 1024 need …": address, cause and remedy of a failed
// bind.
[[nodiscard]] std::string listen_error(std::string_view address, int error_number);

}  // namespace platform
