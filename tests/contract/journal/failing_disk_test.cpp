// A disk that fails or is full, in use. Power cuts, and faults at every call: tests/power.
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

class DiskFixture : public SqliteFixture {
 public:
  DiskFixture() {
    close();
    journal_disk().heal();
    settings().vfs = JournalDisk::name();
  }
  ~DiskFixture() {
    close();
    journal_disk().heal();
  }
};

}  // namespace

TEST_CASE("disk: a failed fsync breaks the journal for good; opened anew it has all that was told") {
  DiskFixture fixture;
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

TEST_CASE("disk: a write that finds no room is refused, nothing is stored, and the next one that fits is") {
  DiskFixture fixture;
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
