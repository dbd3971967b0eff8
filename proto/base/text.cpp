#include "proto/base/text.hpp"

#include <algorithm>
#include <vector>

namespace base {
namespace {

// Restricted Damerau-Levenshtein distance (neighbouring letters swapped count once).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + cost});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

// Among those nearer than `limit`.
std::string_view best_of(std::string_view word, std::span<const std::string_view> known, std::size_t limit) {
  std::string_view best;
  std::size_t best_distance = limit;
  for (const std::string_view candidate : known) {
    if (const std::size_t d = distance(word, candidate); d < best_distance) {
      best = candidate;
      best_distance = d;
    }
  }
  return best;
}

}  // namespace

std::string to_rfc3339(UtcTime time) {
  time = UtcTime(std::chrono::milliseconds(std::clamp(time.time_since_epoch().count(), rfc3339_min, rfc3339_max)));
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::string text = "0000-00-00T00:00:00.000Z";
  const auto put = [&text](std::size_t first, std::size_t digits, auto number) {
    for (std::size_t at = first + digits; at > first; number /= 10) text[--at] = static_cast<char>('0' + number % 10);
  };
  put(0, 4, static_cast<int>(date.year()));
  put(5, 2, static_cast<unsigned>(date.month()));
  put(8, 2, static_cast<unsigned>(date.day()));
  put(11, 2, clock.hours().count());
  put(14, 2, clock.minutes().count());
  put(17, 2, clock.seconds().count());
  put(20, 3, clock.subseconds().count());
  return text;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> known) {
  return best_of(word, known, std::max<std::size_t>(1, word.size() / 3) + 1);
}

std::string_view closest(std::string_view word, std::span<const std::string_view> known) {
  return best_of(word, known, std::string_view::npos);
}

}  // namespace base
