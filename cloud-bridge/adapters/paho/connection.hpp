// Connection: one MQTT 5 connection to the broker, by Paho. It translates and nothing else: when to connect again is
// decided by the machine that uses it (bridge::ShardGroup).
//
//   idle ──connect──▶ connecting ──subscribed──▶ online ──lost or refused──▶ idle
//                         └───────── failed ──────────────────────────────────┘
//
// Invariants:
//   (1) At most `queue_messages_max` messages of `queue_bytes_max` bytes wait for the loop. What comes beyond is
//   dropped and
//       counted: nothing was acked, so the gateway sends it again.
//   (2) At most `publishes_max` publishes wait in Paho; what comes beyond is dropped and counted: acks are cumulative.
//   (3) Every connect() that no later call overtakes is answered by one Online or Offline; after an Online comes at
//   most one Offline. (4) Nothing is ever published from one of Paho's callbacks.
//
// Threads: the loop thread calls everything; Paho's threads push into the queue; a thread of its own waits for what
// blocks (DNS, TLS, the broker's answers). `wake` is called from foreign threads, when the queue stops being empty.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "proto/base/bytes.hpp"

namespace paho {

struct Tls {
  std::string ca;           // PEM; empty: the system's store
  std::string certificate;  // PEM chain; empty: none
  std::string key;          // PEM
};

struct Settings {
  std::string host;
  std::uint16_t port = 1883;
  std::optional<Tls> tls;
  std::string client_id;
  std::string username;
  std::string password_file;  // read at each connect; its last line end is not part of the password
  std::chrono::seconds keep_alive{15};
  std::chrono::seconds connect_timeout{10};
  std::uint32_t message_bytes_max = 4 * 1024 * 1024;  // the broker sends nothing larger
  std::size_t queue_messages_max = 16 * 1024;
  std::size_t queue_bytes_max = 64 * 1024 * 1024;
  std::size_t publishes_max = 8 * 1024;
};

struct Message {
  std::string topic;
  base::Bytes payload;
};
struct Online {};
struct Offline {
  std::string reason;  // for people
};
using Event = std::variant<Online, Offline, Message>;

struct Counters {
  std::uint64_t messages_dropped = 0;   // (1)
  std::uint64_t publishes_dropped = 0;  // (2), or offline
  std::uint64_t messages_waiting = 0;
  std::uint64_t bytes_waiting = 0;
};

class Connection {
 public:
  Connection(Settings settings, std::function<void()> wake);
  // Disconnects. Waits for Paho, whose connect timeout bounds it.
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // One attempt to connect and to subscribe to all filters at QoS 0. Certificates and password are read anew.
  void connect(std::vector<std::string> filters);
  void disconnect();
  // Takes effect with the next connect().
  void configure(Settings settings);
  // QoS 0, not retained. False: dropped and counted.
  bool publish(const std::string& topic, const base::Bytes& payload);
  // The oldest event that waits.
  [[nodiscard]] std::optional<Event> next();
  [[nodiscard]] Counters counters() const;

 private:
  class Session;
  std::unique_ptr<Session> session_;
};

}  // namespace paho
