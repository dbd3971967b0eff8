#include "proto/platform/line_limiter.hpp"

#include <algorithm>
#include <utility>

namespace platform {

LineLimiter::Line& LineLimiter::line_of(std::string_view key) {
  const std::string name(key);
  if (const auto found = lines_.find(name); found != lines_.end()) return found->second;
  return lines_[lines_.size() < keys_max ? name : std::string()];
}

std::optional<std::uint64_t> LineLimiter::admit(std::string_view key, base::Instant now) {
  Line& line = line_of(key);
  const bool fresh = line.interval == base::Instant::duration::zero() || now - line.last_at >= 2 * line.interval;
  line.last_at = now;
  if (!fresh && now < line.next_at) {
    ++line.held_back;
    return std::nullopt;
  }
  line.interval = fresh ? base::Instant::duration(interval_min)
                        : std::min(2 * line.interval, base::Instant::duration(interval_max));
  line.next_at = now + line.interval;
  return std::exchange(line.held_back, 0);
}

}  // namespace platform
