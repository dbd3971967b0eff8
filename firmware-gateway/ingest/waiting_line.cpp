#include "firmware-gateway/ingest/waiting_line.hpp"

#include <algorithm>
#include <utility>

namespace ingest {

bool WaitingLine::fits(const Waiting& waiting) const {
  return events_ < limits_.events && bytes_ + waiting.bytes <= limits_.bytes;
}

std::vector<Waiting> WaitingLine::push(Waiting waiting) {
  std::vector<Waiting> refused;
  const auto own = lanes_.find(waiting.event.terminal_id());
  const std::size_t own_events = own == lanes_.end() ? 0 : own->second.size();
  while (!fits(waiting)) {
    // Nobody gives way for what could never fit.
    Lane* const longest = waiting.bytes > limits_.bytes ? nullptr : longest_beyond(own_events);
    if (longest == nullptr) {
      refused.push_back(std::move(waiting));
      return refused;
    }
    refused.push_back(take(*longest, true));
  }
  ++events_;
  bytes_ += waiting.bytes;
  lanes_[waiting.event.terminal_id()].push_back(std::move(waiting));
  return refused;
}

WaitingLine::Lane* WaitingLine::longest_beyond(std::size_t events) {
  const auto longest = std::ranges::max_element(lanes_, {}, [](const auto& lane) { return lane.second.size(); });
  return longest == lanes_.end() || longest->second.size() < events + 2 ? nullptr : &longest->second;
}

Waiting WaitingLine::take(Lane& lane, bool youngest) {
  Waiting waiting = std::move(youngest ? lane.back() : lane.front());
  youngest ? lane.pop_back() : lane.pop_front();
  --events_;
  bytes_ -= waiting.bytes;
  return waiting;
}

std::optional<Waiting> WaitingLine::pop() {
  if (lanes_.empty()) return std::nullopt;
  auto lane = lanes_.upper_bound(last_served_);
  if (lane == lanes_.end()) lane = lanes_.begin();
  Waiting waiting = take(lane->second, false);
  last_served_ = lane->first;
  if (lane->second.empty()) lanes_.erase(lane);
  return waiting;
}

std::vector<Waiting> WaitingLine::drain() {
  std::vector<Waiting> all;
  while (auto waiting = pop()) all.push_back(std::move(*waiting));
  return all;
}

}  // namespace ingest
