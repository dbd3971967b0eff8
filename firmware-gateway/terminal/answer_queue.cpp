#include "firmware-gateway/terminal/answer_queue.hpp"

#include <utility>

#include "proto/base/assert.hpp"

namespace terminal {

AnswerQueue::Slot AnswerQueue::open() {
  ASSERT(!full());
  answers_.emplace_back();
  return first_ + (answers_.size() - 1);
}

void AnswerQueue::fill(Slot slot, std::string bytes) {
  ASSERT(slot >= first_ && slot - first_ < answers_.size());
  auto& answer = answers_[slot - first_];
  ASSERT(!answer);
  answer = std::move(bytes);
}

std::optional<std::string> AnswerQueue::pop() {
  if (answers_.empty() || !answers_.front()) return std::nullopt;
  std::optional<std::string> answer = std::move(answers_.front());
  answers_.pop_front();
  ++first_;
  return answer;
}

}  // namespace terminal
