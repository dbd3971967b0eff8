// A real mosquitto broker, started by the test on a port of its own, and peers that misbehave in ways a real one cannot
// be asked to.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/integration/gateway/place.hpp"
#include "tests/support/temp_folder.hpp"

namespace testing {

class Broker {
 public:
  // `settings`: more lines for mosquitto.conf, after those of the one listener on `port`.
  Broker(std::uint16_t port, const std::string& settings);
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;
  // SIGKILL: what a test needs of a broker is never on its disk.
  ~Broker();

  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  support::TempFolder folder_;
  std::uint16_t port_;
  pid_t process_ = -1;
};

inline const std::string anonymous = "allow_anonymous true\nset_tcp_nodelay true\n";
[[nodiscard]] std::string tls_lines(const std::string& certificate, const std::string& key);

// A listener on 127.0.0.1 that gives each connection to `serve`, on one thread. `serve` closes nothing; it should
// return when `stopping` becomes true.
class RawPeer {
 public:
  using Serve = std::function<void(int descriptor, const std::atomic<bool>& stopping)>;
  explicit RawPeer(Serve serve);
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;
  ~RawPeer();

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  void run(const Serve& serve);

  std::uint16_t port_ = 0;
  int listener_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> connections_{0};
  std::thread thread_;
};

// Forwards connections to a port of 127.0.0.1; can stop forwarding without closing anything (half-open), and cut.
class Relay {
 public:
  explicit Relay(std::uint16_t target);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay();

  [[nodiscard]] std::uint16_t port() const { return port_; }
  // Bytes stay where they are, in both ways; nobody hears of it. New connections are accepted and then hang, too.
  void freeze(bool frozen) { frozen_ = frozen; }
  // Closes all connections.
  void cut() { cut_ = true; }

 private:
  struct Pair {
    int client = -1;
    int server = -1;
    bool open = true;
  };
  void run();
  void accept_one();
  static void forward(Pair& pair, bool client_ready, bool server_ready);

  std::uint16_t target_;
  std::uint16_t port_ = 0;
  int listener_;
  std::atomic<bool> frozen_{false};
  std::atomic<bool> cut_{false};
  std::atomic<bool> stopping_{false};
  std::vector<Pair> pairs_;
  std::thread thread_;
};

}  // namespace testing
