// Group: Kafka's consumer group over the partitions. It is for liveness only: each member hears of a new assignment in
// its own time, so that two may believe for a while that a partition is theirs, or nobody.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "tests/sim/world/env.hpp"

namespace whole {

class Group {
 public:
  using Member = std::uint64_t;
  using Assigned = std::function<void(const std::set<std::uint32_t>&)>;

  Group(Env& env, std::uint32_t partitions) : env_(env), partitions_(partitions) {}

  // `assigned` is called with each new assignment, for as long as it is a member.
  void join(Member member, Assigned assigned) {
    members_[member] = std::move(assigned);
    rebalance(std::chrono::milliseconds(100), std::chrono::seconds(3));
  }
  // It has said goodbye, or nothing for too long.
  void remove(Member member) {
    if (members_.erase(member) > 0) rebalance(std::chrono::milliseconds(100), std::chrono::seconds(1));
  }
  [[nodiscard]] bool has(Member member) const { return members_.contains(member); }
  // Partitions move without need.
  void shuffle() {
    ++shift_;
    rebalance(std::chrono::milliseconds(1), std::chrono::milliseconds(100));
  }

 private:
  void rebalance(base::Instant::duration least, base::Instant::duration most) {
    env_.clock.after(env_.between(least, most), [this, generation = ++generation_] {
      if (generation == generation_) tell();
    });
  }
  void tell() {
    std::map<Member, std::set<std::uint32_t>> shares;
    auto next = members_.begin();
    for (std::uint64_t i = 0; !members_.empty() && i < shift_ % members_.size(); ++i) ++next;
    for (std::uint32_t partition = 0; partition < partitions_ && !members_.empty(); ++partition) {
      if (next == members_.end()) next = members_.begin();
      shares[(next++)->first].insert(partition);
    }
    for (const auto& [member, assigned] : members_) {
      env_.clock.after(env_.between(std::chrono::milliseconds(1), std::chrono::seconds(1)),
                       [share = shares[member], assigned] { assigned(share); });
    }
  }

  Env& env_;
  std::uint32_t partitions_;
  std::map<Member, Assigned> members_;
  std::uint64_t generation_ = 0;
  std::uint64_t shift_ = 0;
};

}  // namespace whole
