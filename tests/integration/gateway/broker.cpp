#include "tests/integration/gateway/broker.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include <array>
#include <csignal>
#include <stdexcept>

namespace testing {

namespace {

constexpr int tick_ms = 20;

int new_socket() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) throw std::runtime_error("no socket");
  return descriptor;
}

int listen_on_loopback(std::uint16_t& port) {
  const int descriptor = new_socket();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(descriptor, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(descriptor, 64) != 0) {
    throw std::runtime_error("cannot listen");
  }
  ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return descriptor;
}

bool readable(int descriptor) {
  pollfd polled{.fd = descriptor, .events = POLLIN, .revents = 0};
  return ::poll(&polled, 1, tick_ms) > 0;
}

int connect_to(std::uint16_t port) {
  const int descriptor = new_socket();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return descriptor;
  ::close(descriptor);
  return -1;
}

}  // namespace

Broker::Broker(std::uint16_t port, const std::string& settings) : port_(port) {
  const std::string path = folder_.file("mosquitto.conf");
  write_file(path, fmt::format("user root\nlistener {} 127.0.0.1\n{}", port, settings));
  const std::string log = folder_.file("log");
  process_ = ::fork();
  if (process_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int descriptor = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (descriptor < 0) ::_exit(126);
    ::dup2(descriptor, STDOUT_FILENO);
    ::dup2(descriptor, STDERR_FILENO);
    ::execl("/usr/sbin/mosquitto", "mosquitto", "-v", "-c", path.c_str(), nullptr);
    ::_exit(127);
  }
  if (!wait_until([port] { return accepts_connections(port); })) throw std::runtime_error("mosquitto does not listen");
}

Broker::~Broker() {
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

std::string tls_lines(const std::string& certificate, const std::string& key) {
  return fmt::format("certfile {}\nkeyfile {}\nallow_anonymous true\nset_tcp_nodelay true\n", certificate, key);
}

RawPeer::RawPeer(Serve serve) : listener_(listen_on_loopback(port_)) {
  thread_ = std::thread([this, serve = std::move(serve)] { run(serve); });
}

RawPeer::~RawPeer() {
  stopping_ = true;
  thread_.join();
  ::close(listener_);
}

void RawPeer::run(const Serve& serve) {
  while (!stopping_) {
    if (!readable(listener_)) continue;
    const int descriptor = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (descriptor < 0) continue;
    ++connections_;
    serve(descriptor, stopping_);
    ::close(descriptor);
  }
}

Relay::Relay(std::uint16_t target) : target_(target), listener_(listen_on_loopback(port_)) {
  thread_ = std::thread([this] { run(); });
}

Relay::~Relay() {
  stopping_ = true;
  thread_.join();
  for (const Pair& pair : pairs_) {
    ::close(pair.client);
    ::close(pair.server);
  }
  ::close(listener_);
}

void Relay::accept_one() {
  const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return;
  const int server = connect_to(target_);
  if (server < 0) {
    ::close(client);
    return;
  }
  pairs_.push_back({.client = client, .server = server});
}

void Relay::forward(Pair& pair, bool client_ready, bool server_ready) {
  std::array<char, 65'536> bytes{};
  const auto move = [&](int from, int to) {
    const auto count = ::recv(from, bytes.data(), bytes.size(), 0);
    if (count <= 0 || ::send(to, bytes.data(), static_cast<std::size_t>(count), MSG_NOSIGNAL) != count)
      pair.open = false;
  };
  if (client_ready) move(pair.client, pair.server);
  if (server_ready && pair.open) move(pair.server, pair.client);
}

void Relay::run() {
  while (!stopping_) {
    std::vector<pollfd> polled{{.fd = listener_, .events = POLLIN, .revents = 0}};
    for (const Pair& pair : pairs_) {
      const short events = frozen_ ? 0 : POLLIN;
      polled.push_back({.fd = frozen_ ? -1 : pair.client, .events = events, .revents = 0});
      polled.push_back({.fd = frozen_ ? -1 : pair.server, .events = events, .revents = 0});
    }
    ::poll(polled.data(), polled.size(), tick_ms);
    const bool cut = cut_.exchange(false);
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      forward(pairs_[i], polled[1 + 2 * i].revents != 0, polled[2 + 2 * i].revents != 0);
      if (cut) pairs_[i].open = false;
    }
    std::erase_if(pairs_, [](const Pair& pair) {
      if (pair.open) return false;
      ::close(pair.client);
      ::close(pair.server);
      return true;
    });
    if ((polled[0].revents & POLLIN) != 0) accept_one();
  }
}

}  // namespace testing
