// A damaged log is seen and told; a torn one never taken for it.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

#include "firmware-gateway/adapters/sqlite/inspection.hpp"
#include "firmware-gateway/adapters/sqlite/log_verdict.hpp"
#include "firmware-gateway/journal/identity.hpp"
#include "tests/contract/journal/fixtures.hpp"

using namespace support;
using journal::Row;

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSector = 512;
constexpr std::size_t kHeader = 32;

base::Bytes contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

fs::path log_of(const SqliteFixture& fixture) { return fixture.file().string() + "-wal"; }

sqlite::ReadLog reader_of(const base::Bytes& log) {
  return [&log](std::uint64_t offset, std::size_t count, base::Bytes& bytes) {
    if (offset + count > log.size()) return false;
    bytes = log.substr(offset, count);
    return true;
  };
}

sqlite::LogDamage judge(const base::Bytes& log) { return sqlite::judge_log(log.size(), reader_of(log)); }

base::Bytes restored(const base::Bytes& log) {
  return sqlite::restored_header(log.size(), sqlite::kPageBytes, reader_of(log));
}

// The log after each commit of a random workload in a journal's file: transactions of one page to some dozens, and now
// and then a checkpoint, after which the log is written from its beginning again.
std::vector<base::Bytes> logs_of(std::uint64_t seed) {
  SeededRandom random(seed);
  TempFolder folder;
  const fs::path file = folder.path() / "journal.db";
  const auto catalog = journal::new_catalog("shop", {}, random.id<handoff::Epoch>(), platform::hasher());
  REQUIRE(sqlite::make_journal(file, "", catalog, {}).has_value());
  auto database = sqlite::open_journal(file, "");
  REQUIRE(database.has_value());
  std::vector<base::Bytes> logs;
  std::uint64_t next = 1;
  sqlite::Statement insert(*database, sqlite::kInsertRowSql);
  sqlite::Statement remove(*database, "DELETE FROM rows WHERE row < ?1");
  sqlite::Statement put(*database, sqlite::kPutEntrySql);
  for (std::uint64_t step = 0; step < 10 + random.below(50); ++step) {
    if (seed % 2 == 0 && random.below(12) == 0) {
      REQUIRE(sqlite3_wal_checkpoint_v2(database->handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr) ==
              SQLITE_OK);
    }
    sqlite::Transaction transaction(*database);
    const std::uint64_t size = random.below(3);
    const std::uint64_t last = next + (size == 0 ? 0 : random.below(size == 1 ? 20 : 400));
    for (; next <= last; ++next) {
      const base::Bytes record = record_of(next);
      insert.bind(1, next).bind(2, next).bind(3, std::uint64_t{7});
      transaction.run(insert.bind(4, base::BytesView(record)));
    }
    if (random.below(4) == 0) {
      const auto entry = journal::mark_entry(journal::Kind::acked, plain_mark(next - 1));
      put.bind(1, static_cast<std::int64_t>(entry.kind)).bind(2, entry.at).bind(3, std::uint64_t{7});
      transaction.run(put.bind(4, base::BytesView(entry.value)));
    }
    if (random.below(6) == 0) transaction.run(remove.bind(1, next - random.below(next)));
    REQUIRE(transaction.commit() == SQLITE_OK);
    logs.push_back(contents(file.string() + "-wal"));
  }
  return logs;
}

bool same_round(const base::Bytes& a, const base::Bytes& b) {
  return a.size() >= kHeader && b.size() >= kHeader && a.substr(0, kHeader) == b.substr(0, kHeader);
}

// What is on the disk when the last write was cut: any of its sectors. A new round's header was synced before.
base::Bytes torn(const base::Bytes& before, const base::Bytes& after, SeededRandom& random) {
  base::Bytes disk = before;
  if (!same_round(before, after)) disk.replace(0, std::min(kHeader, disk.size()), after.substr(0, kHeader));
  const std::uint64_t survive = 1 + random.below(99);
  for (std::size_t at = 0; at < after.size(); at += kSector) {
    const base::Bytes sector = after.substr(at, kSector);
    if (random.below(100) >= survive) continue;
    if (disk.size() < at + sector.size()) disk.resize(at + sector.size(), '\0');
    disk.replace(at, sector.size(), sector);
  }
  return disk;
}

