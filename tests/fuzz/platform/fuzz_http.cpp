// Any bytes on a connection of the HTTP server: every answer is one of HTTP's, the connection ends when the peer has,
// and nothing is left behind.
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "proto/base/assert.hpp"
#include "proto/platform/http_server.hpp"

namespace {

constexpr int kStepsMax = 100'000;

// Answers, streams, or drops the request, as the path says.
void answer(const platform::HttpRequest& request, const std::shared_ptr<platform::Responder>& responder) {
  ASSERT(request.body.size() <= 1000);
  if (request.path == "/drop") return;
  if (request.path != "/stream") return responder->send({.body = request.path + request.body});
  const auto stream = responder->stream();
  static_cast<void>(stream->write(request.body));
}

class Target {
 public:
  Target() {
    platform::HttpSettings settings;
    settings.listen = "127.0.0.1:0";
    settings.max_header_bytes = 512;
    settings.max_body_bytes = [](auto, auto) { return 1000; };
    auto started = platform::start_http_server(io_, settings, answer);
    ASSERT(started.has_value());
    server_ = *std::move(started);
    const std::string address = server_->address();
    address_.sin_family = AF_INET;
    address_.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }

  void feed(std::string_view bytes) {
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT(client >= 0);
    ASSERT(::connect(client, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) == 0);
    ::fcntl(client, F_SETFL, O_NONBLOCK);
    std::string received;
    bool ended = false;
    for (int step = 0; !ended; ++step) {
      ASSERT(step < kStepsMax);
      send_some(client, bytes);
      io_.restart();
      io_.poll();
      ended = receive_some(client, received);
    }
    ::close(client);
    ASSERT(received.empty() || received.starts_with("HTTP/1.1 "));
    for (int step = 0; server_->connections() > 0; ++step) {
      ASSERT(step < kStepsMax);
      io_.restart();
      io_.poll();
    }
  }

 private:
  // Says that there is nothing more once all is sent.
  static void send_some(int client, std::string_view& bytes) {
    if (bytes.data() == nullptr) return;
    const ssize_t sent = ::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
    if (!bytes.empty()) return;
    ::shutdown(client, SHUT_WR);
    bytes = {};
  }

  // True at the end of the connection.
  static bool receive_some(int client, std::string& received) {
    char bytes[4096];
    // It never blocks.
    const ssize_t got = ::recv(client, bytes, sizeof bytes, 0);  // NOLINT(clang-analyzer-unix.BlockInCriticalSection)
    if (got > 0) received.append(bytes, static_cast<std::size_t>(got));
    return got == 0 || (got < 0 && errno != EAGAIN);
  }

  boost::asio::io_context io_{1};
  std::unique_ptr<platform::HttpServer> server_;
  sockaddr_in address_{};
};

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Target target;
  if (size <= 64 * 1024) target.feed({size > 0 ? reinterpret_cast<const char*>(data) : "", size});
  return 0;
}
