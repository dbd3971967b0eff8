// Snapshot: what the bridge looks like at one moment, for people and machines. Health is judged by progress: a process
// that runs and moves nothing is not healthy.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cloud-bridge/bridge/counters.hpp"
#include "cloud-bridge/stream/stream.hpp"

namespace status {

struct BrokerState {
  std::string url;
  bool connected = false;
  std::optional<std::chrono::milliseconds> offline_for;  // since it was last connected, or since start
  std::optional<base::UtcTime> connected_since;
  std::string last_error;
  std::uint64_t messages_dropped = 0;  // overflow of the queue from the callback
  std::uint64_t publishes_dropped = 0;
  std::uint64_t messages_waiting = 0;
  std::uint64_t bytes_waiting = 0;
};

struct PartitionState {
  std::uint32_t partition = 0;
  bool owned = false;
  std::string lost_reason;
  std::uint64_t shards = 0;
  std::uint64_t gathered_events = 0;  // in the open transaction
  std::uint64_t committing_events = 0;
  // How long a transaction has been under way, or work has waited for one.
  std::optional<std::chrono::milliseconds> waiting_for;
};

struct GatewayState {
  std::string gateway_id;
  std::string epoch;  // hex
  std::uint64_t committed_seq = 0;
  bool quarantined = false;
  bool held = false;  // it sends a newer schema than this bridge knows
  std::optional<base::UtcTime> last_heard_at;
  std::optional<std::uint64_t> pending_events;
  std::optional<base::UtcTime> oldest_pending_at;
  std::optional<base::UtcTime> complete_until;
  std::optional<bool> clock_synced;
  std::optional<std::int32_t> certificate_days_left;
  std::string version;
};

// Rows in a status answer; gateways_total says how many there are.
inline constexpr std::size_t gateways_shown_max = 500;

struct Snapshot {
  std::string bridge_id;
  std::string version;
  base::UtcTime at;
  std::chrono::milliseconds uptime{0};
  BrokerState broker;
  std::string stream_kind;
  std::string stream_path;
  stream::Status stream;
  std::vector<PartitionState> partitions;  // this bridge's share
  std::uint64_t partitions_total = 0;      // with those of other bridges; 0: not known yet
  std::uint64_t budget_bytes = 0;
  std::uint64_t budget_bytes_used = 0;
  std::uint64_t credit_bytes = 0;  // what one gateway gets now
  std::uint64_t active_gateways = 0;
  std::uint64_t gateways_total = 0;
  std::vector<GatewayState> gateways;    // those heard last first, at most gateways_shown_max
  std::vector<std::string> quarantined;  // at most gateways_shown_max
  std::vector<std::string> held;
  std::uint64_t quarantined_total = 0;
  std::uint64_t held_total = 0;
  std::uint64_t unreadable_total = 0;  // gateways whose stored progress cannot be read
  std::uint64_t readers = 0;           // of server-sent events
  std::uint64_t readers_max = 0;
  std::uint64_t http_connections = 0;
  std::uint64_t http_refused_connections = 0;
  std::uint64_t http_displaced_connections = 0;
  std::uint64_t http_refused_requests = 0;
  bridge::Counters counters;
};

struct Limits {
  std::chrono::milliseconds broker_unreachable_after{15'000};
  std::chrono::milliseconds commit_stalled_after{10'000};
};

struct Reason {
  std::string
      code;  // stream_down, stream_blocked, partition_not_owned, broker_unreachable, commit_stalled, gateways_held …
  std::string message;  // for people
};

// Why the bridge is not healthy; empty: it is. A quarantined gateway is an alarm, not ill health of the bridge.
[[nodiscard]] std::vector<Reason> ill_health(const Snapshot& snapshot, const Limits& limits);
// Why it cannot take anything at this moment, if only for that moment: what /readyz says.
[[nodiscard]] std::vector<Reason> unreadiness(const Snapshot& snapshot, const Limits& limits);
// What the operator should look at although the bridge does its work.
[[nodiscard]] std::vector<Reason> alarms(const Snapshot& snapshot);

// GET /v1/status.
[[nodiscard]] std::string to_json(const Snapshot& snapshot, const Limits& limits);
// GET /healthz and /readyz.
[[nodiscard]] std::string health_json(const std::vector<Reason>& reasons);
// GET /metrics: Prometheus text format 0.0.4.
[[nodiscard]] std::string to_metrics(const Snapshot& snapshot, const Limits& limits);

}  // namespace status
