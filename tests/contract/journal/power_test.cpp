// A disk that loses power, fails or is full: proved by forgetting what was not synced.
#include <doctest/doctest.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "tests/contract/journal/fixtures.hpp"
#include "tests/support/journal_disk.hpp"

using namespace support;
using journal::Error;
using journal::Row;

namespace {

// Appends groups until the power goes; how many rows append() had returned.
std::uint64_t append_until_cut(SqliteFixture& fixture, std::uint64_t first) {
  std::uint64_t stored = first - 1;
  while (!journal_disk().power_is_cut()) {
    std::vector<journal::AppendItem> group;
    for (std::uint64_t n = stored + 1; n <= stored + 40; ++n) group.push_back(item_of(n));
    const auto outcomes = fixture.journal().append(group);
    if (!outcomes) break;
    stored += 40;
    if (stored % 200 == 0) {
      fixture.journal().remember_acked(plain_mark(stored / 2), at_second(0));
      static_cast<void>(fixture.journal().flush());
    }
  }
  return stored;
}

class PowerFixture : public SqliteFixture {
 public:
  PowerFixture() {
    close();
    journal_disk().heal();
    settings().vfs = JournalDisk::name();
  }
  ~PowerFixture() {
    close();
    journal_disk().heal();
  }
};

}  // namespace

TEST_CASE("power: cut at any write or sync, all that append returned is there; unsynced sectors may be torn") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    PowerFixture fixture;
    SeededRandom random(seed);
    std::uint64_t stored = 0;
    for (int cut = 0; cut < 3; ++cut) {
      fixture.reopen();
      CHECK(!fixture.journal().salvaged());
      const auto rows = read_all(fixture.journal());
      REQUIRE(rows.size() >= stored);
      for (std::uint64_t n = 1; n <= rows.size(); ++n) REQUIRE(rows[n - 1].record == record_of(n));
      journal_disk().cut_power_after(1 + random.below(900));
      stored = append_until_cut(fixture, rows.size() + 1);
      fixture.close();
      // Odd seeds tear.
      journal_disk().forget_unsynced(seed % 2 == 0 ? 0 : random.next());
      journal_disk().heal();
    }
    fixture.reopen();
    CHECK(!fixture.journal().salvaged());
    CHECK(read_all(fixture.journal()).size() >= stored);
  }
}

TEST_CASE("power: an epoch attempt is there once start_epoch has returned") {
  for (std::uint64_t operations = 1; operations < 12; ++operations) {
    CAPTURE(operations);
    PowerFixture fixture;
    fixture.reopen();
    append_rows(fixture.journal(), 1, 10);
    handoff::EpochStart attempt{{}, Row(5), false, std::nullopt, std::nullopt};
    attempt.epoch.bytes[0] = 7;
    journal_disk().cut_power_after(operations);
    const bool stored = fixture.journal().start_epoch(attempt, std::nullopt).has_value();
    fixture.close();
    journal_disk().forget_unsynced(0);
    journal_disk().heal();
    fixture.reopen();
    if (stored) CHECK(fixture.journal().opened().epoch == attempt);
    CHECK(read_all(fixture.journal()).size() == 10);
  }
}

TEST_CASE("power: a failed fsync breaks the journal for good; opened anew it has all that was told") {
  PowerFixture fixture;
  fixture.reopen();
  append_rows(fixture.journal(), 1, 10);
  journal_disk().fail_syncs(1);
  const auto item = item_of(11);
  CHECK(fixture.journal().append({&item, 1}).error() == Error::broken);
  // The next sync would succeed; it is not asked.
  CHECK(fixture.journal().append({&item, 1}).error() == Error::broken);
  CHECK(fixture.journal().flush().error() == Error::broken);
  CHECK(fixture.journal().trim(at_second(0)).error() == Error::broken);
  CHECK(fixture.journal().read(Row(1), 1, 1).error() == Error::broken);
  fixture.close();
  fixture.reopen();
  const auto rows = read_all(fixture.journal());
  CHECK(rows.size() >= 10);
  CHECK(rows.size() <= 11);
}

TEST_CASE("power: what an opening on a full disk shows is on the disk, whatever a failed fsync left in memory alone") {
  PowerFixture fixture;
  fixture.reopen();
  append_rows(fixture.journal(), 1, 200, 10);
  journal_disk().fail_syncs(1);
  const auto item = item_of(201);
  CHECK(fixture.journal().append({&item, 1}).error() == Error::broken);
  journal_disk().fill(true);
  fixture.close();
  fixture.reopen();
  const std::size_t shown = read_all(fixture.journal()).size();
  CHECK(shown == 201);  // else this proves nothing
  const auto next = item_of(202);
  const auto refused = fixture.journal().append({&next, 1});
  REQUIRE(refused.has_value());
  CHECK(std::get<journal::Refused>(refused->front()).error == Error::disk_full);
  journal_disk().cut_power_after(1);
  fixture.close();
  journal_disk().forget_unsynced(0);
  journal_disk().heal();
  fixture.reopen();
  CHECK(read_all(fixture.journal()).size() == shown);
  append_rows(fixture.journal(), shown + 1, shown + 20);
}

