// Connection: one libmosquitto handle, one attempt at one address. Never reused: libmosquitto keeps a lowered inflight
// limit, old packets and the session's messages over reconnects, and a fresh handle has none of that.
//
//   tcp ──writable──▶ handshake ──CONNACK──▶ subscribing ──SUBACK──▶ up          any ──error──▶ over
//
// Not thread-safe: everything happens on the link's thread, the callbacks inside step(). No call blocks.
#pragma once

#include <mosquitto.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "firmware-gateway/uplink/link.hpp"
#include "proto/platform/tls_client_context.hpp"

namespace mqtt {

struct ConnectionSettings {
  std::string address = {};
  std::uint16_t port = 0;
  std::string client_id = {};
  std::string username = {};
  std::string password = {};
  std::vector<std::string> subscriptions = {};
  std::chrono::seconds keep_alive{20};
};

class Connection {
 public:
  enum class Phase : std::uint8_t { tcp, handshake, subscribing, up, over };

  // `tls` may be null: plain. `on_event` gets Connected, Received and Published, but never Lost: see phase() and
  // reason().
  Connection(const ConnectionSettings& settings, std::unique_ptr<platform::TlsClientContext> tls,
             uplink::Attempt attempt, std::function<void(uplink::LinkEvent)> on_event);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // What to poll for before the next step(), and for how long at most.
  [[nodiscard]] int descriptor() const;
  [[nodiscard]] short poll_events() const;
  [[nodiscard]] std::chrono::milliseconds patience() const;
  // After each poll, whatever it saw.
  void step(short seen);

  void publish(const std::string& topic, const base::Bytes& payload);
  // Says good-bye to the broker where that is possible.
  void disconnect();

  [[nodiscard]] Phase phase() const { return phase_; }
  // Another address of the same host may still work: nothing was refused, the network failed.
  [[nodiscard]] bool worth_another_address() const { return !reached_; }
  // Why it is over.
  [[nodiscard]] const std::string& reason() const { return reason_; }

 private:
  struct Callbacks;

  void end(std::string reason);
  void check(int rc, const char* doing);
  [[nodiscard]] std::string describe(int rc, const char* doing) const;
  void step_tcp(short seen);
  void read_all();
  void on_connack(int reason_code, const mosquitto_property* properties);
  void subscribe_next();
  void on_suback(const std::vector<int>& granted);

  ConnectionSettings settings_;
  std::unique_ptr<platform::TlsClientContext> tls_;
  uplink::Attempt attempt_;
  std::function<void(uplink::LinkEvent)> on_event_;
  struct ::mosquitto* handle_;
  Phase phase_ = Phase::tcp;
  uplink::Connected connected_;
  std::size_t subscribed_ = 0;
  // Payload bytes of the publishes that the broker has not answered, by message id. The machine keeps few open.
  std::map<int, std::size_t> open_publishes_;
  bool reached_ = false;
  std::string reason_;
  // libmosquitto's last words, for reason_.
  std::string last_log_;
};

}  // namespace mqtt
