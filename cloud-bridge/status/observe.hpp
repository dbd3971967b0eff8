// Observation: fills the Snapshot's part that the shard groups know.
#pragma once

#include <string>
#include <vector>

#include "cloud-bridge/bridge/shard_group.hpp"
#include "cloud-bridge/status/snapshot.hpp"

namespace status {

class Observation {
 public:
  // The snapshot must outlive it.
  Observation(Snapshot& snapshot, base::Now now) : snapshot_(snapshot), now_(now) {}

  void add(bridge::ShardGroup& group);
  // After the last group: sorts, and keeps what is shown.
  void finish();

 private:
  [[nodiscard]] const stream::Share* share_of(std::uint32_t partition) const;
  void add_untaken_shares();
  void add_broker(const bridge::ShardGroup& group);
  void add_gateway(const progress::Gateway& gateway);

  Snapshot& snapshot_;
  base::Now now_;
  std::vector<const progress::Gateway*> gateways_;
  bool first_ = true;
};

}  // namespace status
