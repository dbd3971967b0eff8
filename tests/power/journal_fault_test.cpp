// The journal on a disk that fails at every call of a gateway's story, once or for a little while, and on one that says
// it has synced and has not.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <map>

#include "firmware-gateway/adapters/sqlite/journal_thread.hpp"
#include "tests/power/extent.hpp"
#include "tests/power/gateway_story.hpp"
#include "tests/support/temp_folder.hpp"

using namespace power;
using support::DiskCall;
using support::DiskFault;
using support::DiskState;
using support::RecordedDisk;
using support::Survival;

namespace {

constexpr const char* kStateDir = "state";
// A disk that fails for a while: so many calls.
constexpr std::size_t kWhile = 3;
// At each moment, when one call alone is looked at.
constexpr std::size_t kTearsOfOne = 16;

struct Story {
  std::vector<support::DiskOperation> operations;
  std::vector<DiskCall> calls;
  std::vector<Moment> moments;
  std::optional<std::size_t> failed_at;
  int failures = 0;
};

Story told(std::uint64_t seed, int rounds, std::size_t call, DiskFault fault, std::size_t count) {
  const support::TempFolder folder;
  RecordedDisk disk(folder.path());
  if (fault != DiskFault::none) disk.fail(call, fault, count);
  GatewayStory story(disk, folder.path() / kStateDir, seed);
  story.run(rounds);
  return {disk.operations(), disk.calls(), story.moments(), disk.failed_at(), story.failures()};
}

void check_after(const DiskState& state, const Possible& possible, std::uint64_t seed) {
  const support::TempFolder folder;
  state.lay_out(folder.path());
  Gateway gateway(folder.path() / kStateDir, seed);
  const auto error = gateway.open();
  REQUIRE_MESSAGE(!error, (error ? error->detail : ""));
  CHECK(held_by(gateway.journal(), possible) != nullptr);
}

}  // namespace

TEST_CASE("faults: whichever call fails, the journal goes on, and what it answered survives a power cut right then") {
  const Extent extent = extent_wanted();
  std::map<DiskFault, std::size_t> injected;
  std::size_t cuts = 0;
  std::size_t noticed = 0;
  const auto only = only_call();
  for (std::uint64_t seed = first_seed(); seed < first_seed() + extent.stories; ++seed) {
    const std::vector<DiskCall> calls = told(seed, extent.fault_rounds, 0, DiskFault::none, 0).calls;
    REQUIRE(only.value_or(0) < calls.size());
    for (std::size_t call = only.value_or(0); call < (only ? *only + 1 : calls.size()); ++call) {
      const std::vector<DiskFault> possible = faults_of(calls[call]);
      for (std::size_t i = 0; i < possible.size(); ++i) {
        if (!only && !extent.every_fault && i != call % possible.size()) continue;
        const DiskFault fault = possible[i];
        // Of its own, so that one call alone meets the same.
        support::SeededRandom random(seed << 32U | call << 8U | i);
        const std::size_t count = random.one_in(4) ? kWhile : 1;
        CAPTURE(seed);
        CAPTURE(call);
        CAPTURE(to_string(fault));
        CAPTURE(to_string(calls[call]));
        CAPTURE(count);
        const Story story = told(seed, extent.fault_rounds, call, fault, count);
        REQUIRE(story.failed_at.has_value());
        ++injected[fault];
        noticed += story.failures > 0 ? 1U : 0U;
        const std::size_t last = story.operations.size();
        const std::size_t later = std::min(last, *story.failed_at + 2 + random.below(40));
        DiskState state;
        for (std::size_t position = 0; position <= last; ++position) {
          const bool now = position == *story.failed_at + 1 || position == later || position == last;
          if (now || (only && position > *story.failed_at && position < later)) {
            CAPTURE(position);
            const auto& books = books_at(story.moments, position);
            const std::size_t tears = only ? kTearsOfOne : 1;
            check_after(state.cut({}), books, random.next());
            for (std::size_t tear = 0; tear < tears; ++tear)
              check_after(state.cut({Survival::Unsynced::torn, random.next()}), books, random.next());
            cuts += 1 + tears;
          }
          if (position < last) state.apply(story.operations[position]);
        }
      }
    }
  }
  std::string kinds;
  for (const auto& [fault, count] : injected) kinds += fmt::format(" {} × {};", count, to_string(fault));
  fmt::print("journal, faults:{} {} of these made a step or an opening fail; {} power cuts after them\n", kinds,
             noticed, cuts);
}

