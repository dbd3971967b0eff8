// The embedded stream on a disk that fails at every call of a bridge's story, once or for a little while, and power
// cuts afterwards.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <bit>
#include <map>

#include "tests/power/extent.hpp"
#include "tests/power/stream_story.hpp"
#include "tests/support/stream/stream_db.hpp"
#include "tests/support/temp_folder.hpp"

using namespace power;
using support::DiskCall;
using support::DiskFault;
using support::DiskState;
using support::RecordedDisk;
using support::Survival;

namespace {

// A disk that fails for a while: so many calls.
constexpr std::size_t kWhile = 3;

void check_after(const DiskState& state, const PossibleBooks& possible) {
  const support::TempFolder folder;
  state.lay_out(folder.path());
  Bridge bridge(folder.path());
  const auto error = bridge.open();
  REQUIRE_MESSAGE(!error, words_of(error));
  auto after = *held_by(bridge.file(), possible);
  REQUIRE(bridge.file().commit(next_transaction(after, 1, 1)).has_value());
}

// At every moment, or 1, 4, 16 … after the fault, and at the end.
bool is_cut_at(std::size_t position, std::size_t failed_at, std::size_t last, bool everywhere) {
  if (position <= failed_at) return false;
  const std::size_t since = position - failed_at;
  const bool is_power_of_4 = std::has_single_bit(since) && std::countr_zero(since) % 2 == 0;
  return everywhere || position == last || is_power_of_4;
}

}  // namespace

TEST_CASE("faults: whichever call fails, the stream goes on, and what it committed survives a power cut right then") {
  const Extent extent = extent_wanted();
  const std::vector<DiskCall> calls = told(extent.fault_rounds).calls;
  std::map<DiskFault, std::size_t> injected;
  std::size_t cuts = 0;
  std::size_t noticed = 0;
  support::SeededRandom random(1);
  for (std::size_t call = 0; call < calls.size(); ++call) {
    const std::vector<DiskFault> possible = faults_of(calls[call]);
    for (std::size_t i = 0; i < possible.size(); ++i) {
      if (!extent.every_fault && i != call % possible.size()) continue;
      const DiskFault fault = possible[i];
      const std::size_t count = random.one_in(4) ? kWhile : 1;
      CAPTURE(call);
      CAPTURE(to_string(calls[call]));
      CAPTURE(to_string(fault));
      CAPTURE(count);
      const Story story = told(extent.fault_rounds, call, fault, count);
      REQUIRE(story.failed_at.has_value());
      ++injected[fault];
      noticed += story.failures > 0 ? 1U : 0U;
      const std::size_t last = story.operations.size();
      DiskState state;
      for (std::size_t position = 0; position <= last; ++position) {
        if (is_cut_at(position, *story.failed_at, last, extent.every_moment)) {
          CAPTURE(position);
          const bool torn = random.one_in(2);
          check_after(state.cut({torn ? Survival::Unsynced::torn : Survival::Unsynced::dropped, random.next()}),
                      books_at(story.moments, position));
          ++cuts;
        }
        if (position < last) state.apply(story.operations[position]);
      }
    }
  }
  std::string kinds;
  for (const auto& [fault, count] : injected) kinds += fmt::format(" {} × {};", count, to_string(fault));
  fmt::print("stream, faults:{} {} of these made a step or an opening fail; {} power cuts after them\n", kinds, noticed,
             cuts);
}

TEST_CASE("faults: the log's name is on the disk with the first commit, though SQLite passes over its own sync of it") {
  std::vector<DiskCall> calls;
  {
    const support::TempFolder folder;
    RecordedDisk disk(folder.path());
    REQUIRE(!Bridge(folder.path()).open());
    calls = disk.calls();
  }
  for (std::size_t call = 0; call < calls.size(); ++call) {
    if (calls[call] != DiskCall::open && calls[call] != DiskCall::sync_folder) continue;
    CAPTURE(call);
    const support::TempFolder folder;
    DiskState state;
    StreamBooks books;
    {
      RecordedDisk disk(folder.path());
      disk.fail(call, DiskFault::input_output);
      Bridge bridge(folder.path());
      if (bridge.open()) REQUIRE(!bridge.open());
      REQUIRE(bridge.file().commit(next_transaction(books, 2, 2)).has_value());
      for (const auto& operation : disk.operations()) state.apply(operation);
    }
    check_after(state.cut({}), {std::make_shared<StreamBooks>(books)});
  }
}

TEST_CASE(
    "faults: what a failed sync left in memory alone is on the disk as a whole or not at all, and when it is shown") {
  bool with_reader = false;
  SUBCASE("nobody reads") {}
  SUBCASE("a reader holds a snapshot of it") { with_reader = true; }
  const support::TempFolder folder;
  StreamBooks books;
  PossibleBooks possible;
  std::size_t failed_at = 0;
  std::size_t opened_at = 0;
  std::vector<support::DiskOperation> operations;
  {
    RecordedDisk disk(folder.path());
    Bridge bridge(folder.path());
    REQUIRE(!bridge.open());
    REQUIRE(bridge.file().commit(next_transaction(books, 2, 20)).has_value());
    possible.push_back(std::make_shared<StreamBooks>(books));
    // With a log that has just begun: pages that it has not are in the database alone.
    bridge.file().finish();
    REQUIRE(!bridge.open());
    disk.fail_next(DiskCall::sync, DiskFault::input_output);
    REQUIRE(!bridge.file().commit(next_transaction(books, 3, 100)).has_value());
    possible.push_back(std::make_shared<StreamBooks>(books));
    disk.kill([&] { bridge.close(); });
    failed_at = disk.position();
    std::optional<test::ForeignConnection> reader;
    if (with_reader) disk.undisturbed([&] { reader.emplace(bridge.path()).hold_snapshot(); });
    REQUIRE(!bridge.open());
    CHECK(held_by(bridge.file(), possible) == possible.back());  // else this proves nothing
    opened_at = disk.position();
    if (reader) CHECK(reader->text("SELECT count(*) FROM events") == std::to_string(books.values.size()));
    disk.kill([&] { bridge.close(); });
    operations = disk.operations();
  }
  support::SeededRandom random(1);
  DiskState state;
  for (std::size_t position = 0; position <= operations.size(); ++position) {
    const PossibleBooks& may_be = position < opened_at ? possible : PossibleBooks{possible.back()};
    CAPTURE(position);
    for (int tear = 0; position >= failed_at && tear < 8; ++tear)
      check_after(state.cut({Survival::Unsynced::torn, random.next()}), may_be);
    if (position >= failed_at) check_after(state.cut({}), may_be);
    if (position < operations.size()) state.apply(operations[position]);
  }
}
