#include "cloud-bridge/stream/read_turns.hpp"

#include <algorithm>
#include <utility>

namespace stream {

std::optional<PageQuestion> ReadTurns::take(base::Instant now) {
  if (waiting_.empty()) return std::nullopt;
  const bool used_up = bytes_ >= limits_.bytes;
  const auto goes_on = [this](const PageQuestion& question) { return next_ == question.from; };
  auto chosen = std::ranges::find_if(waiting_, goes_on);
  const auto elsewhere = std::ranges::find_if_not(waiting_, goes_on);
  if (chosen == waiting_.end() && next_ && !used_up && now < until_) return std::nullopt;
  if (chosen == waiting_.end() || (used_up && elsewhere != waiting_.end())) {
    chosen = elsewhere;
    bytes_ = 0;
  }
  next_.reset();
  PageQuestion question = std::move(*chosen);
  waiting_.erase(chosen);
  return question;
}

void ReadTurns::read(std::optional<Offsets> next, std::size_t bytes, base::Instant now) {
  next_ = std::move(next);
  bytes_ += bytes;
  until_ = now + limits_.patience;
}

std::optional<base::Instant> ReadTurns::wait_until() const {
  return next_ && !waiting_.empty() ? std::optional(until_) : std::nullopt;
}

}  // namespace stream
