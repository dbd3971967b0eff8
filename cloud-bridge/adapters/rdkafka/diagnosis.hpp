// Diagnosis: while something keeps us from working, asks the brokers again and again what it may be, on a thread of its
// own. A transaction that fails, or a partition that cannot be taken, says of that mostly that it took too long.
//
//   content ──want(true)──▶ wanted ──patience──▶ asking ──▶ emitted ──interval──▶ asking …
//      ▲                                                  │
//      └────────────────────want(false)───────────────────┘
//
// Threads: one of its own, which emits; want() may be called from any.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "cloud-bridge/adapters/rdkafka/topics.hpp"

namespace kafka {

class Diagnosis {
 public:
  using Emit = std::function<void(std::string cause)>;

  // The settings' limit is for each question: it is how long the end of us may take.
  Diagnosis(TopicsSettings settings, Emit emit);
  Diagnosis(const Diagnosis&) = delete;
  Diagnosis& operator=(const Diagnosis&) = delete;
  ~Diagnosis();

  void want(bool wanted);

 private:
  using Clock = std::chrono::steady_clock;

  void run();

  const TopicsSettings settings_;
  Emit emit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool wanted_ = false;
  Clock::time_point ask_at_{};  // while wanted
  std::thread thread_;
};

}  // namespace kafka
