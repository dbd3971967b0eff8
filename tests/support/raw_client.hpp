// A client that sends exactly the bytes it is told to, and the loop of the server under test, which runs only while
// the client waits for something: no threads, no races.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace support {

// Runs the loop until the condition holds; false when it does not in time.
inline bool run_until(boost::asio::io_context& io, const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    io.restart();
    if (io.poll() == 0) ::poll(nullptr, 0, 1);
  }
  return true;
}

// Of "127.0.0.1:8801".
inline std::uint16_t port_of(const std::string& address) {
  return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
}

class RawClient {
 public:
  // From any address of loopback, to 127.0.0.1. The loop must outlive it.
  RawClient(boost::asio::io_context& io, std::uint16_t port, const char* source = "127.0.0.1")
      : io_(io), socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const auto from = endpoint(source, 0);
    const auto to = endpoint("127.0.0.1", port);
    REQUIRE(::bind(socket_, reinterpret_cast<const sockaddr*>(&from), sizeof from) == 0);
    REQUIRE(::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    ::fcntl(socket_, F_SETFL, O_NONBLOCK);
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient() { close(); }

  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }

  // Sends all; false when the peer has gone.
  bool send(std::string_view bytes) {
    return run_until(io_,
                     [&] {
                       const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
                       if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
                       return bytes.empty() || (sent < 0 && errno != EAGAIN);
                     }) &&
           bytes.empty();
  }

  // Everything received so far.
  const std::string& receive() {
    char bytes[65536];
    for (ssize_t n = 1; n > 0 && !ended_;) {
      n = ::recv(socket_, bytes, sizeof bytes, MSG_DONTWAIT);
      if (n > 0) received_.append(bytes, static_cast<std::size_t>(n));
      if (n == 0 || (n < 0 && errno != EAGAIN)) ended_ = true;
    }
    return received_;
  }

  bool await(std::string_view text) {
    return run_until(io_, [&] { return receive().find(text) != std::string::npos; });
  }
  bool await_end() {
    return run_until(io_, [&] { return ended(); });
  }
  bool ended() {
    receive();
    return ended_;
  }
  [[nodiscard]] int descriptor() const { return socket_; }

 private:
  static sockaddr_in endpoint(const char* host, std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    REQUIRE(::inet_pton(AF_INET, host, &address.sin_addr) == 1);
    return address;
  }

  boost::asio::io_context& io_;
  int socket_;
  std::string received_;
  bool ended_ = false;
};

}  // namespace support
