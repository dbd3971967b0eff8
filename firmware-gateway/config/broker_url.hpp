// "mqtts://broker.example:8883", in its parts.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace config {

struct BrokerUrl {
  std::string host;
  std::uint16_t port = 0;
  bool tls = false;
  // "localhost", 127.0.0.0/8, ::1: what is said there stays on the machine.
  bool loopback = false;
};

// The error reads after the setting's key.
[[nodiscard]] std::expected<BrokerUrl, std::string> parse_broker_url(std::string_view text);

}  // namespace config
