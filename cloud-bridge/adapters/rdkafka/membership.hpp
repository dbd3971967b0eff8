// Membership: this bridge's seat in the group of bridges that share the progress topic. The group says which partitions
// are to be ours, and takes them from a bridge that does not answer any more. It is about liveness only: that two never
// write is the producers' fencing.
//
//   joining ──assigned──▶ member ──(others come or go)──▶ assigned anew ──leave──▶ gone
//
// Every assignment is emitted whole, also one that changes nothing: the owner compares. A revocation is not: what stays
// ours goes on working through it. Nothing is ever consumed here.
//
// Threads: one of its own, which emits. confirm() and rejoin() may be called from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "cloud-bridge/adapters/rdkafka/client.hpp"

namespace kafka {

struct Assignment {
  std::uint64_t number = 0;  // 1, 2, 3 …
  std::string member_id;     // ours, as the group knows it
  std::vector<std::int32_t> partitions;
};

// The group does not take us, or not any more; it is tried again.
struct Outside {
  std::string reason;
};
// We have left, or never joined; the last one.
struct Left {};
using MembershipOutput = std::variant<Assignment, Outside, Left>;

struct MembershipSettings {
  Properties properties;  // the operator's
  std::string group;
  std::string topic;
  std::string member;  // for people: this bridge's id
  Milliseconds session_timeout{6'000};
};

class Membership {
 public:
  using Emit = std::function<void(MembershipOutput)>;

  static std::expected<std::unique_ptr<Membership>, std::string> make(MembershipSettings settings, Emit emit);
  Membership(const Membership&) = delete;
  Membership& operator=(const Membership&) = delete;
  // Waits until the group has been left, or cannot be.
  ~Membership();

  std::expected<void, std::string> join();
  // Asks the coordinator whether we are still in the group's present generation, and it is one that gives us the
  // partition. A bridge that has slept learns here that it is out, before it fences the one that took over.
  [[nodiscard]] std::expected<void, std::string> confirm(std::int32_t partition, Milliseconds limit,
                                                         const std::function<bool()>& stop);
  // Asks the group to say anew what is ours; an assignment follows. Any thread.
  void rejoin() { rejoin_ = true; }
  // Gives all partitions back at once, instead of letting the others wait for our silence. Left follows: on a line that
  // does not answer only after librdkafka has given up its requests, a minute or more.
  void leave();

 private:
  Membership(MembershipSettings settings, Emit emit) : settings_(std::move(settings)), emit_(std::move(emit)) {}
  static void on_rebalance(rd_kafka_t* client, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t* partitions,
                           void* opaque);
  [[nodiscard]] std::expected<void, std::string> subscribe();
  void assigned(rd_kafka_topic_partition_list_t* partitions);
  void revoked();
  void attend();
  // The number of the assignment that gives us the partition now; none while there is none.
  [[nodiscard]] std::optional<std::uint64_t> assignment_of(std::int32_t partition) const;

  MembershipSettings settings_;
  Emit emit_;
  mutable std::mutex mutex_;
  Assignment assignment_;  // without partitions while they are being shared out anew
  std::atomic<bool> leaving_ = false;
  std::atomic<bool> rejoin_ = false;
  Handle client_;
  std::thread thread_;
};

}  // namespace kafka
