// LineLimiter: lets the first line of a kind pass and thins out the rest, so that an outage of hours cannot flood a
// flash disk. Pure: time is handed in.
//
// Rules, for each key:
//   (1) the first line passes at once;
//   (2) after a line that passed, none passes for an interval: 10 s, doubled with each line that passes, up to an hour;
//   (3) a line that passes says how many were held back since the one before;
//   (4) a key that stayed silent for twice its interval starts afresh;
//   (5) at most `keys_max` keys are known; all further ones share one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "proto/base/instant.hpp"

namespace platform {

class LineLimiter {
 public:
  static constexpr std::chrono::seconds interval_min{10};
  static constexpr std::chrono::seconds interval_max{3600};
  static constexpr std::size_t keys_max = 256;

  // The number of lines held back since the last one that passed, when this one may pass; nothing when it may not.
  [[nodiscard]] std::optional<std::uint64_t> admit(std::string_view key, base::Instant now);

 private:
  struct Line {
    base::Instant next_at{};
    base::Instant last_at{};
    base::Instant::duration interval{};
    std::uint64_t held_back = 0;
  };

  Line& line_of(std::string_view key);

  std::unordered_map<std::string, Line> lines_;
};

}  // namespace platform
