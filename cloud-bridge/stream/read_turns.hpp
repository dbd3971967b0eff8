// ReadTurns: in which order one consumer serves readers that stand at different places. To go from one place to another
// is dear: the brokers are asked about it, and what was fetched ahead is lost. So each reader has the consumer for a
// turn of many pages.
//
//   free ──take──▶ in a turn ──read──▶ the same reader's next question is waited for ──take──▶ in a turn
//                    └── its bytes are used up, it has come to its end, or does not ask again soon ──▶ free
//
// Invariants:
//   (1) Whoever waits is served after no more than one turn of each other reader.
//   (2) A reader that does not ask again holds nobody up for longer than `patience`.
//   (3) Where nobody else waits a turn goes on.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "cloud-bridge/stream/offsets.hpp"
#include "cloud-bridge/stream/stream.hpp"
#include "proto/base/instant.hpp"

namespace stream {

struct TurnLimits {
  std::size_t bytes = 1024 * 1024;         // of values; the page that reaches it ends the turn
  std::chrono::milliseconds patience{50};  // about half of what it costs to go elsewhere
};

struct PageQuestion {
  std::uint64_t id = 0;
  Offsets from;
  ReadLimits limits;
};

class ReadTurns {
 public:
  explicit ReadTurns(TurnLimits limits = {}) : limits_(limits) {}

  void ask(PageQuestion question) { waiting_.push_back(std::move(question)); }
  [[nodiscard]] bool empty() const { return waiting_.empty(); }
  // Who is served now. None: nobody asks, or see wait_until().
  [[nodiscard]] std::optional<PageQuestion> take(base::Instant now);
  // What was taken last is answered: its reader goes on at `next`. None: there is nothing more for it now.
  void read(std::optional<Offsets> next, std::size_t bytes, base::Instant now);
  // When those that wait are served although the reader whose turn it is has not asked again.
  [[nodiscard]] std::optional<base::Instant> wait_until() const;

 private:
  TurnLimits limits_;
  std::deque<PageQuestion> waiting_;
  std::optional<Offsets> next_;  // of the reader whose turn it is
  std::size_t bytes_ = 0;        // that it has read in this turn
  base::Instant until_;          // it is waited for
};

}  // namespace stream
