#include <fmt/format.h>

#include <iterator>

#include "cloud-bridge/status/snapshot.hpp"

namespace status {

namespace {

constexpr std::string_view prefix = "tillstream_bridge_";

// Prometheus text format: one family after the other, each with its HELP and TYPE.
class Exposition {
 public:
  void counter(std::string_view name, std::string_view help, std::uint64_t value) {
    family(name, "counter", help);
    sample(name, "", value);
  }
  void gauge(std::string_view name, std::string_view help, std::uint64_t value) {
    family(name, "gauge", help);
    sample(name, "", value);
  }
  void gauge_seconds(std::string_view name, std::string_view help, std::chrono::milliseconds value) {
    family(name, "gauge", help);
    fmt::format_to(out(), "{}{} {}\n", prefix, name, static_cast<double>(value.count()) / 1000.0);
  }
  void family(std::string_view name, std::string_view type, std::string_view help) {
    fmt::format_to(out(), "# HELP {0}{1} {2}\n# TYPE {0}{1} {3}\n", prefix, name, help, type);
  }
  void sample(std::string_view name, std::string_view labels, std::uint64_t value) {
    fmt::format_to(out(), "{}{}{} {}\n", prefix, name, labels, value);
  }
  void histogram(std::string_view name, std::string_view help, const bridge::Histogram& histogram) {
    family(name, "histogram", help);
    std::uint64_t up_to = 0;
    for (std::size_t i = 0; i < bridge::Histogram::bounds_us.size(); ++i) {
      up_to += histogram.in_class(i);
      fmt::format_to(out(), "{}{}_bucket{{le=\"{}\"}} {}\n", prefix, name,
                     static_cast<double>(bridge::Histogram::bounds_us[i]) / 1e6, up_to);
    }
    fmt::format_to(out(), "{0}{1}_bucket{{le=\"+Inf\"}} {2}\n{0}{1}_sum {3}\n{0}{1}_count {2}\n", prefix, name,
                   histogram.count(), static_cast<double>(histogram.sum().count()) / 1e6);
  }
  [[nodiscard]] std::string text() && { return std::move(text_); }

