#include <fmt/format.h>

#include <algorithm>

#include "cloud-bridge/status/snapshot.hpp"

namespace status {

namespace {

double seconds(std::chrono::milliseconds time) { return static_cast<double>(time.count()) / 1000.0; }

void judge_stream(const stream::Status& stream, std::vector<Reason>& reasons) {
  if (!stream.up) {
    // Where there are shares each says for itself what keeps it away; the last error may be of long ago.
    const bool told = stream.last_error.empty() || (stream.shares && !stream.shares->empty());
    reasons.push_back(
        {"stream_down", fmt::format("the stream is down{}{}", told ? "" : ": ", told ? "" : stream.last_error)});
  } else if (!stream.blocked.empty()) {
    reasons.push_back({"stream_blocked", fmt::format("the stream takes nothing: {}", stream.blocked)});
  }
}

void judge_partition(const PartitionState& partition, const Limits& limits, std::vector<Reason>& reasons) {
  if (!partition.owned) {
    reasons.push_back(
        {"partition_not_owned", fmt::format("partition {} is not ours{}{}", partition.partition,
                                            partition.lost_reason.empty() ? "" : ": ", partition.lost_reason)});
  } else if (partition.waiting_for && *partition.waiting_for > limits.commit_stalled_after) {
    reasons.push_back({"commit_stalled", fmt::format("partition {} has waited {:.1f} s for a commit",
                                                     partition.partition, seconds(*partition.waiting_for))});
  }
}

void judge_broker(const BrokerState& broker, const Limits& limits, std::vector<Reason>& reasons) {
  if (broker.connected || !broker.offline_for || *broker.offline_for <= limits.broker_unreachable_after) return;
  reasons.push_back({"broker_unreachable",
                     fmt::format("{} has been unreachable for {:.0f} s{}{}", broker.url, seconds(*broker.offline_for),
                                 broker.last_error.empty() ? "" : ": ", broker.last_error)});
}

}  // namespace

std::vector<Reason> ill_health(const Snapshot& snapshot, const Limits& limits) {
  std::vector<Reason> reasons;
  judge_stream(snapshot.stream, reasons);
  for (const PartitionState& partition : snapshot.partitions) judge_partition(partition, limits, reasons);
  judge_broker(snapshot.broker, limits, reasons);
  if (snapshot.held_total > 0) {
    reasons.push_back(
        {"gateways_held", fmt::format("{} gateway(s) send a newer schema than this bridge knows and are held: "
                                      "upgrade the bridge",
                                      snapshot.held_total)});
  }
  if (snapshot.unreadable_total > 0) {
    reasons.push_back({"progress_unreadable",
                       fmt::format("the stored progress of {} gateway(s) cannot be read: nothing is taken from them",
                                   snapshot.unreadable_total)});
  }
  return reasons;
}

std::vector<Reason> unreadiness(const Snapshot& snapshot, const Limits& limits) {
  std::vector<Reason> reasons = ill_health(snapshot, limits);
  const bool known = std::any_of(reasons.begin(), reasons.end(),
                                 [](const Reason& reason) { return reason.code == "broker_unreachable"; });
  // A bridge that waits as a spare connects nowhere.
  const bool spare = snapshot.stream.up && snapshot.stream.shares && snapshot.stream.shares->empty();
  if (!snapshot.broker.connected && !known && !spare) {
    reasons.push_back({"broker_offline", fmt::format("no connection to {} at this moment", snapshot.broker.url)});
  }
  return reasons;
}

std::vector<Reason> alarms(const Snapshot& snapshot) {
  std::vector<Reason> reasons;
  if (snapshot.quarantined_total > 0) {
    reasons.push_back(
        {"gateways_quarantined", fmt::format("{} gateway id(s) are quarantined: each is used by two live boxes, or a "
                                             "second bridge with a stream of its own works on this broker",
                                             snapshot.quarantined_total)});
  }
  return reasons;
}

}  // namespace status
