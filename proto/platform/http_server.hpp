// HttpServer: HTTP/1.1 (and TLS) on one io_context, for terminals and for the admin pages. The only door to
// Boost.Beast.
//
//   accept ──▶ handshake (TLS) ──▶ idle ──first byte──▶ reading ──complete──▶ waiting ──answer──▶ writing ──▶ idle …
//                                   │                      │                     └──stream()──▶ streaming
//                                   └─ too long: closed    └─ malformed, oversized, too slow: an error, then lingering
//
// Rules:
//   (1) One request at a time a connection: pipelined ones wait in the input buffer and are answered in their order.
//   (2) A request that breaks a limit never reaches the handler. It is answered {"error":{"code","message"}} and the
//   connection
//       ends: 400 bad_request, 431 headers_too_large, 413 body_too_large, 408 timeout, 417 expectation_failed,
//       415 unsupported_media_type (a Content-Encoding), 503 busy (too many connections, or bodies in memory).
//   (3) After an error the rest of what the peer sends is read and dropped for a moment (5 s, 4 MiB), so that the
//   answer is
//       not lost to a reset.
//   (4) A handler may answer later; a peer that went away meanwhile costs nothing and hears nothing.
//   (5) No limit of one connection touches another; too many open files pause accepting, and nothing else.
//   (6) With max_connections open, a newcomer waits for a moment, and a connection that owes us something may have to
//   give
//       way: by the rules of door.hpp. Who is not let in is told 503.
//
// Memory: connections × (max_header_bytes + 64 KiB), max_bodies_bytes for all request bodies, stream_buffer_bytes a
// stream.
//
// Everything happens on the thread that runs the io_context, which must outlive the server. Destroying the server
// closes everything at once; destroy it before whatever its handler and the streams' callbacks refer to.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "proto/platform/http_message.hpp"

namespace boost::asio {
class io_context;  // NOLINT(readability-identifier-naming): Asio's
}

namespace platform {

struct TlsFiles {
  std::string certificate;     // PEM chain
  std::string key;             // PEM
  std::string client_ca = {};  // PEM; empty: no client certificates
};

struct HttpSettings {
  std::string listen;  // "127.0.0.1:8801", "[::1]:0"; port 0: any free one
  std::optional<TlsFiles> tls = {};
  std::size_t max_connections = 512;
  std::size_t max_header_bytes = 8 * 1024;
  // Largest body by method and path (64 KiB without it): the handler's own limits decide the answer, this protects
  // memory.
  std::function<std::size_t(std::string_view method, std::string_view path)> max_body_bytes = {};
  // All request bodies in memory together, from their first byte to the answer.
  std::size_t max_bodies_bytes = 64 * 1024 * 1024;
  // What a stream may hold for a slow reader.
  std::size_t stream_buffer_bytes = 256 * 1024;
  std::chrono::milliseconds slow_read{10'000};   // headers and body must be in within
  std::chrono::milliseconds slow_write{30'000};  // a peer that reads nothing for so long is dropped
  std::chrono::milliseconds idle{75'000};        // keep-alive without a request
};

// A response that grows: server-sent events, exports. Bounded: write() says false, and takes nothing, when the reader
// is too slow and the buffer is full; on_drained is then called once there is room again. A chunk larger than the whole
// buffer is taken when the buffer is empty. Dropping the last reference closes it.
class EventStream {
 public:
  virtual ~EventStream() = default;
  [[nodiscard]] virtual bool write(std::string chunk) = 0;
  virtual void on_drained(std::function<void()> callback) = 0;
  // Called once, when the connection ends for whatever reason (at once, if it already has); write() says false from
  // then on.
  virtual void on_closed(std::function<void()> callback) = 0;
  // Ends the response properly after what was written.
  virtual void close() = 0;
};

// Answers one request, once, now or later, on the loop thread. Dropped without an answer: 500.
class Responder {
 public:
  virtual ~Responder() = default;
  virtual void send(HttpResponse response) = 0;
  // Answers 200 and keeps the response open.
  [[nodiscard]] virtual std::shared_ptr<EventStream> stream(std::string content_type = "text/event-stream") = 0;
};

using HttpHandler = std::function<void(HttpRequest request, std::shared_ptr<Responder> responder)>;

class HttpServer {
 public:
  virtual ~HttpServer() = default;
  // The address really bound, "127.0.0.1:43123".
  [[nodiscard]] virtual std::string address() const = 0;
  [[nodiscard]] virtual std::size_t connections() const = 0;
  // Newcomers turned away because of max_connections, since start.
  [[nodiscard]] virtual std::uint64_t refused_connections() const = 0;
  // Connections that were closed to make room for a newcomer.
  [[nodiscard]] virtual std::uint64_t displaced_connections() const = 0;
  // Requests that never reached the handler: malformed, oversized, too slow.
  [[nodiscard]] virtual std::uint64_t refused_requests() const = 0;
  // TLS handshakes that failed: old versions, no or wrong client certificate, plain HTTP.
  [[nodiscard]] virtual std::uint64_t failed_handshakes() const = 0;
  // Times that accepting paused, for want of file descriptors or memory.
  [[nodiscard]] virtual std::uint64_t accept_pauses() const = 0;
  // Stops accepting; open requests are still answered, idle connections and streams closed. Done when connections() is
  // 0; the server then leaves no work in the io_context.
  virtual void stop() = 0;
  // Reads the TLS files again (SIGHUP), for connections to come. The error says what is wrong; the old ones then stay.
  [[nodiscard]] virtual std::expected<void, std::string> reload_tls() = 0;
};

// Binds and listens. The error names the address, the cause and the remedy.
[[nodiscard]] std::expected<std::unique_ptr<HttpServer>, std::string> start_http_server(boost::asio::io_context& io,
                                                                                        HttpSettings settings,
                                                                                        HttpHandler handler);

}  // namespace platform