TEST_CASE("power: a fault at a checkpoint does not take back what was committed") {
  PowerFixture fixture;
  fixture.reopen();
  bool failed = false;
  for (std::uint64_t n = 0; !failed && n < 200; ++n) {
    // The second sync of a call is the checkpoint's.
    std::vector<journal::AppendItem> group;
    for (std::uint64_t i = 1; i <= 100; ++i) group.push_back(item_of(n * 100 + i));
    const auto outcomes = fixture.journal().append(group);
    if (!outcomes) break;
    failed = !fixture.journal().failure().empty();
    if (n == 20) journal_disk().fill(true);
    if (n == 40) journal_disk().fill(false);
  }
  const auto item = item_of(1);
  static_cast<void>(fixture.journal().append({&item, 1}));
  fixture.close();
  journal_disk().heal();
  fixture.reopen();
  const auto rows = read_all(fixture.journal());
  CHECK(rows.size() >= 2100);
}

TEST_CASE("disk: a write that finds no room is refused, nothing is stored, and the next one that fits is") {
  PowerFixture fixture;
  fixture.reopen();
  append_rows(fixture.journal(), 1, 10);
  journal_disk().fill(true);
  const auto item = item_of(11);
  const auto refused = fixture.journal().append({&item, 1});
  REQUIRE(refused.has_value());
  CHECK(std::get<journal::Refused>(refused->front()).error == Error::disk_full);
  CHECK(fixture.journal().usage().disk_full);
  // Forwarding goes on.
  CHECK(read_all(fixture.journal()).size() == 10);
  journal_disk().fill(false);
  append_rows(fixture.journal(), 11, 20);
  CHECK(!fixture.journal().usage().disk_full);
  fixture.reopen();
  CHECK(read_all(fixture.journal()).size() == 20);
}

TEST_CASE("disk: filled by others, events are refused, forwarding goes on, and it recovers without a restart") {
  const TempFolder mount_point;
  if (::mount("tmpfs", mount_point.path().c_str(), "tmpfs", 0, "size=32m") != 0) {
    MESSAGE("SKIPPED: tmpfs cannot be mounted here: " << std::strerror(errno));
    return;
  }
  {
    SqliteFixture fixture(ContractSettings{}, mount_point.path() / "state");
    append_rows(fixture.journal(), 1, 2000, 500);
    CHECK(std::filesystem::exists(fixture.state_dir() / "journal.ballast"));
    // Somebody else's file, as large as there is room for.
    const auto intruder = mount_point.path() / "intruder";
    {
      std::ofstream file(intruder, std::ios::binary);
      const std::string block(64U << 10U, 'x');
      while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) continue;
    }
    std::uint64_t n = 2000;
    bool refused = false;
    for (int i = 0; i < 5000 && !refused; ++i) {
      const auto item = item_of(++n);
      const auto outcomes = fixture.journal().append({&item, 1});
      REQUIRE(outcomes.has_value());
      if (const auto* one = std::get_if<journal::Refused>(&outcomes->front())) {
        CHECK(one->error == Error::disk_full);
        refused = true;
        --n;
      }
    }
    CHECK(refused);
    // The ballast has given some room again: down to the last that is taken, what is said fits what is done.
    for (int i = 0; i < 50'000; ++i) {
      const bool open = fixture.journal().usage().admission == journal::Admission::open;
      const auto item = item_of(n + 1);
      const auto outcomes = fixture.journal().append({&item, 1});
      REQUIRE(outcomes.has_value());
      const bool stored = std::holds_alternative<journal::Appended>(outcomes->front());
      REQUIRE((open || !stored));
      if (!stored && !open) break;
      n += stored ? 1 : 0;
    }
    CHECK(fixture.journal().usage().admission == journal::Admission::closed);
    CHECK(fixture.journal().usage().disk_full);
    CHECK(!std::filesystem::exists(fixture.state_dir() / "journal.ballast"));
    // Reading, marks and trimming go on: that is what forwarding needs.
    CHECK(read_all(fixture.journal()).size() == n);
    fixture.journal().remember_acked(plain_mark(1000), at_second(0));
    CHECK(fixture.journal().flush().has_value());
    std::uint64_t trimmed = 0;
    while (trimmed < 1000) {
      const auto step = fixture.journal().trim(at_second(5000));
      REQUIRE(step.has_value());
      REQUIRE(step->rows > 0);
      trimmed += step->rows;
    }
    // A restart is no help and no harm.
    fixture.reopen();
    CHECK(read_all(fixture.journal()).size() == n - 1000);
    std::filesystem::remove(intruder);
    append_rows(fixture.journal(), n + 1, n + 100);
    CHECK(!fixture.journal().usage().disk_full);
    CHECK(std::filesystem::exists(fixture.state_dir() / "journal.ballast"));
    CHECK(fixture.journal().usage().admission == journal::Admission::open);
  }
  CHECK(::umount(mount_point.path().c_str()) == 0);
}
