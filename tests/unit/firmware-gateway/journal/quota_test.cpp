#include <doctest/doctest.h>

#include "firmware-gateway/journal/quota.hpp"

using journal::Admission;
using journal::Priority;
using journal::Quota;

namespace {

constexpr std::uint64_t kMiB = 1U << 20U;

}  // namespace

TEST_CASE("quota: what was admitted fits to the byte, and not one more") {
  Quota quota({100 * kMiB, 10 * kMiB});
  CHECK(quota.admit(Priority::money, 100 * kMiB - 500, 500));
  CHECK(!quota.admit(Priority::money, 100 * kMiB - 500, 501));
  Quota other({100 * kMiB, 10 * kMiB});
  CHECK(other.admit(Priority::telemetry, 90 * kMiB - 500, 500));
  CHECK(!other.admit(Priority::telemetry, 90 * kMiB - 500, 501));
  // Telemetry closed money's door not.
  CHECK(other.admit(Priority::money, 90 * kMiB, 1000));
  CHECK(other.admission(90 * kMiB) == Admission::money_only);
}

TEST_CASE("quota: a closed class opens again only when the gap is free") {
  Quota quota({128 * kMiB, 0});
  const std::uint64_t gap = 4 * kMiB;
  CHECK(!quota.admit(Priority::money, 128 * kMiB, 1));
  CHECK(!quota.admit(Priority::money, 128 * kMiB - gap, 1));
  CHECK(quota.admission(128 * kMiB - gap + 1) == Admission::closed);
  CHECK(quota.admit(Priority::money, 128 * kMiB - gap - 1, 1));
  // Open again, it goes to the edge.
  CHECK(quota.admit(Priority::money, 128 * kMiB - 1, 1));
}

TEST_CASE("quota: presses before anything is refused") {
  Quota quota({128 * kMiB, 16 * kMiB});
  std::uint64_t used = 0;
  while (!quota.presses(used)) used += kMiB;
  CHECK(quota.admission(used) == Admission::open);
  CHECK(used < 112 * kMiB);
}

TEST_CASE("quota: a reserve larger than the quota leaves no room for telemetry, and breaks nothing") {
  Quota quota({16 * kMiB, 32 * kMiB});
  CHECK(!quota.admit(Priority::telemetry, 0, 1));
  CHECK(quota.admit(Priority::money, 0, 1));
}
