// AnswerQueue: the answers of one connection in the order of its requests, however they come in. Bounded: a connection
// that is full is read no further until answers have left.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>

#include "proto/base/strong.hpp"

namespace terminal {

inline constexpr std::size_t pipelined_requests_max = 256;

class AnswerQueue {
 public:
  // A request's place: 0, 1, 2 …
  using Slot = base::Strong<struct SlotTag>;

  // Takes the next place. Only when not full.
  [[nodiscard]] Slot open();
  [[nodiscard]] bool full() const { return answers_.size() >= pipelined_requests_max; }
  // Requests that are not answered, or whose answer has not been popped.
  [[nodiscard]] std::size_t size() const { return answers_.size(); }

  // Each place is filled once.
  void fill(Slot slot, std::string bytes);
  // The next answer in order, when it is there.
  [[nodiscard]] std::optional<std::string> pop();

 private:
  std::deque<std::optional<std::string>> answers_;
  Slot first_;
};

}  // namespace terminal
