// Why the broker cannot be reached: a connection of our own, made after one of Paho's has failed. Paho C 1.3.12 says
// "TCP/TLS connect failure" for a refused connection, a wrong name and a key that does not fit alike, and where it says
// more, it may be an earlier error of its thread's OpenSSL queue.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "cloud-bridge/adapters/paho/connection.hpp"

namespace paho {

// For people; empty: nothing is wrong as far as TCP and TLS go. Blocks for at most `limit`, DNS apart, and less once
// `stopping` says so; says nothing of MQTT to the broker.
[[nodiscard]] std::string why_unreachable(const Settings& settings, std::chrono::milliseconds limit,
                                          const std::function<bool()>& stopping);

}  // namespace paho