// A frame of this log whose header came to the disk in two writes, of `first` bytes and of the rest; the sector was
// taken there between them. Other frames are torn, or not.
base::Bytes torn_within(const base::Bytes& before, const base::Bytes& after, std::size_t frame_at, std::size_t first,
                        SeededRandom& random) {
  base::Bytes disk = random.one_in(2) ? after : torn(before, after, random);
  const std::size_t sector = (frame_at + first - 1) / kSector * kSector;
  base::Bytes bytes = before.size() > sector ? before.substr(sector, kSector) : base::Bytes();
  bytes.resize(kSector, '\0');
  bytes.replace(0, frame_at + first - sector, after.substr(sector, frame_at + first - sector));
  disk.resize(std::max(disk.size(), sector + kSector), '\0');
  return disk.replace(sector, kSector, bytes);
}

std::uint32_t number_at(const base::Bytes& bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (const char c : bytes.substr(at, 4)) value = (value << 8U) | static_cast<std::uint8_t>(c);
  return value;
}

// Where each commit of the log's round ends.
std::vector<std::size_t> commit_ends(const base::Bytes& log) {
  std::vector<std::size_t> ends;
  for (std::size_t at = kHeader; at + 4120 <= log.size(); at += 4120) {
    if (log.substr(at + 8, 8) != log.substr(16, 8)) break;
    if (number_at(log, at + 4) != 0) ends.push_back(at + 4120);
  }
  return ends;
}

void overwrite(base::Bytes& bytes, std::size_t at, std::size_t count, SeededRandom& random) {
  for (std::size_t i = 0; i < count; ++i)
    bytes[at + i] = static_cast<char>(bytes[at + i] ^ static_cast<char>(1 + random.below(255)));
}

// Closed as by kill -9, with this log.
void leave_behind(SqliteFixture& fixture, const base::Bytes& log) {
  const base::Bytes database = contents(fixture.file());
  fixture.close();
  std::ofstream(fixture.file(), std::ios::binary | std::ios::trunc) << database;
  std::ofstream(log_of(fixture), std::ios::binary | std::ios::trunc) << log;
}

}  // namespace

TEST_CASE("damaged log: a write that a power cut has torn anywhere, in any order, is never called damage") {
  SeededRandom random(7);
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    const auto logs = logs_of(seed);
    for (std::size_t i = 1; i < logs.size(); ++i) {
      CHECK(judge(logs[i]) == "");
      for (int times = 0; times < 8; ++times) CHECK(judge(torn(logs[i - 1], logs[i], random)) == "");
    }
    // The file's end, cut at every sector.
    const base::Bytes& last = logs.back();
    for (std::size_t size = 0; size <= last.size(); size += kSector) {
      if (size + 40 * kSector < last.size() && size % (16 * kSector) != 0) continue;
      CHECK(judge(last.substr(0, size)) == "");
    }
  }
}

// But for cuts within the first salt, which with a carry are those of no round.
TEST_CASE("damaged log: a frame's header that a short write has left half written is never called damage") {
  SeededRandom random(11);
  std::uint64_t within_salts = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    const auto logs = logs_of(seed);
    for (std::size_t i = 1; i < logs.size(); ++i) {
      const base::Bytes& before = logs[i - 1];
      const base::Bytes& after = logs[i];
      const auto ends = commit_ends(after);
      const std::size_t begin = same_round(before, after) ? commit_ends(before).back() : kHeader;
      for (std::size_t at = begin; at < ends.back(); at += 4120) {
        CAPTURE(at);
        for (const std::size_t first : {4U, 8U, 12U, 12U, 13U, 14U, 16U, 20U}) {
          CAPTURE(first);
          CHECK(judge(torn_within(before, after, at, first, random)) == "");
          if (first > 11 && first < 16 && at + 4120 < ends.back()) ++within_salts;
        }
      }
    }
  }
  CHECK(within_salts > 100);
}

