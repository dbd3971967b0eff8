// HttpConnection: one accepted connection of an HttpServer, from its first byte to its last. See http_server.hpp for
// the states.
//
// Owned by HttpCore::connections from start() to its end; operations under way hold it, too. The server and the handler
// only ever hold it weakly.
#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_set>

#include "proto/platform/door.hpp"
#include "proto/platform/http_server.hpp"

namespace platform {

using Clock = std::chrono::steady_clock;
// Concrete, because the type-erased executor costs a tenth of the throughput.
using Executor = boost::asio::io_context::executor_type;
using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;

class HttpConnection {
 public:
  HttpConnection() = default;
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;
  virtual ~HttpConnection() = default;

  virtual void start() = 0;
  // Ends it when its time is up.
  virtual void sweep(Clock::time_point now) = 0;
  [[nodiscard]] virtual const Origin& origin() const = 0;
  // Since when it owes us something: a handshake, a request, the taking of its answer. None: it waits for us.
  [[nodiscard]] virtual std::optional<Clock::time_point> unheard_since(Clock::time_point now) const = 0;
  // Finishes what is under way, then ends.
  virtual void stop() = 0;
  // Ends it now.
  virtual void abort() = 0;
};

// What the connections of a server share.
struct HttpCore {
  HttpSettings settings;
  HttpHandler handler;
  std::unordered_set<std::shared_ptr<HttpConnection>> connections;
  std::size_t bodies_bytes = 0;  // of all requests in memory
  std::uint64_t refused_requests = 0;
  std::uint64_t failed_handshakes = 0;
  bool stopping = false;
};

// Plain without a TLS context.
[[nodiscard]] std::shared_ptr<HttpConnection> make_connection(std::shared_ptr<HttpCore> core, Socket socket,
                                                              const std::shared_ptr<boost::asio::ssl::context>& tls);

}  // namespace platform
