#include "cloud-bridge/progress/ledger.hpp"

#include <doctest/doctest.h>

#include "proto/platform/system.hpp"

namespace {

tillstream::v1::Progress stored(const std::string& gateway, std::uint64_t seq) {
  tillstream::v1::Progress progress;
  progress.set_gateway_id(gateway);
  progress.set_epoch(std::string(16, 'e'));
  progress.set_seq(seq);
  progress.set_digest(std::string(32, 'd'));
  return progress;
}

}  // namespace

TEST_CASE("ledger: knows after a restore exactly what the stream holds") {
  progress::Ledger ledger(platform::hasher(), {}, 10);
  ledger.restore({stored("a", 1), stored("b", 2)});
  ledger.restore({stored("b", 3), stored("c", 4)});
  CHECK(ledger.size() == 2);
  CHECK(ledger.find("a") == nullptr);
  REQUIRE(ledger.find("b") != nullptr);
  CHECK(ledger.find("b")->receiver.committed()->place.seq == handoff::Seq(3));
}

TEST_CASE("ledger: a new gateway is known with nothing committed, and never moves or goes while others come") {
  progress::Ledger ledger(platform::hasher(), {}, 1000);
  progress::Gateway* first = ledger.at("first");
  REQUIRE(first != nullptr);
  CHECK_FALSE(first->receiver.committed());
  for (int i = 0; i < 998; ++i) CHECK(ledger.at("g" + std::to_string(i)) != nullptr);
  CHECK(ledger.at("first") == first);
}

TEST_CASE("ledger: refuses one more than its limit, but keeps whatever the stream holds") {
  progress::Ledger ledger(platform::hasher(), {}, 1);
  ledger.restore({stored("a", 1), stored("b", 2)});
  CHECK(ledger.size() == 2);
  CHECK(ledger.at("c") == nullptr);
  CHECK(ledger.at("a") != nullptr);
}

TEST_CASE("ledger: a gateway whose stored progress is unreadable gets no receiver until it is restored whole") {
  progress::Ledger ledger(platform::hasher(), {}, 10);
  auto broken = stored("a", 1);
  broken.set_digest("short");
  ledger.restore({broken});
  CHECK(ledger.at("a") == nullptr);
  CHECK(ledger.unreadable().contains("a"));
  ledger.restore({stored("a", 1)});
  CHECK(ledger.at("a") != nullptr);
}
