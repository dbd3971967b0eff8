#include "cloud-bridge/adapters/paho/probe.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>

#include "proto/platform/tls_client_context.hpp"

namespace paho {

namespace {

using Clock = std::chrono::steady_clock;
using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

// How often a wait looks whether it should stop.
constexpr std::chrono::milliseconds patience{100};
// A broker of TLS 1.3 refuses our certificate after the handshake has ended for us; one that takes it waits for MQTT.
constexpr std::chrono::milliseconds alert_time{1'000};

std::string error_text(int number) { return std::generic_category().message(number); }

class Socket {
 public:
  explicit Socket(const addrinfo& address)
      : descriptor_(::socket(address.ai_family, address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_;
};

class Probe {
 public:
  Probe(const Settings& settings, std::chrono::milliseconds limit, const std::function<bool()>& stopping)
      : settings_(settings), limit_(limit), stopping_(stopping), until_(Clock::now() + limit) {}

  std::string run() {
    // The files first: what is wrong with them is wrong with every address.
    if (settings_.tls) {
      auto tls = platform::TlsClientContext::open({.ca = settings_.tls->ca,
                                                   .certificate = settings_.tls->certificate,
                                                   .key = settings_.tls->key,
                                                   .host = settings_.host,
                                                   .table = "broker"});
      if (!tls) return tls.error();
      tls_ = *std::move(tls);
    }
    addrinfo wish{};
    wish.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int failed = ::getaddrinfo(settings_.host.c_str(), std::to_string(settings_.port).c_str(), &wish, &found);
    if (failed != 0) return fmt::format("cannot find the address of {}: {}", settings_.host, ::gai_strerror(failed));
    const Addresses addresses(found, &freeaddrinfo);
    std::string problem;
    for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
      const Socket socket(*address);
      problem = connect(socket, *address);
      if (problem.empty()) return tls_ ? handshake(socket) : std::string();
    }
    return problem;
  }

 private:
  // False: not within the time.
  bool wait(const Socket& socket, short events, Clock::time_point until) const {
    pollfd one{.fd = socket.get(), .events = events, .revents = 0};
    while (Clock::now() < until && !stopping_()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
      if (::poll(&one, 1, static_cast<int>(std::clamp(left, std::chrono::milliseconds(0), patience).count())) > 0)
        return true;
    }
    return false;
  }

  [[nodiscard]] std::string not_in_time(std::string_view what) const {
    return fmt::format("no {} within {} ms", what, limit_.count());
  }

  std::string connect(const Socket& socket, const addrinfo& address) const {
    if (::connect(socket.get(), address.ai_addr, address.ai_addrlen) == 0) return {};
    int error = errno;
    if (error == EINPROGRESS) {
      if (!wait(socket, POLLOUT, until_)) return not_in_time("connection");
      socklen_t size = sizeof error;
      if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    }
    return error == 0 ? std::string() : fmt::format("cannot connect: {}", error_text(error));
  }

  std::string handshake(const Socket& socket) const {
    const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(tls_->native()), &SSL_free);
    if (!ssl || SSL_set_fd(ssl.get(), socket.get()) != 1) return "TLS: out of memory";
    const auto step = [&](auto operation, Clock::time_point until) {
      while (true) {
        ERR_clear_error();
        const int done = operation();
        if (done == 1) return SSL_ERROR_NONE;
        const int number = errno;
        const int error = SSL_get_error(ssl.get(), done);
        const bool reads = error == SSL_ERROR_WANT_READ;
        if (!reads && error != SSL_ERROR_WANT_WRITE) return errno = number, error;
        if (!wait(socket, reads ? POLLIN : POLLOUT, until)) return error;
      }
    };
    const int shaken = step([&] { return SSL_connect(ssl.get()); }, until_);
    if (shaken != SSL_ERROR_NONE) return why(shaken);
    char byte = 0;
    const int heard = step([&] { return SSL_read(ssl.get(), &byte, 1); }, std::min(until_, Clock::now() + alert_time));
    return heard == SSL_ERROR_SSL ? why(heard) : std::string();
  }

  // After what SSL_get_error said.
  [[nodiscard]] std::string why(int error) const {
    const int number = errno;
    if (!tls_->verify_error().empty()) return tls_->verify_error();
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return not_in_time("TLS handshake");
    const unsigned long code = ERR_peek_last_error();
    ERR_clear_error();
    const char* const reason = ERR_reason_error_string(code);
    if (reason == nullptr)
      return fmt::format("TLS handshake: {}", number == 0 ? "the broker closed the connection" : error_text(number));
    const bool alert = ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET;
    return fmt::format("{}: {}", alert ? "the broker refuses our side of TLS" : "TLS handshake", reason);
  }

  const Settings& settings_;
  std::chrono::milliseconds limit_;
  const std::function<bool()>& stopping_;
  Clock::time_point until_;
  std::unique_ptr<platform::TlsClientContext> tls_;
};

}  // namespace

std::string why_unreachable(const Settings& settings, std::chrono::milliseconds limit,
                            const std::function<bool()>& stopping) {
  return Probe(settings, limit, stopping).run();
}

}  // namespace paho
