// What the bridge counts. Plain numbers; cloud-bridge/status renders them.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "cloud-bridge/intake/message.hpp"

namespace bridge {

// Times in fixed classes, as Prometheus has them: each class counts what is at most its bound.
class Histogram {
 public:
  using Duration = std::chrono::microseconds;
  static constexpr std::array<Duration::rep, 14> bounds_us{250,       500,       1'000,     2'000,     5'000,
                                                           10'000,    20'000,    50'000,    100'000,   250'000,
                                                           1'000'000, 2'500'000, 5'000'000, 10'000'000};

  void add(Duration time) {
    const auto bound = std::lower_bound(bounds_us.begin(), bounds_us.end(), time.count());
    ++classes_[static_cast<std::size_t>(bound - bounds_us.begin())];
    ++count_;
    sum_ += time;
  }
  // Of one class alone; the last one is what exceeds every bound.
  [[nodiscard]] std::uint64_t in_class(std::size_t index) const { return classes_[index]; }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] Duration sum() const { return sum_; }

 private:
  std::array<std::uint64_t, bounds_us.size() + 1> classes_{};
  std::uint64_t count_ = 0;
  Duration sum_{};
};

struct Counters {
  std::uint64_t messages = 0;  // received from the broker
  std::uint64_t message_bytes = 0;
  std::uint64_t hellos = 0;
  std::uint64_t batches = 0;
  std::uint64_t heartbeats = 0;
  std::uint64_t received = 0;    // events in batches, repeats and all
  std::uint64_t published = 0;   // events given to a transaction
  std::uint64_t committed = 0;   // records that the stream has, notices and all
  std::uint64_t repeats = 0;     // events that the stream had already
  std::uint64_t gaps = 0;        // batches that begin beyond what is known
  std::uint64_t mismatches = 0;  // answered with the stored progress, or refused: foreign epoch, other digest
  std::uint64_t held = 0;        // batches of a newer schema
  std::uint64_t epoch_switches = 0;
  std::uint64_t events_lost_notices = 0;
  std::uint64_t quarantines = 0;
  std::uint64_t quarantined = 0;     // messages of gateways in quarantine
  std::uint64_t poison_records = 0;  // records that a notice stands for
  std::array<std::uint64_t, intake::refusals> refused{};
  std::uint64_t gateways_refused = 0;  // messages of gateways beyond the limit, or whose stored progress is unreadable
  std::uint64_t unowned = 0;           // messages while the partition was not ours, or of a shard that is not
  std::uint64_t over_budget = 0;       // batches dropped because the byte budget was used up
  std::uint64_t dead_letters = 0;      // written
  std::uint64_t dead_letters_known = 0;  // the same again: not written
  std::uint64_t gateway_rows = 0;
  std::uint64_t acks = 0;
  std::uint64_t transactions = 0;       // committed
  std::uint64_t transactions_lost = 0;  // of unknown outcome
  std::uint64_t takeovers = 0;
  std::uint64_t losses = 0;  // partitions given up
  std::uint64_t connects = 0;
  std::uint64_t connect_failures = 0;
  Histogram commit_time;  // begin to committed
};

}  // namespace bridge
