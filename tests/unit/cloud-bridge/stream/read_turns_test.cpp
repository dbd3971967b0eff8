#include "cloud-bridge/stream/read_turns.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <vector>

using namespace stream;
using namespace std::chrono_literals;

namespace {

constexpr TurnLimits limits{.bytes = 1'000, .patience = 50ms};
constexpr std::size_t page_bytes = 100;

// One partition; a record a byte, so that offsets are bytes, too. Readers are told apart by where they begin.
class Readers {
 public:
  void begin(std::uint64_t reader, std::int64_t from) {
    places_[reader] = from;
    ask(reader);
  }
  void ask(std::uint64_t reader) { turns_.ask({.id = reader, .from = at(places_[reader]), .limits = {}}); }
  void leave(std::uint64_t reader) { gone_.push_back(reader); }

  // One page, or the wait for a reader that does not ask again. False: nobody is served.
  bool step() {
    auto question = turns_.take(now);
    if (!question) {
      const auto until = turns_.wait_until();
      if (!until) return false;
      now = *until;
      question = turns_.take(now);
    }
    if (!question) return false;
    if (question->from != consumer_) ++seeks;
    served.push_back(question->id);
    const std::int64_t next = question->from.at(0) + static_cast<std::int64_t>(page_bytes);
    consumer_ = at(next);
    turns_.read(consumer_, page_bytes, now);
    places_[question->id] = next;
    if (std::ranges::find(gone_, question->id) == gone_.end()) ask(question->id);
    return true;
  }

  base::Instant now{1h};
  std::vector<std::uint64_t> served;
  std::size_t seeks = 0;

 private:
  static Offsets at(std::int64_t offset) { return {{0, offset}}; }

  ReadTurns turns_{limits};
  std::map<std::uint64_t, std::int64_t> places_;
  std::vector<std::uint64_t> gone_;
  Offsets consumer_;
};

}  // namespace

TEST_CASE("turns: readers at different places cost one seek a turn, and get the same share") {
  Readers readers;
  for (std::uint64_t reader = 0; reader < 8; ++reader)
    readers.begin(reader, 1'000'000 * static_cast<std::int64_t>(reader));
  for (int page = 0; page < 800; ++page) REQUIRE(readers.step());
  CHECK(readers.seeks == 800 * page_bytes / limits.bytes);
  for (std::uint64_t reader = 0; reader < 8; ++reader) CHECK(std::ranges::count(readers.served, reader) == 100);
}

TEST_CASE("turns: who comes is served after one turn of each other one") {
  Readers readers;
  readers.begin(0, 0);
  readers.begin(1, 1'000'000);
  for (int page = 0; page < 13; ++page) REQUIRE(readers.step());
  readers.begin(2, 2'000'000);
  const auto pages_of_two_turns = 2 * limits.bytes / page_bytes;
  for (std::size_t page = 0; page < pages_of_two_turns; ++page) REQUIRE(readers.step());
  CHECK(readers.served.back() == 2);
}

TEST_CASE("turns: where nobody else waits a turn goes on") {
  Readers readers;
  readers.begin(0, 0);
  for (int page = 0; page < 100; ++page) REQUIRE(readers.step());
  CHECK(readers.seeks == 1);
}

TEST_CASE("turns: a reader that does not ask again is waited for, and not for long") {
  Readers readers;
  readers.begin(0, 0);
  readers.begin(1, 1'000'000);
  readers.leave(0);
  const auto begun = readers.now;
  REQUIRE(readers.step());
  CHECK(readers.served == std::vector<std::uint64_t>{0});
  REQUIRE(readers.step());
  CHECK(readers.served == std::vector<std::uint64_t>{0, 1});
  CHECK(readers.now - begun == limits.patience);
}

TEST_CASE("turns: a reader at its end leaves the consumer to the next at once") {
  ReadTurns turns(limits);
  turns.ask({.id = 1, .from = {{0, 1}}, .limits = {}});
  turns.ask({.id = 2, .from = {{0, 2}}, .limits = {}});
  REQUIRE(turns.take({})->id == 1);
  turns.read(std::nullopt, 10, {});
  CHECK_FALSE(turns.wait_until());
  CHECK(turns.take({})->id == 2);
}

TEST_CASE("turns: nobody asks, nobody is served") {
  ReadTurns turns(limits);
  CHECK_FALSE(turns.take({}));
  CHECK_FALSE(turns.wait_until());
}
