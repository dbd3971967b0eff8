// Uplink: keeps one MQTT connection to the broker, and says when the sender may use it. Decides when to connect, when
// to give up and when to publish; does no I/O.
//
//   idle ──start──▶ waiting ──due──▶ connecting ──Connected──▶ online
//                      ▲                 │ Lost                   │ Lost
//                      └─────────────────┴────────────────────────┘
//   give_up, a connect that takes too long: Disconnect, then as Lost
//   stop: Disconnect, idle for good
//
// Invariants:
//   (1) At most one attempt is alive; events of an older one are ignored.
//   (2) The wait between attempts is the Backoff's, and only ack progress resets that.
//   (3) At most min(receive maximum, publishes_in_flight_max) publishes are unanswered by the broker.
//   (4) An attempt that is not online within connect_timeout is given up, whatever it hangs in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "firmware-gateway/uplink/backoff.hpp"
#include "firmware-gateway/uplink/link.hpp"
#include "proto/base/instant.hpp"
#include "proto/base/random.hpp"

namespace uplink {

struct Settings {
  // From the start of an attempt to the granted subscription: DNS, TCP, TLS, CONNACK, SUBACK.
  std::chrono::milliseconds connect_timeout{20'000};
  // The broker's own limit may be lower. Batches are large: a few of them fill any window.
  std::uint32_t publishes_in_flight_max = 16;
  BackoffLimits backoff{};
};

// What the shell does next.
struct Connect {
  Attempt attempt = 0;
};
struct Disconnect {
  Attempt attempt = 0;
};
using Output = std::variant<Connect, Disconnect>;

enum class State : std::uint8_t { idle, waiting, connecting, online };

// What became of a link event, for the machine above.
struct WentOnline {
  std::uint32_t packet_bytes_max = 0;
};
struct WentOffline {
  // The same failure as the time before: not worth another line in the log.
  bool repeated = false;
};
// A publish of so many bytes was more than the broker takes.
struct TooLarge {
  std::size_t bytes = 0;
};
using Change = std::variant<std::monostate, WentOnline, WentOffline, TooLarge>;

struct Counters {
  std::uint64_t attempts = 0;
  std::uint64_t connections = 0;
  std::uint64_t connect_timeouts = 0;
  std::uint64_t publishes = 0;
  std::uint64_t publishes_refused = 0;
};

class Uplink {
 public:
  Uplink(const Settings& settings, base::Random& random)
      : settings_(settings), random_(random), backoff_(settings.backoff) {}

  // The first attempt is due at once.
  void start(base::Now now);
  // No attempt will follow.
  void stop();
  // What the link reported, except Received, which is the sender's.
  [[nodiscard]] Change on_link(const LinkEvent& event, base::Now now);
  // Whether a message belongs to the connection that is online.
  [[nodiscard]] bool current(const Received& message) const { return online() && message.attempt == attempt_; }
  // The bridge acknowledged something new.
  void on_ack_progress() { backoff_.on_progress(); }
  // The connection looks alive but achieves nothing: end it.
  void give_up(const std::string& reason);
  // The settings of the connection changed (new certificates …): connect anew, at once.
  void renew(base::Now now);

  [[nodiscard]] bool online() const { return state_ == State::online && !leaving_; }
  // Room for one more publish. The caller then calls on_publish() for each.
  [[nodiscard]] bool may_publish() const { return online() && in_flight_ < in_flight_max_; }
  // Counts one publish; the attempt that it belongs to.
  [[nodiscard]] Attempt on_publish();

  [[nodiscard]] std::optional<Output> poll(base::Now now);
  [[nodiscard]] std::optional<base::Instant> wakeup_at() const;

  [[nodiscard]] State state() const { return state_; }
  // Since when it is online, or not.
  [[nodiscard]] base::UtcTime since() const { return since_; }
  [[nodiscard]] const std::string& last_error() const { return last_error_; }
  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  [[nodiscard]] Change on_connected(const Connected& connected, base::Now now);
  [[nodiscard]] Change on_lost(const Lost& lost, base::Now now);
  [[nodiscard]] Change on_published(const Published& published);
  void leave(std::string reason);

  Settings settings_;
  base::Random& random_;
  Backoff backoff_;
  State state_ = State::idle;
  Attempt attempt_ = 0;
  // Disconnect is due or done; its Lost has not come yet.
  bool leaving_ = false;
  bool disconnect_due_ = false;
  bool stopped_ = false;
  bool at_once_ = false;
  // waiting: the next attempt; connecting: its deadline.
  base::Instant due_{};
  std::uint32_t in_flight_ = 0;
  std::uint32_t in_flight_max_ = 0;
  base::UtcTime since_{};
  std::string last_error_;
  // Why we left, when it was our own decision: the Lost that follows tells less.
  std::string leaving_reason_;
  Counters counters_;
};

}  // namespace uplink