 private:
  std::back_insert_iterator<std::string> out() { return std::back_inserter(text_); }
  std::string text_;
};

void put_intake(Exposition& out, const bridge::Counters& counters) {
  out.counter("messages_received_total", "MQTT messages taken from the broker.", counters.messages);
  out.counter("message_bytes_received_total", "Payload bytes of those messages.", counters.message_bytes);
  out.family("handoff_messages_total", "counter", "Messages of the handoff by kind.");
  out.sample("handoff_messages_total", "{kind=\"hello\"}", counters.hellos);
  out.sample("handoff_messages_total", "{kind=\"batch\"}", counters.batches);
  out.sample("handoff_messages_total", "{kind=\"heartbeat\"}", counters.heartbeats);
  out.counter("events_received_total", "Events in batches, repeats among them.", counters.received);
  out.counter("events_repeated_total", "Events that the stream had already.", counters.repeats);
  out.counter("gaps_total", "Batches that begin beyond what is known; the gateway sends again.", counters.gaps);
  out.counter("mismatches_total", "Batches and Hellos that do not fit the stored progress.", counters.mismatches);
  out.counter("batches_held_total", "Batches of a newer schema: upgrade the bridge.", counters.held);
  out.family("messages_refused_total", "counter", "Messages that cannot be a gateway's, by reason.");
  for (std::size_t i = 0; i < counters.refused.size(); ++i) {
    out.sample("messages_refused_total",
               fmt::format("{{reason=\"{}\"}}", intake::word(static_cast<intake::Refusal>(i))), counters.refused[i]);
  }
  out.sample("messages_refused_total", "{reason=\"quarantined\"}", counters.quarantined);
  out.sample("messages_refused_total", "{reason=\"gateway_limit\"}", counters.gateways_refused);
  out.counter("messages_unowned_total", "Messages that came while their partition was not ours.", counters.unowned);
  out.counter("batches_over_budget_total", "Batches dropped because the byte budget was used up.",
              counters.over_budget);
}

void put_stream(Exposition& out, const Snapshot& snapshot) {
  const bridge::Counters& counters = snapshot.counters;
  out.counter("events_published_total", "Events given to a transaction.", counters.published);
  out.counter("records_committed_total", "Records committed to the stream, notices among them.", counters.committed);
  out.counter("transactions_total", "Transactions committed.", counters.transactions);
  out.counter("transactions_lost_total", "Transactions of unknown outcome.", counters.transactions_lost);
  out.histogram("commit_seconds", "From the begin of a transaction to its commit.", counters.commit_time);
  out.counter("epoch_switches_total", "Gateways that went on in a new epoch.", counters.epoch_switches);
  out.counter("events_lost_notices_total", "Lost ranges reported in the stream.", counters.events_lost_notices);
  out.counter("poison_records_total", "Records that a notice stands for.", counters.poison_records);
  out.counter("dead_letters_total", "Dead letters written.", counters.dead_letters);
  out.counter("dead_letters_known_total", "The same poison again, not written again.", counters.dead_letters_known);
  out.counter("quarantines_total", "Gateway ids put into quarantine.", counters.quarantines);
  out.counter("gateway_rows_total", "Rows written to the table of gateways.", counters.gateway_rows);
  out.counter("takeovers_total", "Partitions taken.", counters.takeovers);
  out.counter("partitions_lost_total", "Partitions given up.", counters.losses);
  out.gauge("stream_up", "1: the stream is up.", snapshot.stream.up ? 1 : 0);
  out.gauge("stream_blocked", "1: the stream is up and takes nothing.", snapshot.stream.blocked.empty() ? 0 : 1);
  out.gauge("stream_bytes", "Bytes of the embedded stream's files.", snapshot.stream.bytes);
  out.gauge("stream_wal_bytes", "Bytes of its write-ahead log.", snapshot.stream.wal_bytes);
  out.gauge("stream_last_position", "Position of the last record.",
            snapshot.stream.last_position ? snapshot.stream.last_position->value() : 0);
}

void put_broker(Exposition& out, const Snapshot& snapshot) {
  out.gauge("broker_connected", "1: connected and subscribed.", snapshot.broker.connected ? 1 : 0);
  out.gauge_seconds("broker_offline_seconds", "Since the broker was last connected; 0 while it is.",
                    snapshot.broker.connected ? std::chrono::milliseconds(0)
                                              : snapshot.broker.offline_for.value_or(std::chrono::milliseconds(0)));
  out.counter("broker_connects_total", "Connections made.", snapshot.counters.connects);
  out.counter("broker_connect_failures_total", "Attempts that failed, and connections that were lost.",
              snapshot.counters.connect_failures);
  out.counter("queue_dropped_total", "Messages dropped because the queue from the connection was full.",
              snapshot.broker.messages_dropped);
  out.gauge("queue_messages", "Messages waiting in that queue.", snapshot.broker.messages_waiting);
  out.gauge("queue_bytes", "Bytes waiting in that queue.", snapshot.broker.bytes_waiting);
  out.counter("acks_total", "Acks published.", snapshot.counters.acks);
  out.counter("acks_dropped_total", "Acks that the connection did not take; the next one covers them.",
              snapshot.broker.publishes_dropped);
}

void put_state(Exposition& out, const Snapshot& snapshot) {
  std::uint64_t owned = 0, awaited = 0, gathered = 0, committing = 0;
  std::chrono::milliseconds waiting{0};
  for (const PartitionState& partition : snapshot.partitions) {
    owned += partition.owned ? 1U : 0U;
    awaited += partition.owned ? 0U : 1U;
    gathered += partition.gathered_events;
    committing += partition.committing_events;
    waiting = std::max(waiting, partition.waiting_for.value_or(std::chrono::milliseconds(0)));
  }
  out.gauge("partitions_owned", "Partitions that are ours.", owned);
  out.gauge("partitions_awaited", "Partitions that should be ours and are not.", awaited);
  out.family("partition_owned", "gauge", "1: the partition is ours.");
  for (const PartitionState& partition : snapshot.partitions) {
    out.sample("partition_owned", fmt::format("{{partition=\"{}\"}}", partition.partition), partition.owned ? 1 : 0);
  }
  out.gauge("gathered_events", "Events in open transactions.", gathered);
  out.gauge("committing_events", "Events in transactions under way.", committing);
  out.gauge_seconds("commit_waiting_seconds", "How long work has waited for a commit.", waiting);
  out.gauge("budget_bytes", "The one budget of bytes between broker and stream.", snapshot.budget_bytes);
  out.gauge("budget_used_bytes", "How much of it is in use.", snapshot.budget_bytes_used);
  out.gauge("credit_bytes", "What one gateway may have under way now.", snapshot.credit_bytes);
  out.gauge("gateways", "Gateways known.", snapshot.gateways_total);
  out.gauge("gateways_active", "Gateways that sent batches lately.", snapshot.active_gateways);
  out.gauge("gateways_quarantined", "Gateway ids in quarantine.", snapshot.quarantined_total);
  out.gauge("gateways_held", "Gateways held for a newer schema.", snapshot.held_total);
  out.gauge("sse_readers", "Readers of server-sent events.", snapshot.readers);
  out.gauge("sse_readers_max", "Their limit.", snapshot.readers_max);
  out.gauge("http_connections", "Connections to the admin port.", snapshot.http_connections);
  out.counter("http_refused_connections_total", "Admin connections closed at a limit.",
              snapshot.http_refused_connections);
  out.counter("http_displaced_connections_total", "Admin connections closed at the limit to make room for a newcomer.",
              snapshot.http_displaced_connections);
  out.counter("http_refused_requests_total", "Admin requests that were malformed, oversized or too slow.",
              snapshot.http_refused_requests);
}

}  // namespace

std::string to_metrics(const Snapshot& snapshot, const Limits& limits) {
  Exposition out;
  out.family("info", "gauge", "The program's version.");
  out.sample("info", fmt::format("{{version=\"{}\"}}", snapshot.version), 1);
  out.gauge("healthy", "1: work moves. What /healthz says.", ill_health(snapshot, limits).empty() ? 1 : 0);
  out.gauge_seconds("uptime_seconds", "Since the start.", snapshot.uptime);
  put_intake(out, snapshot.counters);
  put_stream(out, snapshot);
  put_broker(out, snapshot);
  put_state(out, snapshot);
  return std::move(out).text();
}

}  // namespace status
