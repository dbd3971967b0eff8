#include "cloud-bridge/status/observe.hpp"

#include <algorithm>
#include <utility>

namespace status {

namespace {

// A gateway whose last batch of a newer schema is older than this has gone, or been mended.
constexpr std::chrono::minutes held_for{10};

std::chrono::milliseconds since(base::Instant then, base::Now now) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(now.instant - then);
}

base::UtcTime from_ms(std::int64_t ms) { return base::UtcTime(std::chrono::milliseconds(ms)); }

void put_heartbeat(GatewayState& state, const tillstream::v1::Heartbeat& heartbeat) {
  state.pending_events = heartbeat.pending_events();
  state.clock_synced = heartbeat.clock_synced();
  state.version = heartbeat.versions().program();
  if (heartbeat.has_oldest_pending_at_ms()) state.oldest_pending_at = from_ms(heartbeat.oldest_pending_at_ms());
  if (heartbeat.has_complete_until_ms()) state.complete_until = from_ms(heartbeat.complete_until_ms());
  if (heartbeat.has_certificate_days_left()) state.certificate_days_left = heartbeat.certificate_days_left();
}

bool is_held(const progress::Gateway& gateway, base::Now now) {
  return gateway.held_at && now.instant - *gateway.held_at < held_for;
}

void list(std::vector<std::string>& ids, std::uint64_t& total, const std::string& id) {
  ++total;
  if (ids.size() < gateways_shown_max) ids.push_back(id);
}

}  // namespace

const stream::Share* Observation::share_of(std::uint32_t partition) const {
  const auto& shares = snapshot_.stream.shares;
  if (!shares) return nullptr;
  const auto found = std::find_if(shares->begin(), shares->end(),
                                  [&](const stream::Share& share) { return share.partition.value() == partition; });
  return found == shares->end() ? nullptr : &*found;
}

void Observation::add(bridge::ShardGroup& group) {
  const stream::Share* const share = share_of(group.settings().partition);
  if (snapshot_.stream.shares && share == nullptr) return;  // another bridge's
  add_broker(group);
  PartitionState state{.partition = group.settings().partition,
                       .owned = group.owned() && (share == nullptr || share->owned),
                       .lost_reason = share != nullptr && !share->reason.empty() ? share->reason : group.lost_reason(),
                       .shards = group.shards().size(),
                       .gathered_events = group.gathered_events(),
                       .committing_events = group.committing_events(),
                       .waiting_for = std::nullopt};
  if (const auto waiting = group.waiting_since()) state.waiting_for = since(*waiting, now_);
  snapshot_.partitions.push_back(std::move(state));
  snapshot_.credit_bytes = std::max(snapshot_.credit_bytes, group.owned() ? group.credit() : 0);
  snapshot_.active_gateways += group.active_gateways();
  snapshot_.gateways_total += group.ledger().size();
  snapshot_.unreadable_total += group.ledger().unreadable().size();
  group.ledger().each([this](const progress::Gateway& gateway) { add_gateway(gateway); });
}

// One bad connection is enough to say so.
void Observation::add_broker(const bridge::ShardGroup& group) {
  BrokerState& broker = snapshot_.broker;
  broker.connected = (std::exchange(first_, false) || broker.connected) && group.online();
  if (!group.offline_reason().empty()) broker.last_error = group.offline_reason();
  if (group.online_since()) broker.connected_since = std::max(group.online_since(), broker.connected_since);
  if (const auto offline = group.offline_since()) {
    broker.offline_for = std::max(broker.offline_for.value_or(std::chrono::milliseconds(0)), since(*offline, now_));
  }
}

void Observation::add_gateway(const progress::Gateway& gateway) {
  const std::string& id = gateway.receiver.gateway_id();
  if (gateway.receiver.quarantined()) list(snapshot_.quarantined, snapshot_.quarantined_total, id);
  if (is_held(gateway, now_)) list(snapshot_.held, snapshot_.held_total, id);
  gateways_.push_back(&gateway);
}

// What was never taken has no group yet.
void Observation::add_untaken_shares() {
  for (const stream::Share& share : snapshot_.stream.shares.value_or(std::vector<stream::Share>())) {
    const auto seen = [&](const PartitionState& state) { return state.partition == share.partition.value(); };
    if (std::any_of(snapshot_.partitions.begin(), snapshot_.partitions.end(), seen)) continue;
    PartitionState state;
    state.partition = share.partition.value();
    state.lost_reason = share.reason;
    snapshot_.partitions.push_back(std::move(state));
  }
  std::sort(snapshot_.partitions.begin(), snapshot_.partitions.end(),
            [](const PartitionState& a, const PartitionState& b) { return a.partition < b.partition; });
}

void Observation::finish() {
  add_untaken_shares();
  const auto shown = std::min(gateways_.size(), gateways_shown_max);
  std::partial_sort(gateways_.begin(), gateways_.begin() + static_cast<std::ptrdiff_t>(shown), gateways_.end(),
                    [](const progress::Gateway* a, const progress::Gateway* b) {
                      if (a->last_heard_at != b->last_heard_at) return a->last_heard_at > b->last_heard_at;
                      return a->receiver.gateway_id() < b->receiver.gateway_id();
                    });
  gateways_.resize(shown);
  for (const progress::Gateway* gateway : gateways_) {
    GatewayState state;
    state.gateway_id = gateway->receiver.gateway_id();
    if (const auto& committed = gateway->receiver.committed()) {
      state.epoch = base::to_hex(committed->place.epoch.view());
      state.committed_seq = committed->place.seq.value();
    }
    state.quarantined = gateway->receiver.quarantined();
    state.held = is_held(*gateway, now_);
    state.last_heard_at = gateway->last_heard_at;
    if (gateway->heartbeat) put_heartbeat(state, *gateway->heartbeat);
    snapshot_.gateways.push_back(std::move(state));
  }
}

}  // namespace status
