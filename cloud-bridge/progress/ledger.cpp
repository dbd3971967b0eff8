#include "cloud-bridge/progress/ledger.hpp"

#include <algorithm>
#include <utility>

namespace progress {

void Gateway::settle_pending() {
  const auto& committed = receiver.committed();
  if (!heartbeat || !committed || heartbeat->epoch() != committed->place.epoch.view()) return;
  const std::uint64_t seq = committed->place.seq.value();
  if (seq <= heartbeat->committed_seq()) return;
  const std::uint64_t since = seq - heartbeat->committed_seq();
  heartbeat->set_committed_seq(seq);
  heartbeat->set_pending_events(heartbeat->pending_events() - std::min(since, heartbeat->pending_events()));
  heartbeat->clear_pending_amounts();
  heartbeat->clear_oldest_pending_at_ms();
}

void Ledger::restore(const std::vector<tillstream::v1::Progress>& stored) {
  forget();
  gateways_.reserve(stored.size());
  for (const tillstream::v1::Progress& wire : stored) {
    std::optional<handoff::Progress> progress = handoff::from_wire(wire);
    if (!progress) {
      unreadable_.insert(wire.gateway_id());
      continue;
    }
    gateways_.try_emplace(wire.gateway_id(), hasher_, wire.gateway_id(), settings_, std::move(progress));
  }
}

void Ledger::forget() {
  gateways_.clear();
  unreadable_.clear();
}

Gateway* Ledger::find(const std::string& gateway_id) {
  const auto found = gateways_.find(gateway_id);
  return found == gateways_.end() ? nullptr : &found->second;
}

Gateway* Ledger::at(const std::string& gateway_id) {
  if (Gateway* known = find(gateway_id)) return known;
  if (gateways_.size() >= gateways_max_ || unreadable_.contains(gateway_id)) return nullptr;
  return &gateways_.try_emplace(gateway_id, hasher_, gateway_id, settings_, std::nullopt).first->second;
}

}  // namespace progress
