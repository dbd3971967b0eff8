// MosquittoLink: uplink::Link on libmosquitto, with a thread and a poll loop of its own. Translates; decides nothing.
//
// Ownership and threads: the public calls may come from one other thread, and never block. Everything of libmosquitto
// happens on the link's own thread. `notify` is called there whenever take_events() has something new; it must only
// wake the other thread.
//
// Bounded: publishes_queued_max (the machine keeps far fewer open; more is our bug), received_queued_max (more are
// dropped and counted: the handoff repeats them).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "firmware-gateway/uplink/link.hpp"

namespace mqtt {

struct BrokerSettings {
  std::string host = {};
  std::uint16_t port = 8883;
  bool tls = true;
  // See TlsSettings. Read anew for each attempt.
  std::string ca = {};
  std::string certificate = {};
  std::string key = {};
  std::string username = {};
  // Its first line is the password. Read anew for each attempt.
  std::string password_file = {};
  std::string client_id = {};
  // Subscribed with QoS 0, all of them, before a connection counts as such.
  std::vector<std::string> subscriptions = {};
  std::chrono::seconds keep_alive{20};
};

inline constexpr std::size_t publishes_queued_max = 64;
inline constexpr std::size_t received_queued_max = 4'096;

class MosquittoLink final : public uplink::Link {
 public:
  MosquittoLink(const BrokerSettings& settings, std::function<void()> notify);
  // Ends the thread; takes milliseconds, whatever the network does.
  ~MosquittoLink() override;

  void connect(uplink::Attempt attempt) override;
  void disconnect(uplink::Attempt attempt) override;
  void publish(uplink::Attempt attempt, const std::string& topic, base::Bytes payload) override;
  [[nodiscard]] std::vector<uplink::LinkEvent> take_events() override;

  // For the attempts that follow.
  void replace_settings(const BrokerSettings& settings);
  // Messages dropped because nobody took them.
  [[nodiscard]] std::uint64_t dropped() const;
  // A name lookup hangs in the system's resolver, which cannot be cancelled: a process that ends now must not wait for
  // it.
  [[nodiscard]] bool lookup_hangs() const;

 private:
  class Worker;
  std::unique_ptr<Worker> worker_;
};

}  // namespace mqtt
