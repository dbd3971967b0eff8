// History: answers readers that stand anywhere in the events topic, one question after another, with a consumer that
// lives while there are questions. Readers have it in turns (cloud-bridge/stream/read_turns.hpp).
//
//   asleep ──asked──▶ placing ──▶ reading a page ──▶ asleep, the consumer kept for a while
//     │           edges asked for, offsets assigned          │
//     └── asked for what follows the last page: not placed ──┘
//
// Invariants:
//   (1) Each question is answered once, unless the history ends first: those for the end before all others.
//   (2) What a page's place asks for and the topic keeps no longer is said in the page.
//   (3) A page ends at its limits, at the readable end of every partition, or when nothing came for a while.
//
// ask() may be called from any thread; answers are given on its own one. How many may wait is the asker's limit.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <variant>

#include "cloud-bridge/adapters/rdkafka/topic_consumer.hpp"
#include "cloud-bridge/stream/read_turns.hpp"
#include "cloud-bridge/stream/stream.hpp"

namespace kafka {

struct EndQuestion {
  std::uint64_t id = 0;
  std::size_t back = 0;
};
using Answer = base::Result<std::variant<stream::ReadPage, stream::Place>, stream::ReadFailure>;

class History {
 public:
  // `id` is the question's.
  using Emit = std::function<void(std::uint64_t id, Answer answer)>;

  History(ConsumerSettings settings, Emit emit);
  History(const History&) = delete;
  History& operator=(const History&) = delete;
  ~History();

  void ask(stream::PageQuestion question);
  void ask(EndQuestion question);
  // How often the consumer went from one place to another, since the history was made.
  [[nodiscard]] std::uint64_t seeks() const { return seeks_; }

 private:
  using Clock = std::chrono::steady_clock;
  using Question = std::variant<EndQuestion, stream::PageQuestion>;

  void run();
  // None: nobody asks, or a reader is waited for.
  [[nodiscard]] std::optional<Question> take();
  void wait(std::unique_lock<std::mutex>& guard);
  void answer(const stream::PageQuestion& question);
  void answer(const EndQuestion& question);
  [[nodiscard]] base::Result<stream::ReadPage, stream::ReadFailure> read(const stream::PageQuestion& question);
  [[nodiscard]] base::Result<stream::Place, stream::ReadFailure> find_end(std::size_t back);
  [[nodiscard]] base::Result<std::int32_t, stream::ReadFailure> ask_partitions();
  [[nodiscard]] base::Result<stream::Offsets, stream::ReadFailure> ask_edge(Edge edge, std::int32_t partitions);
  // Goes to `from`; what is gone there stands in the page.
  [[nodiscard]] base::Result<void, stream::ReadFailure> place(const stream::Offsets& from, stream::ReadPage& page);
  [[nodiscard]] base::Result<void, stream::ReadFailure> fill(stream::ReadPage& page, const stream::ReadLimits& limits);
  [[nodiscard]] bool is_stopping() const;

  const ConsumerSettings settings_;
  const Emit emit_;

  // The thread's own.
  std::unique_ptr<TopicConsumer> consumer_;
  stream::Offsets next_;         // where the consumer goes on
  std::set<std::int32_t> open_;  // partitions whose readable end is not reached
  std::atomic<std::uint64_t> seeks_ = 0;

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable wake_;
  std::deque<EndQuestion> ends_asked_;
  stream::ReadTurns turns_;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace kafka
