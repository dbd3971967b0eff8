// Tenure: the time for which the group has given us one partition, and the thread that takes it and commits to it.
//
//   taking ──confirm, fence, read──▶ owned ──submit──▶ committing ──▶ owned
//     ▲  ▲                             └──────drop──────────────────────┼──▶ gone
//     │  └──── back-off ◀── uncertain ──────────────────────────────────┤
//     └─ assigned again ◀── fenced ─────────────────────────────────────┘
//
// Invariants:
//   (1) Taking is, in this order and no other: the group confirms that we are in it; every turn's id is initialised,
//   which fences the owner before us; then the end of the progress is asked for; then it is read up to there.
//   (2) Producers take turns, and the next one begins only after the last one's commit was answered: a coordinator that
//   still finishes the last transaction holds nobody up.
//   (3) An outcome that is not certain destroys all producers, and Lost is emitted; nothing is guessed, and the next
//   Owned brings the progress that counts.
//   (4) Who was fenced takes nothing before the group assigns the partition again: two owners would fence each other
//   for ever.
//
// Threads: one of its own, which emits; calls come from the loop's thread.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "cloud-bridge/adapters/rdkafka/membership.hpp"
#include "cloud-bridge/adapters/rdkafka/producer.hpp"
#include "cloud-bridge/adapters/rdkafka/progress_reader.hpp"

namespace kafka {

inline constexpr std::size_t kTurns = 2;

using Generation = base::Strong<struct TenureGenerationTag>;  // of Owned, in one tenure

struct Owned {
  Generation generation;
  std::vector<tillstream::v1::Progress> progress;
};
struct Lost {
  std::string reason;
};
struct Committed {
  stream::TransactionId id;
};
// The last one: the thread is done.
struct Gone {};
using TenureOutput = std::variant<Owned, Lost, Committed, Gone>;

struct TenureSettings {
  Properties properties;  // the operator's
  Topics topics;
  std::int32_t partition = 0;
  MessageSizes sizes = {};
  Milliseconds transaction_limit{10'000};
  // For each step of taking.
  Milliseconds take_limit{30'000};
  Milliseconds retry_min{100};
  Milliseconds retry_max{5'000};
  // Fenced, and the group has not said for so long whose the partition is: it is asked. Who fenced us may be gone.
  Milliseconds fenced_patience{12'000};
};

enum class TenureState : std::uint8_t { taking, owned, fenced };
struct TenureStatus {
  TenureState state = TenureState::taking;
  std::string last_error;  // stays after recovery
  std::optional<base::UtcTime> last_error_at;
};

class Tenure {
 public:
  using Emit = std::function<void(TenureOutput)>;
  using Clock = std::chrono::steady_clock;

  // `membership` must outlive it. Starts taking at once.
  Tenure(TenureSettings settings, Membership& membership, std::uint64_t assignment, Emit emit);
  Tenure(const Tenure&) = delete;
  Tenure& operator=(const Tenure&) = delete;
  ~Tenure();

  // The group has given us the partition again.
  void assigned(std::uint64_t assignment);
  // One at a time. Of an older generation: ignored, Lost is on its way.
  void submit(Generation generation, stream::TransactionId id, stream::Transaction transaction);
  // Finishes the running transaction and ends; Gone follows.
  void drop();
  [[nodiscard]] TenureStatus status() const;

 private:
  struct Submitted {
    stream::TransactionId id;
    stream::Transaction transaction;
  };

  void run();
  void take();
  [[nodiscard]] std::expected<std::vector<tillstream::v1::Progress>, Ended> try_take();
  [[nodiscard]] Ended fence_all();
  // Whether it is in the stream.
  bool commit(const Submitted& submitted);
  void lose(const Ended& ended);
  void held_up(std::string why);
  // With the mutex held.
  void note(std::string error);
  [[nodiscard]] bool dropped() const;

  const TenureSettings settings_;
  Membership& membership_;
  Emit emit_;

  // The thread's own.
  std::array<std::unique_ptr<Producer>, kTurns> producers_;
  std::size_t turn_ = 0;
  // The assignment that was known when we last began what showed that the partition is ours: a taking, a commit. A
  // later one may be the group's answer to whoever fenced us since; the same one is not.
  std::uint64_t held_under_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool dropped_ = false;
  bool owned_ = false;
  bool fenced_ = false;  // until the next assignment
  std::uint64_t assignment_ = 0;
  Generation generation_;
  Milliseconds backoff_{0};
  Clock::time_point retry_at_{};
  Clock::time_point ask_group_at_{};  // while fenced
  std::optional<Submitted> submitted_;
  std::string last_error_;
  std::optional<base::UtcTime> last_error_at_;

  std::thread thread_;
};

}  // namespace kafka
