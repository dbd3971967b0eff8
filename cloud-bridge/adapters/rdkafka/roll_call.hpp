// RollCall: asks the group, three times a session, whether it counts this bridge among its members, on a thread and
// with a client of its own. librdkafka says nothing when a member's heartbeats find nobody, and revokes nothing before
// the group is back: without this a bridge that is cut off would not know it.
//
//   waiting ──expect──▶ heard ──no yes for a session──▶ silent ──a yes, or expect──▶ heard …
//
// Threads: one of its own, which emits; expect() may be called from any.
#pragma once

#include <chrono>
#include <condition_variable>
#include <expected>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>

#include "cloud-bridge/adapters/rdkafka/client.hpp"

namespace kafka {

// The group may have given to others what was ours.
struct Silent {
  std::string reason;
};
// It counts us in again.
struct Heard {};
using RollCallOutput = std::variant<Silent, Heard>;

struct RollCallSettings {
  Properties properties;  // the operator's
  std::string group;
  Milliseconds session_timeout{6'000};
};

class RollCall {
 public:
  using Emit = std::function<void(RollCallOutput)>;

  static std::expected<std::unique_ptr<RollCall>, std::string> make(RollCallSettings settings, Emit emit);
  RollCall(const RollCall&) = delete;
  RollCall& operator=(const RollCall&) = delete;
  // Waits for the answer to the present question: a third of a session, or 4 s.
  ~RollCall();

  // The group has just given us our share under this id.
  void expect(std::string member_id);

 private:
  using Clock = std::chrono::steady_clock;

  RollCall(RollCallSettings settings, Handle client, Emit emit);
  void run();
  // The error: why that is not certain.
  [[nodiscard]] std::expected<void, std::string> ask(const std::string& member_id) const;
  void judge(const std::string& reason);

  const RollCallSettings settings_;
  const Handle client_;
  Emit emit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::string member_id_;         // empty: nothing is asked
  Clock::time_point heard_at_{};  // when the last question was asked that was answered by yes
  Clock::time_point ask_at_{};
  bool silent_ = false;  // as it was emitted

  std::thread thread_;
};

}  // namespace kafka