TEST_CASE("damaged log: a flipped bit in the salts or the sum of a commit that another one follows is seen") {
  std::uint64_t seen = 0;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    CAPTURE(seed);
    const base::Bytes log = logs_of(seed).back();
    const auto ends = commit_ends(log);
    if (ends.size() < 3) continue;
    const std::size_t frame = ends[ends.size() - 2] - 4120;
    for (std::size_t bit = 64; bit < std::size_t{24} * 8; ++bit) {
      CAPTURE(bit);
      base::Bytes damaged = log;
      char& byte = damaged[frame + bit / 8];
      byte = static_cast<char>(byte ^ static_cast<char>(0x80U >> (bit % 8)));
      CHECK(judge(damaged) != "");
      ++seen;
    }
  }
  CHECK(seen > 0);
}

TEST_CASE("damaged log: damage before the last two commits is always seen, and mostly before the last") {
  SeededRandom random(8);
  std::uint64_t last_but_one = 0;
  std::uint64_t seen = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const auto logs = logs_of(seed);
    for (const base::Bytes& log : logs) {
      const auto ends = commit_ends(log);
      if (ends.size() < 3) continue;
      for (int times = 0; times < 6; ++times) {
        const auto within = [&](std::size_t first, std::size_t last) {
          base::Bytes damaged = log;
          const std::size_t at = first + random.below(last - first);
          const std::size_t most = times % 3 == 0 ? 1 : times % 3 == 1 ? 600 : 9000;
          overwrite(damaged, at, 1 + random.below(std::min(most, last - at)), random);
          return damaged;
        };
        CHECK(judge(within(0, ends[ends.size() - 3])) != "");
        ++last_but_one;
        if (!judge(within(ends[ends.size() - 3], ends[ends.size() - 2])).empty()) ++seen;
      }
    }
  }
  CHECK(last_but_one > 100);
  CHECK(seen * 100 > last_but_one * 97);
}

TEST_CASE("damaged log: a damaged header is made anew out of the first frame, and only out of one that is whole") {
  SeededRandom random(9);
  std::uint64_t left_of_earlier_round = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const auto logs = logs_of(seed);
    for (std::size_t i = 1; i < logs.size(); ++i) {
      const base::Bytes& log = logs[i];
      CHECK(restored(log) == "");
      base::Bytes damaged = log;
      overwrite(damaged, random.below(kHeader), 1, random);
      CHECK(restored(damaged) == log.substr(0, kHeader));
      damaged.replace(0, kHeader, base::Bytes(kHeader, static_cast<char>(random.next())));
      CHECK(restored(damaged) == log.substr(0, kHeader));
      if (!same_round(logs[i - 1], log)) {
        base::Bytes half_written = logs[i - 1];
        half_written.replace(0, kHeader / 2, log.substr(0, kHeader / 2));
        CHECK(judge(half_written) == "its header is damaged");
        CHECK(restored(half_written) == logs[i - 1].substr(0, kHeader));
      }
      CHECK(restored(damaged.substr(0, kHeader + 4119)) == "");
      const base::Bytes garbage_first = [&] {
        base::Bytes bytes = damaged;
        overwrite(bytes, kHeader + random.below(4120 - 64), 64, random);
        return bytes;
      }();
      CHECK(restored(garbage_first) == "");
      // The new round's first frame did not reach the disk, others did.
      if (same_round(logs[i - 1], log) || commit_ends(log).front() == kHeader + 4120) continue;
      ++left_of_earlier_round;
      damaged.replace(kHeader, 4120, logs[i - 1].substr(kHeader, 4120));
      CHECK(restored(damaged) == "");
    }
  }
  CHECK(left_of_earlier_round > 0);
}

TEST_CASE("damaged log: behind a damaged header every row is kept under its name, and nothing is told as lost") {
  for (std::size_t byte = 0; byte <= kHeader; ++byte) {
    CAPTURE(byte);
    SqliteFixture fixture;
    const handoff::Run run = fixture.journal().opened().opening;
    append_rows(fixture.journal(), 1, 300, 50);
    fixture.journal().remember_acked(plain_mark(150), at_second(0));
    REQUIRE(fixture.journal().flush().has_value());
    append_rows(fixture.journal(), 301, 900, 25);
    base::Bytes log = contents(log_of(fixture));
    SeededRandom random(byte);
    overwrite(log, byte % kHeader, byte < kHeader ? 1 : kHeader, random);
    leave_behind(fixture, log);
    fixture.reopen();
    REQUIRE(fixture.journal().salvaged().has_value());
    CHECK(fixture.journal().salvaged()->reason == "the log: its header is damaged");
    CHECK(fixture.losses().empty());
    CHECK(fixture.forgotten().empty());
    CHECK(fixture.journal().opened().acked.row == Row(150));
    for (const auto& segment : fixture.journal().opened().segments) CHECK(!segment.possible_repeat);
    const auto rows = read_all(fixture.journal());
    REQUIRE(rows.size() == 900);
    for (std::uint64_t n = 1; n <= 900; ++n) {
      CHECK(rows[n - 1].record == record_of(n));
      CHECK(journal::identity_of(fixture.journal().opened().segments, Row(n)) ==
            journal::Identity{run, handoff::RunIndex(n - 1)});
    }
  }
}

