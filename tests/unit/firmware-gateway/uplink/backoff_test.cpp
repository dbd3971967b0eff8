#include "firmware-gateway/uplink/backoff.hpp"

#include <doctest/doctest.h>

#include <random>
#include <vector>

namespace {

using std::chrono::milliseconds;

class SeededRandom final : public base::Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t next() override { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

}  // namespace

TEST_CASE("backoff: no delay exceeds the cap, and the ceiling doubles from base to cap") {
  SeededRandom random(1);
  uplink::Backoff backoff({.base = milliseconds(1'000), .cap = milliseconds(120'000)});
  milliseconds ceiling(1'000);
  for (int failures = 0; failures < 200; ++failures) {
    CHECK(backoff.ceiling() == ceiling);
    const auto delay = backoff.next(random);
    CHECK(delay >= milliseconds(0));
    CHECK(delay <= ceiling);
    ceiling = std::min(ceiling * 2, milliseconds(120'000));
  }
}

TEST_CASE("backoff: full jitter spreads ten thousand gateways evenly over the whole interval") {
  SeededRandom random(2);
  std::vector<int> tenths(10, 0);
  for (int gateway = 0; gateway < 10'000; ++gateway) {
    uplink::Backoff backoff({.base = milliseconds(10'000), .cap = milliseconds(120'000)});
    const auto delay = backoff.next(random);
    ++tenths[static_cast<std::size_t>(std::min<std::int64_t>(delay.count() / 1'000, 9))];
  }
  for (const int count : tenths) {
    CHECK(count > 800);
    CHECK(count < 1'200);
  }
}

TEST_CASE("backoff: progress, and nothing else, starts it anew") {
  SeededRandom random(3);
  uplink::Backoff backoff;
  for (int i = 0; i < 5; ++i) static_cast<void>(backoff.next(random));
  CHECK(backoff.ceiling() == milliseconds(32'000));
  backoff.on_progress();
  CHECK(backoff.ceiling() == milliseconds(1'000));
}
