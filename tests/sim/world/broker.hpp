// Broker: an MQTT broker and the lines to it. Sessions are clean; a publish is acknowledged whatever becomes of it.
//
//   connect ──▶ Peer::on_connected ──▶ publish, on_acknowledged, on_message … ──▶ Peer::on_lost
//      └──────────────────────────── refused, or cut ─────────────────────────────────▲
//
// Invariants:
//   (1) Each connect() ends in exactly one on_lost, and nothing of it comes afterwards.
//   (2) Messages of one topic come to one subscriber in the order in which they were published, but for those that a
//       fault makes late or doubles.
//   (3) At most queue_max messages wait for a subscriber; what comes beyond is dropped.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "proto/base/bytes.hpp"
#include "tests/sim/world/env.hpp"

namespace whole {

using Connection = std::uint64_t;

class Peer {
 public:
  virtual ~Peer() = default;
  virtual void on_connected(Connection connection) = 0;
  virtual void on_lost(Connection connection, const std::string& reason) = 0;
  virtual void on_message(Connection connection, const std::string& topic, const base::Bytes& payload) = 0;
  // MQTT 5 reason code, and the payload's size.
  virtual void on_acknowledged(Connection connection, std::uint8_t code, std::size_t bytes) = 0;
};

class Broker {
 public:
  explicit Broker(Env& env);

  // Filters are topics of four levels, or end in "/+" or "/+/+". The peer must outlive the connection.
  [[nodiscard]] Connection connect(Peer& peer, std::vector<std::string> filters);
  // By the client; on_lost follows.
  void disconnect(Connection connection) { end(connection, "disconnected"); }
  // The client is gone without a word: nothing more comes of the connection.
  void abandon(Connection connection);
  // `acknowledged`: QoS 1.
  void publish(Connection from, const std::string& topic, base::Bytes payload, bool acknowledged);

  // Faults.
  void cut_one();
  void make_half_open();
  void restart();
  // No connection is made until then.
  void refuse_until(base::Instant end) { refused_until_ = end; }
  void calm();

  [[nodiscard]] std::uint64_t messages() const { return messages_; }
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

 private:
  struct Line {
    Peer* peer = nullptr;
    std::vector<std::string> filters;
    bool up = false;
    bool half_open = false;
    std::size_t queued = 0;
    base::Instant last_up{};
    base::Instant last_acknowledged{};
    std::map<std::string, base::Instant> last_down;  // by topic, where topics overtake each other
  };
  using Payload = std::shared_ptr<const base::Bytes>;

  [[nodiscard]] Line* alive(Connection connection);
  [[nodiscard]] Connection some_connection();
  void connected(Connection connection);
  void end(Connection connection, const std::string& reason);
  void forget(Connection connection);
  void arrived(Connection from, const std::string& topic, const Payload& payload, bool acknowledged);
  void route(const std::string& topic, const Payload& payload);
  void queue(Connection to, const std::string& topic, const Payload& payload);
  void deliver(Connection to, const std::string& topic, const Payload& payload, base::Instant::duration delay);

  Env& env_;
  std::size_t queue_max_;
  std::map<Connection, Line> lines_;
  std::unordered_map<std::string, std::vector<Connection>> subscribers_;
  Connection last_ = 0;
  base::Instant refused_until_{};
  std::uint64_t messages_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace whole