TEST_CASE("damaged log: the rows behind it are kept, and those in it are told") {
  for (const int percent : {-1, 5, 30, 50, 70, 90}) {
    for (const std::uint64_t acked : {std::uint64_t{0}, std::uint64_t{150}}) {
      CAPTURE(percent);
      CAPTURE(acked);
      SqliteFixture fixture;
      const handoff::Run run = fixture.journal().opened().opening;
      append_rows(fixture.journal(), 1, 300, 50);
      fixture.journal().remember_acked(plain_mark(acked), at_second(0));
      REQUIRE(fixture.journal().flush().has_value());
      append_rows(fixture.journal(), 301, 900, 25);
      base::Bytes log = contents(log_of(fixture));
      SeededRandom random(static_cast<std::uint64_t>(percent + 2));
      const std::size_t at = percent < 0 ? 0 : log.size() * static_cast<std::size_t>(percent) / 100;
      overwrite(log, at, percent < 0 ? 32 : 100, random);
      leave_behind(fixture, log);
      const auto report = sqlite::verify(fixture.state_dir(), "shop-0017");
      CHECK((!report || !report->sound()));
      CHECK(!sqlite::export_rows(fixture.state_dir(), [](const sqlite::ExportedRow&) {}));
      CHECK(contents(log_of(fixture)) == log);
      fixture.reopen();
      REQUIRE(fixture.journal().salvaged().has_value());
      std::set<std::uint64_t> kept;
      for (const auto& row : read_all(fixture.journal())) {
        if (row.record.starts_with("record ")) CHECK(kept.insert(std::stoull(row.record.substr(7))).second);
      }
      CHECK(kept.size() > 850);
      CHECK(kept.contains(900));
      for (std::uint64_t n = 1; n <= 900; ++n) {
        const bool told = std::ranges::any_of(fixture.losses(), [n](const journal::Loss& loss) {
          return loss.first <= Row(n) && (!loss.last || Row(n) <= *loss.last);
        });
        CAPTURE(n);
        CHECK((kept.contains(n) || told || (n <= acked && fixture.journal().salvaged()->forgotten > 0)));
      }
      static_cast<void>(run);
      const auto item = item_of(1'000'000);
      CHECK(std::holds_alternative<journal::Appended>(fixture.journal().append({&item, 1})->front()));
      fixture.reopen();
      CHECK(!fixture.journal().salvaged());
    }
  }
}

TEST_CASE("damaged log: a journal of a newer schema stays as it is, whatever its log looks like") {
  SqliteFixture fixture;
  append_rows(fixture.journal(), 1, 10);
  fixture.close();
  base::Bytes log;
  {
    sqlite::Database database;
    REQUIRE(database.open(fixture.file().string(), SQLITE_OPEN_READWRITE, "") == SQLITE_OK);
    REQUIRE(database.run("PRAGMA user_version = 2") == SQLITE_OK);
    REQUIRE(sqlite::checkpoint_all(database) == SQLITE_OK);
    for (int i = 0; i < 5; ++i)
      REQUIRE(database.run("DELETE FROM rows WHERE row = (SELECT min(row) FROM rows)") == SQLITE_OK);
    log = contents(log_of(fixture));
  }
  log[kHeader + 100] = static_cast<char>(log[kHeader + 100] ^ 1);
  REQUIRE(judge(log) != "");
  std::ofstream(log_of(fixture), std::ios::binary | std::ios::trunc) << log;
  const auto error = fixture.try_open();
  REQUIRE(error.has_value());
  CHECK(error->fault == sqlite::OpenFault::newer_schema);
  CHECK(contents(log_of(fixture)) == log);
}
