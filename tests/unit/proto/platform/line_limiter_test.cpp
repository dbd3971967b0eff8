#include "proto/platform/line_limiter.hpp"

#include <doctest/doctest.h>

#include <string>

using base::Instant;
using platform::LineLimiter;
using std::chrono::hours;
using std::chrono::seconds;

namespace {
constexpr Instant kStart{hours(1000)};
}

TEST_CASE("line limiter: the first line passes, the next are held back and counted") {
  LineLimiter limiter;
  CHECK(limiter.admit("a", kStart) == 0);
  CHECK_FALSE(limiter.admit("a", kStart + seconds(1)));
  CHECK_FALSE(limiter.admit("a", kStart + seconds(9)));
  CHECK(limiter.admit("a", kStart + seconds(10)) == 2);
}

TEST_CASE("line limiter: keys are independent") {
  LineLimiter limiter;
  CHECK(limiter.admit("a", kStart) == 0);
  CHECK(limiter.admit("b", kStart) == 0);
}

TEST_CASE("line limiter: a day of an outage, ten lines a second, leaves at most 40 lines") {
  LineLimiter limiter;
  std::uint64_t passed = 0;
  std::uint64_t held_back = 0;
  std::uint64_t tried = 0;
  for (Instant now = kStart; now < kStart + hours(24); now += std::chrono::milliseconds(100)) {
    ++tried;
    if (const auto count = limiter.admit("a", now)) {
      ++passed;
      held_back += *count;
    }
  }
  CHECK(passed <= 40);
  CHECK(passed >= 24);
  CHECK(passed + held_back > tried - 40'000);  // all but those of the last hour are accounted for
}

TEST_CASE("line limiter: a key that stayed silent starts afresh") {
  LineLimiter limiter;
  CHECK(limiter.admit("a", kStart) == 0);
  CHECK(limiter.admit("a", kStart + seconds(15)) == 0);  // the interval is 20 s now
  CHECK_FALSE(limiter.admit("a", kStart + seconds(30)));
  CHECK(limiter.admit("a", kStart + seconds(30 + 40)) == 1);
  CHECK(limiter.admit("a", kStart + seconds(30 + 40 + 10)) == 0);  // 10 s again, not 40
}

TEST_CASE("line limiter: its memory is bounded, and what it does not know shares one key") {
  LineLimiter limiter;
  std::size_t passed = 0;
  for (std::size_t i = 0; i < 10 * LineLimiter::keys_max; ++i) {
    if (limiter.admit(std::to_string(i), kStart)) ++passed;
  }
  CHECK(passed == LineLimiter::keys_max + 1);
}
