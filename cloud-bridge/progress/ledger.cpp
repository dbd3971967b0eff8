#include "cloud-bridge/progress/ledger.hpp"

#include <utility>

namespace progress {

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
