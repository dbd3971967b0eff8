// HttpServer: HTTP/1.1 (and TLS) on one io_context, for terminals and for the admin pages. The only door to
// Boost.Beast.
//
// Bounded: connections, header and body size, time for a slow read, pipelined requests (one at a time a connection).
// Everything happens on the thread that runs the io_context.
#pragma once

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace platform {

struct TlsFiles {
  std::string certificate;  // PEM chain
  std::string key;          // PEM
  std::string client_ca;    // PEM; empty: no client certificates
};

struct HttpSettings {
  std::string listen;  // "127.0.0.1:8801", "[::1]:0"; port 0: any free one
  std::optional<TlsFiles> tls;
  std::size_t max_connections = 512;
  std::size_t max_header_bytes = 8 * 1024;
  // Largest body by path: the handler's own limits decide the answer, this one only protects memory.
  std::function<std::size_t(std::string_view method, std::string_view path)> max_body_bytes;
  std::chrono::milliseconds slow_read{10'000};  // headers and body must be in within
  std::chrono::milliseconds idle{75'000};       // keep-alive without a request
};

struct HttpRequest {
  std::string method;
  std::string path;                                        // decoded, without the query
  std::vector<std::pair<std::string, std::string>> query;  // decoded
  std::string content_type;
  std::string authorization;
  std::string last_event_id;
  std::string body;
  bool peer_is_loopback = false;
  bool tls = false;

  // First value of a query parameter.
  [[nodiscard]] std::optional<std::string_view> parameter(std::string_view name) const;
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers = {};
};

// A server-sent-events response under way. Bounded: write() says false when the reader is too slow and its buffer is
// full; on_drained is then called once there is room again.
class EventStream {
 public:
  virtual ~EventStream() = default;
  [[nodiscard]] virtual bool write(std::string chunk) = 0;
  virtual void on_drained(std::function<void()> callback) = 0;
  // Called once, when the peer has gone or the server stops; write() does nothing afterwards.
  virtual void on_closed(std::function<void()> callback) = 0;
  virtual void close() = 0;
};

// Answers one request, once, now or later, on the loop thread. Dropped without an answer: 500.
class Responder {
 public:
  virtual ~Responder() = default;
  virtual void send(HttpResponse response) = 0;
  // Answers 200 text/event-stream and keeps the connection.
  [[nodiscard]] virtual std::shared_ptr<EventStream> stream() = 0;
};

using HttpHandler = std::function<void(HttpRequest request, std::shared_ptr<Responder> responder)>;

class HttpServer {
 public:
  virtual ~HttpServer() = default;
  // The address really bound, "127.0.0.1:43123".
  [[nodiscard]] virtual std::string address() const = 0;
  [[nodiscard]] virtual std::size_t connections() const = 0;
  // Connections closed because of a limit, since start.
  [[nodiscard]] virtual std::uint64_t refused_connections() const = 0;
  // Requests that never reached the handler: malformed, oversized, too slow.
  [[nodiscard]] virtual std::uint64_t refused_requests() const = 0;
  // Stops accepting; open requests are still answered, idle connections closed.
  virtual void stop() = 0;
  // Reads the TLS files again (SIGHUP). The error says what is wrong; the old ones then stay.
  [[nodiscard]] virtual std::expected<void, std::string> reload_tls() = 0;
};

// Binds and listens. The error names the address, the cause and the remedy.
[[nodiscard]] std::expected<std::unique_ptr<HttpServer>, std::string> start_http_server(boost::asio::io_context& io,
                                                                                        HttpSettings settings,
                                                                                        HttpHandler handler);

}  // namespace platform