TEST_CASE("faults: sectors that cannot be read are no damage yet: salvaged is when openings have tried three times") {
  const support::TempFolder folder;
  RecordedDisk disk(folder.path());
  GatewayStory story(disk, folder.path() / kStateDir, 1);
  story.run(2);
  Gateway gateway(folder.path() / kStateDir, 1);
  REQUIRE(!gateway.open());
  const std::size_t rows = gateway.journal().opened().next - gateway.journal().opened().oldest;
  const auto read = gateway.journal().read(gateway.journal().opened().oldest + rows / 2, 1, 1);
  REQUIRE(read.has_value());
  gateway.close();
  const auto name = std::filesystem::path(kStateDir) / "journal.db";
  std::ifstream file(folder.path() / name, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const base::Bytes& record = read->front().record;
  for (std::size_t at = bytes.find(record); at != std::string::npos; at = bytes.find(record, at + 1))
    disk.break_sector(name.string(), at);
  for (int opening = 0; opening < sqlite::kReadErrorsMax; ++opening) {
    const auto error = gateway.open();
    REQUIRE(error.has_value());
    CHECK(error->fault == sqlite::OpenFault::unreadable);
    CHECK(!sqlite::is_refusal(error->fault));
  }
  CHECK(gateway.notices() == 0);
  REQUIRE(!gateway.open("", true));
  REQUIRE(gateway.journal().salvaged().has_value());
  CHECK(gateway.notices() > 0);
  CHECK(gateway.journal().salvaged()->rows_kept < rows);
  CHECK(gateway.journal().salvaged()->rows_kept > 0);
}

TEST_CASE("faults: what an opening on a full disk shows is on the disk, whatever a failed fsync left in memory alone") {
  const support::TempFolder folder;
  const support::TempFolder left;
  const auto item_of = [](std::uint64_t number) {
    return journal::AppendItem{.key_hash = number,
                               .priority = journal::Priority::money,
                               .record = fmt::format("record {}", number) + std::string(number % 300, '.'),
                               .seen_through = {}};
  };
  std::uint64_t stored = 0;
  {
    RecordedDisk disk(folder.path());
    Gateway gateway(folder.path() / kStateDir, 1);
    REQUIRE(!gateway.open());
    for (; stored < 200; ++stored) {
      // With a new log, which has to grow for each row.
      if (stored == 195) REQUIRE(!gateway.open());
      const auto item = item_of(stored + 1);
      REQUIRE(gateway.journal().append({&item, 1}).has_value());
    }
    disk.fail_next(DiskCall::sync, DiskFault::input_output);
    // Its pages are new in the database: no checkpoint without room.
    auto unanswered = item_of(stored + 1);
    unanswered.record.append(20'000, '.');
    CHECK(gateway.journal().append({&unanswered, 1}).error() == journal::Error::broken);
    disk.fill(true);
    // As after a kill: closing in peace would try a checkpoint.
    disk.kill([&] { gateway.close(); });
    REQUIRE(!gateway.open());
    CHECK(gateway.journal().opened().next.value() - 1 == stored + 1);  // else this proves nothing
    const auto next = item_of(stored + 2);
    const auto refused = gateway.journal().append({&next, 1});
    REQUIRE(refused.has_value());
    CHECK(std::get<journal::Refused>(refused->front()).error == journal::Error::disk_full);
    DiskState state;
    for (const auto& operation : disk.operations()) state.apply(operation);
    state.cut({}).lay_out(left.path());
  }
  Gateway after(left.path() / kStateDir, 2);
  REQUIRE(!after.open());
  CHECK(!after.journal().salvaged());
  CHECK(after.journal().opened().next.value() - 1 == stored + 1);
  const auto next = item_of(stored + 2);
  REQUIRE(after.journal().append({&next, 1}).has_value());
}

TEST_CASE(
    "faults: rows that a failed fsync left in memory alone are all on the disk or none, whenever the power goes") {
  const support::TempFolder folder;
  std::vector<support::DiskOperation> operations;
  std::vector<base::Bytes> records;
  std::size_t answered = 0;
  std::size_t failed_at = 0;
  {
    RecordedDisk disk(folder.path());
    Gateway gateway(folder.path() / kStateDir, 1);
    REQUIRE(!gateway.open());
    const auto append = [&](std::size_t rows) {
      std::vector<journal::AppendItem> items;
      for (std::size_t i = 0; i < rows; ++i) {
        records.push_back(fmt::format("record {}", records.size() + 1) + std::string(200, '.'));
        items.push_back({.key_hash = records.size(),
                         .priority = journal::Priority::money,
                         .record = records.back(),
                         .seen_through = {}});
      }
      return gateway.journal().append(items).has_value();
    };
    REQUIRE(append(40));
    // With a log that has just begun: pages that it has not are in the database alone.
    REQUIRE(!gateway.open());
    REQUIRE(append(1));
    answered = records.size();
    disk.fail_next(DiskCall::sync, DiskFault::input_output);
    REQUIRE(!append(300));
    disk.kill([&] { gateway.close(); });
    failed_at = disk.position();
    REQUIRE(!gateway.open());
    CHECK(gateway.journal().opened().next.value() - 1 == records.size());  // else this proves nothing
    operations = disk.operations();
  }
  DiskState state;
  support::SeededRandom random(1);
  for (std::size_t position = 0; position <= operations.size(); ++position) {
    for (int tear = 0; position >= failed_at && tear < 8; ++tear) {
      CAPTURE(position);
      const support::TempFolder left;
      state.cut({Survival::Unsynced::torn, random.next()}).lay_out(left.path());
      Gateway gateway(left.path() / kStateDir, 2);
      REQUIRE(!gateway.open());
      REQUIRE(!gateway.journal().salvaged());
      const std::size_t rows = gateway.journal().opened().next.value() - 1;
      REQUIRE((rows == answered || rows == records.size()));
      const auto read = gateway.journal().read(Row(1), rows, 1U << 20U);
      REQUIRE(read.has_value());
      for (std::size_t i = 0; i < rows; ++i) REQUIRE(read->at(i).record == records[i]);
    }
    if (position < operations.size()) state.apply(operations[position]);
  }
}
