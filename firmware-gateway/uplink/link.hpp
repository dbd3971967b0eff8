// Link: one MQTT connection at a time, as the uplink sees it. The mosquitto adapter is one, the simulator's is another.
//
//   down ──connect──▶ trying ──Connected──▶ up ──Lost──▶ down        trying ──Lost──▶ down
//
// Invariants:
//   (1) Each connect(attempt) ends in exactly one Lost of that attempt, whether or not a Connected came before it.
//   (2) Nothing of an attempt comes after its Lost.
//   (3) Connected comes only after the broker granted the subscriptions: an answer to what is published next can be
//   heard. (4) No call blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "proto/base/bytes.hpp"

namespace uplink {

// Numbers the connections of one process: 1, 2, 3 …
using Attempt = std::uint32_t;

struct Connected {
  Attempt attempt = 0;
  // How many QoS 1 publishes the broker lets be unacknowledged (MQTT 5, Receive Maximum).
  std::uint32_t receive_maximum = 65'535;
  // Largest MQTT packet that the broker takes; 0: it named no limit.
  std::uint32_t packet_bytes_max = 0;
};

// The connection, or the attempt at one, is over.
struct Lost {
  Attempt attempt = 0;
  // For people: what failed, and where. Never payload.
  std::string reason;
};

struct Received {
  Attempt attempt = 0;
  std::string topic;
  base::Bytes payload;
};

// The broker answered a publish. It proves nothing about the bridge: it only makes room for the next one.
struct Published {
  Attempt attempt = 0;
  // MQTT 5 reason code; 0x80 and above: refused (0x87: not authorised, 0x97: quota exceeded …).
  std::uint8_t reason_code = 0;
  // Of its payload.
  std::size_t bytes = 0;
};

// MQTT 5's reason code of a packet that is larger than the other side takes.
inline constexpr std::uint8_t packet_too_large = 0x95;

using LinkEvent = std::variant<Connected, Lost, Received, Published>;

class Link {
 public:
  virtual ~Link() = default;

  virtual void connect(Attempt attempt) = 0;
  // Ends the attempt or connection; its Lost follows.
  virtual void disconnect(Attempt attempt) = 0;
  // QoS 1, not retained.
  virtual void publish(Attempt attempt, const std::string& topic, base::Bytes payload) = 0;
  // What has happened since the last call, in order.
  [[nodiscard]] virtual std::vector<LinkEvent> take_events() = 0;
};

}  // namespace uplink
