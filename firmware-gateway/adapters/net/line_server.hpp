// LineServer: terminals on TCP, plain or with TLS, each connection with a dialogue of its own. Requests in, answers
// back in the order of the requests.
//
// Bounded: max_connections (one more waits for a moment, by the rules of platform/door.hpp), pipelined_requests_max a
// connection (a connection that has so many open is read no further until answers have left), slow_read for a
// request that has begun, slow_write for a peer that takes nothing.
//
// Everything happens on the thread that runs the io_context. Destroy it before the intake.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "firmware-gateway/adapters/net/intake.hpp"
#include "proto/platform/http_server.hpp"

namespace net {

struct LineSettings {
  std::string listen;
  std::optional<platform::TlsFiles> tls;
  std::size_t max_connections = 512;
  std::chrono::milliseconds slow_read{10'000};
  std::chrono::milliseconds slow_write{30'000};
};

class LineServer {
 public:
  // The error names the address, the cause and the remedy.
  [[nodiscard]] static std::expected<std::unique_ptr<LineServer>, std::string> start(
      boost::asio::io_context& io, const LineSettings& settings, terminal::MakeDialogue make_dialogue, Intake& intake);
  virtual ~LineServer() = default;

  [[nodiscard]] virtual std::string address() const = 0;
  [[nodiscard]] virtual std::size_t connections() const = 0;
  // Newcomers turned away because of max_connections.
  [[nodiscard]] virtual std::uint64_t refused_connections() const = 0;
  // Connections that were closed to make room for a newcomer.
  [[nodiscard]] virtual std::uint64_t displaced_connections() const = 0;
  // Connections closed for a request that could not be understood or was too slow, or for a peer that reads no answers.
  [[nodiscard]] virtual std::uint64_t dropped_connections() const = 0;
  // TLS handshakes that failed or took too long.
  [[nodiscard]] virtual std::uint64_t failed_handshakes() const = 0;
  // Times that accepting paused, for want of file descriptors or memory.
  [[nodiscard]] virtual std::uint64_t accept_pauses() const = 0;
  // Accepts and reads nothing more; what was read is still answered.
  virtual void stop() = 0;
  [[nodiscard]] virtual std::expected<void, std::string> reload_tls() = 0;
};

}  // namespace net
