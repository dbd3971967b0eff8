// Relay: one line of the tap. For each connection of a terminal one to the host; what comes in on one goes out on the
// other at once, unchanged, and only then is a copy put into the HandOver.
//
//   terminal ══▶ accept ──connect──▶ host      unreachable: the terminal's connection is reset
//      ║  bytes ═══════════════════▶  ║        a side that reads slowly: the other one is read no faster
//      ║  ◀═══════════════════ bytes  ║        an end is passed on as an end, a reset as a reset
//
// With TLS both connections end here, and begin here, with a certificate of their own. An end of one side then ends
// both, after what it had sent: TLS knows no half-closed connection.
//
// Bounded: max_connections (one more is reset), 2 × 16 KiB a connection. No timeouts but for connecting and handshakes:
// how long a line may be silent is the affair of its two ends; TCP's keep-alive finds those that are gone.
//
// Everything on the thread that runs the io_context; counts may be read from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "firmware-gateway/adapters/tap/hand_over.hpp"
#include "proto/platform/http_server.hpp"

namespace tap {

// Towards the host.
struct HostTls {
  std::string ca;           // empty: the system's
  std::string certificate;  // empty: none is shown
  std::string key;
};

struct RelaySettings {
  std::string listen;
  std::string host;  // name or address
  std::uint16_t port = 0;
  // Both or neither.
  std::optional<platform::TlsFiles> tls;
  std::optional<HostTls> host_tls;
  std::size_t max_connections = 512;
};

struct RelayCounts {
  std::atomic<std::uint64_t> connections{0};  // open now
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> refused{0};      // too many were open
  std::atomic<std::uint64_t> unreachable{0};  // the host could not be connected
  std::atomic<std::uint64_t> reset{0};        // by either side
  std::atomic<std::uint64_t> terminal_handshakes_failed{0};
  std::atomic<std::uint64_t> host_handshakes_failed{0};
  std::atomic<std::uint64_t> accept_pauses{0};
  std::atomic<std::uint64_t> bytes_from_terminal{0};
  std::atomic<std::uint64_t> bytes_from_host{0};
};

class Relay {
 public:
  // `line`: its number in the HandOver. The error names the address, the cause and the remedy.
  [[nodiscard]] static std::expected<std::unique_ptr<Relay>, std::string> start(boost::asio::io_context& io,
                                                                                const RelaySettings& settings,
                                                                                std::size_t line, HandOver& hand_over);
  virtual ~Relay() = default;

  [[nodiscard]] virtual std::string address() const = 0;
  [[nodiscard]] virtual const RelayCounts& counts() const = 0;
  // Why the host could not be reached the last time, or a handshake failed; once. Any thread.
  [[nodiscard]] virtual std::optional<std::string> take_trouble() = 0;
  // For connections to come.
  [[nodiscard]] virtual std::expected<void, std::string> reload_tls() = 0;
  virtual void stop_accepting() = 0;
  // Ends every connection, too.
  virtual void stop() = 0;
};

}  // namespace tap
