// What becomes of a damaged file: set aside as it is, salvaged with identities kept, and every loss told in its place.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "firmware-gateway/adapters/sqlite/inspection.hpp"
#include "firmware-gateway/journal/identity.hpp"
#include "tests/contract/journal/fixtures.hpp"

using namespace support;
using journal::Row;

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPage = sqlite::kPageBytes;
const base::Bytes kNotice = "notice: events lost";
const base::Bytes kForgottenNotice = "notice: repeats unknown";

base::Bytes contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

void overwrite(const fs::path& path, std::size_t offset, const base::Bytes& bytes) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(offset));
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::vector<fs::path> set_aside(const SqliteFixture& fixture) {
  std::vector<fs::path> files;
  for (const auto& file : fs::directory_iterator(fixture.state_dir())) {
    const std::string name = file.path().filename().string();
    if (name.starts_with("journal.damaged-") && name.ends_with(".db")) files.push_back(file.path());
  }
  return files;
}

// Everywhere: pages that are not used any more may have it, too.
void replace_all(const fs::path& path, const base::Bytes& before, const base::Bytes& after) {
  REQUIRE(before.size() == after.size());
  const base::Bytes file = contents(path);
  REQUIRE(file.find(before) != base::Bytes::npos);
  for (std::size_t at = file.find(before); at != base::Bytes::npos; at = file.find(before, at + 1)) {
    overwrite(path, at, after);
  }
}

// Writes these two bytes over a row's number in its cell; it must be one of two bytes.
void overwrite_number(const fs::path& path, std::uint64_t row, const base::Bytes& bytes) {
  const base::Bytes file = contents(path);
  const base::Bytes number{static_cast<char>(0x80U | (row >> 7U)), static_cast<char>(row & 0x7FU)};
  const base::Bytes text = "record " + std::to_string(row) + ".";
  int found = 0;
  for (std::size_t at = file.find(text); at != base::Bytes::npos; at = file.find(text, at + 1), ++found) {
    const std::size_t number_at = file.rfind(number, at);
    // Behind it: how many bytes the row's head has, and that the number stands in its place.
    REQUIRE(at - number_at < 32);
    REQUIRE(file[number_at + 3] == '\0');
    overwrite(path, number_at, bytes);
  }
  REQUIRE(found > 0);
}

std::size_t inner_page(const base::Bytes& file) {
  for (std::size_t at = kPage; at + kPage <= file.size(); at += kPage) {
    if (file[at] == 0x05) return at;
  }
  FAIL("no inner page");
  return 0;
}

std::size_t number_at(const base::Bytes& file, std::size_t at, std::size_t count) {
  std::size_t value = 0;
  for (const char c : file.substr(at, count)) value = (value << 8U) | static_cast<std::uint8_t>(c);
  return value;
}

// Pages of the file that are leaves of the rows table (none of the catalog's: those are index leaves).
std::vector<std::size_t> row_leaves(const base::Bytes& file) {
  std::vector<std::size_t> pages;
  for (std::size_t at = kPage; at + kPage <= file.size(); at += kPage) {
    if (file[at] == 0x0D) pages.push_back(at);
  }
  return pages;
}

// Every event is there once and in order, or a notice stands in its place; identities are those of the numbers in the
// records.
struct Checked {
  std::uint64_t events = 0;
  std::uint64_t notices = 0;
};
Checked check_salvaged(SqliteFixture& fixture, const handoff::Run& run) {
  Checked checked;
  std::uint64_t last = 0;
  for (const auto& row : read_all(fixture.journal())) {
    const auto identity = journal::identity_of(fixture.journal().opened().segments, row.row);
    REQUIRE(identity.has_value());
    if (row.record == kForgottenNotice) continue;
    if (row.record == kNotice) {
      ++checked.notices;
      continue;
    }
    ++checked.events;
    const std::uint64_t n = std::stoull(row.record.substr(7));
    REQUIRE(row.record == record_of(n));
    REQUIRE(n > last);
    last = n;
    CHECK(identity->run == run);
    CHECK(identity->index == handoff::RunIndex(n - 1));
    const auto* segment = journal::segment_at(fixture.journal().opened().segments, row.row);
    CHECK(segment->digest_void);
  }
  return checked;
}

// A closed journal of `rows` rows, all of one run.
handoff::Run fill(SqliteFixture& fixture, std::uint64_t rows, std::uint64_t acked = 0) {
  const handoff::Run run = fixture.journal().opened().opening;
  append_rows(fixture.journal(), 1, rows, 500);
  if (acked > 0) fixture.journal().remember_acked(plain_mark(acked), at_second(0));
  REQUIRE(fixture.journal().flush().has_value());
  fixture.close();
  return run;
}

// Closed as by kill -9: the database and its log stay as they are.
void leave_behind(SqliteFixture& fixture) {
  const fs::path copy = fixture.state_dir().string() + "-copy";
  fs::create_directories(copy);
  for (const char* name : {"journal.db", "journal.db-wal"}) {
    std::ofstream(copy / name, std::ios::binary) << contents(fixture.state_dir() / name);
  }
  fixture.close();
  fs::remove_all(fixture.state_dir());
  fs::rename(copy, fixture.state_dir());
}

// Intake goes on, and what was salvaged is found again.
void check_goes_on(SqliteFixture& fixture) {
  const auto next = fixture.journal().opened().next;
  const auto item = item_of(1'000'000);
  const auto outcomes = fixture.journal().append({&item, 1});
  REQUIRE(outcomes.has_value());
  CHECK(std::get<journal::Appended>(outcomes->front()).row == next);
  fixture.reopen();
  CHECK(!fixture.journal().salvaged());
  CHECK(fixture.journal().opened().next == next.next());
}

}  // namespace

TEST_CASE("damage: a flipped bit in a record loses that event alone, and a notice stands in its place") {
  SqliteFixture fixture;
  const auto run = fill(fixture, 2000);
  const base::Bytes before = contents(fixture.file());
  const std::size_t at = before.find("record 777.");
  REQUIRE(at != base::Bytes::npos);
  overwrite(fixture.file(), at + 12, "!");
  const base::Bytes damaged = contents(fixture.file());
  fixture.reopen();
  REQUIRE(fixture.journal().salvaged().has_value());
  CHECK(fixture.journal().salvaged()->rows_kept == 1999);
  CHECK(fixture.journal().salvaged()->holes == 1);
  const auto checked = check_salvaged(fixture, run);
  CHECK(checked.events == 1999);
  CHECK(checked.notices == 1);
  CHECK(read_all(fixture.journal())[776].record == kNotice);
  CHECK(journal::identity_of(fixture.journal().opened().segments, Row(777)) ==
        journal::Identity{run, handoff::RunIndex(776)});
  REQUIRE(fixture.losses().size() == 1);
  CHECK(fixture.losses()[0].first == Row(777));
  CHECK(fixture.losses()[0].last == Row(777));
  CHECK(fixture.losses()[0].first_answered->seq == handoff::Seq(777));
  REQUIRE(set_aside(fixture).size() == 1);
  CHECK(contents(set_aside(fixture)[0]) == damaged);
  check_goes_on(fixture);
}

TEST_CASE("damage: a broken page of the tree is skipped in both directions, and its rows are told") {
  for (const double where : {0.0, 0.3, 1.0}) {
    CAPTURE(where);
    SqliteFixture fixture;
    const auto run = fill(fixture, 3000);
    const auto leaves = row_leaves(contents(fixture.file()));
    REQUIRE(leaves.size() > 50);
    const std::size_t page = leaves[static_cast<std::size_t>(where * static_cast<double>(leaves.size() - 1))];
    overwrite(fixture.file(), page, base::Bytes(kPage, '\x5A'));
    fixture.reopen();
    REQUIRE(fixture.journal().salvaged().has_value());
    const auto checked = check_salvaged(fixture, run);
    CHECK(checked.events >= 2900);
    CHECK(checked.events < 3000);
    CHECK(checked.notices >= 1);
    CHECK(checked.notices <= 2);
    check_goes_on(fixture);
  }
}

TEST_CASE("damage: a row whose number is damaged is told as lost, and no row that never was") {
  for (const std::uint64_t row : {std::uint64_t{130}, std::uint64_t{777}, std::uint64_t{1999}, std::uint64_t{2000}}) {
    // 15348, and 128.
    for (const base::Bytes& number : {base::Bytes("\xF7\x74"), base::Bytes("\x81\0", 2)}) {
      CAPTURE(row);
      CAPTURE(number.size());
      SqliteFixture fixture;
      const auto run = fill(fixture, 2000);
      overwrite_number(fixture.file(), row, number);
      fixture.reopen();
      REQUIRE(fixture.journal().salvaged().has_value());
      const auto checked = check_salvaged(fixture, run);
      CHECK(checked.events == 1999);
      CHECK(checked.notices == 1);
      REQUIRE(fixture.losses().size() == 1);
      CHECK(fixture.losses()[0].first == Row(row));
      CHECK(fixture.losses()[0].last == Row(row));
      check_goes_on(fixture);
    }
  }
}

TEST_CASE("damage: the last rows, when their bytes are damaged, are told as lost") {
  for (const std::uint64_t damaged : {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{40}}) {
    CAPTURE(damaged);
    SqliteFixture fixture;
    const auto run = fill(fixture, 2000);
    for (std::uint64_t row = 2001 - damaged; row <= 2000; ++row) {
      const base::Bytes text = "record " + std::to_string(row) + ".";
      replace_all(fixture.file(), text, text.substr(0, 11) + "!");
    }
    fixture.reopen();
    CHECK(check_salvaged(fixture, run).events == 2000 - damaged);
    REQUIRE(fixture.losses().size() == 1);
    CHECK(fixture.losses()[0].first == Row(2001 - damaged));
    CHECK(fixture.losses()[0].last == Row(2000));
    check_goes_on(fixture);
  }
}

TEST_CASE("damage: the last row is told as lost when only a part of it can be reached") {
  SqliteFixture fixture;
  const auto run = fixture.journal().opened().opening;
  append_rows(fixture.journal(), 1, 100);
  journal::AppendItem item = item_of(101);
  item.record += base::Bytes(10'000, '.');
  REQUIRE(fixture.journal().append({&item, 1}).has_value());
  fixture.close();
  // The page that begins with the number of the next one that it goes on in.
  const base::Bytes file = contents(fixture.file());
  std::size_t page = kPage;
  while (number_at(file, page, 4) == 0 || file.substr(page + 4, kPage - 4) != base::Bytes(kPage - 4, '.'))
    page += kPage;
  overwrite(fixture.file(), page, "\xFF\xFF\xFF\xFF");
  fixture.reopen();
  REQUIRE(fixture.journal().salvaged().has_value());
  CHECK(check_salvaged(fixture, run).events == 100);
  REQUIRE(fixture.losses().size() == 1);
  CHECK(fixture.losses()[0].first == Row(101));
  CHECK(fixture.losses()[0].last == Row(101));
}

TEST_CASE("damage: rows behind a tree that leads back into itself are kept, and its end is not taken for theirs") {
  SqliteFixture fixture;
  const auto run = fill(fixture, 3000);
  const base::Bytes file = contents(fixture.file());
  const std::size_t page = inner_page(file);
  // The last child, behind which the first follows now.
  overwrite(fixture.file(), page + 8, file.substr(page + number_at(file, page + 12, 2), 4));
  fixture.reopen();
  REQUIRE(fixture.journal().salvaged().has_value());
  CHECK(check_salvaged(fixture, run).events == 3000);
  REQUIRE(fixture.losses().size() == 1);
  CHECK(fixture.losses()[0].first == Row(3001));
  CHECK(!fixture.losses()[0].last.has_value());
  check_goes_on(fixture);
}

TEST_CASE("damage: a number in an inner page is not taken for the end, when nothing behind it is found") {
  SqliteFixture fixture;
  const auto run = fill(fixture, 3000);
  const base::Bytes file = contents(fixture.file());
  const std::size_t page = inner_page(file);
  // The last but one child cannot be followed, and ends with 16383, behind the rows of the last.
  const std::size_t cells = number_at(file, page + 3, 2);
  const std::size_t at = page + number_at(file, page + 12 + 2 * (cells - 1), 2);
  overwrite(fixture.file(), at, "\xFF\xFF\xFF\xFF\xFF\x7F");
  fixture.reopen();
  REQUIRE(fixture.journal().salvaged().has_value());
  CHECK(check_salvaged(fixture, run).events == 3000);
  REQUIRE(fixture.losses().size() == 1);
  CHECK(fixture.losses()[0].first == Row(3001));
  CHECK(!fixture.losses()[0].last.has_value());
  check_goes_on(fixture);
}

TEST_CASE("damage: a tree that leads to rows that were trimmed gives none of them") {
  SqliteFixture fixture;
  const auto run = fixture.journal().opened().opening;
  append_rows(fixture.journal(), 1, 3000, 500);
  fixture.journal().remember_acked(mark_at(2000, fixture.journal().opened().epoch, {{run, Row(1), {}}}), at_second(0));
  while (fixture.journal().trim(at_second(1'000'000))->more) {
  }
  fixture.close();
  const base::Bytes file = contents(fixture.file());
  const std::size_t page = inner_page(file);
  const std::size_t trimmed = file.find("record 500.") / kPage + 1;
  REQUIRE(trimmed > 1);
  const std::size_t first_child = page + number_at(file, page + 12, 2);
  overwrite(fixture.file(), first_child,
            base::Bytes{'\0', '\0', static_cast<char>(trimmed >> 8U), static_cast<char>(trimmed)});
  fixture.reopen();
  REQUIRE(fixture.journal().salvaged().has_value());
  CHECK(check_salvaged(fixture, run).events == 1000);
  CHECK(fixture.losses().empty());
  check_goes_on(fixture);
}

TEST_CASE("damage: rows that a search cannot find any more, but a scan does, are kept") {
  SqliteFixture fixture;
  const auto run = fill(fixture, 3000);
  const base::Bytes file = contents(fixture.file());
  const std::size_t page = inner_page(file);
  // The number that the tenth child ends with: greater than any row, so that those of the next are sought in it.
  const std::size_t at = page + number_at(file, page + 12 + 2 * 9, 2) + 4;
  const std::size_t last = (number_at(file, at, 1) & 0x7FU) << 7U | number_at(file, at + 1, 1);
  overwrite(fixture.file(), at, "\xFF\x7F");
  fixture.reopen();
  REQUIRE(!fixture.journal().salvaged());
  const auto read = fixture.journal().read(Row(last + 2), 10, 1U << 20U);
  REQUIRE(!read);
  CHECK(read.error() == journal::Error::damaged);
  const std::string missing = "row " + std::to_string(last + 2) + " is missing";
  CHECK(fixture.journal().failure() == missing);
  fixture.reopen({.now = at_second(0), .damage = missing});
  CHECK(fixture.journal().salvaged()->reason == missing);
  CHECK(check_salvaged(fixture, run).events == 3000);
  CHECK(fixture.losses().empty());
  check_goes_on(fixture);
}

TEST_CASE("damage: a last row that was sent and is not there any more is missed, and found or told as lost") {
  SqliteFixture fixture;
  const auto run = fixture.journal().opened().opening;
  append_rows(fixture.journal(), 1, 2000, 500);
  fixture.journal().remember_sent(Row(2000), at_second(0));
  REQUIRE(fixture.journal().flush().has_value());
  fixture.close();
  const base::Bytes file = contents(fixture.file());
  for (const std::size_t page : row_leaves(file)) {
    // How many rows the leaf has.
    const auto rows = static_cast<char>(file[page + 4] - 1);
    if (file.substr(page, kPage).find("record 2000.") != base::Bytes::npos) overwrite(fixture.file(), page + 4, {rows});
  }
  bool bytes_damaged = false;
  SUBCASE("its bytes are whole") {}
  SUBCASE("its bytes are damaged, too") {
    bytes_damaged = true;
    replace_all(fixture.file(), "record 2000.", "record 2000!");
  }
  fixture.reopen();
  REQUIRE(fixture.journal().salvaged().has_value());
  CHECK(fixture.journal().salvaged()->reason == "row 2000 is missing");
  CHECK(check_salvaged(fixture, run).events == (bytes_damaged ? 1999 : 2000));
  REQUIRE(fixture.losses().size() == (bytes_damaged ? 1 : 0));
  if (!bytes_damaged) return;
  CHECK(fixture.losses()[0].first == Row(2000));
  CHECK(fixture.losses()[0].last == Row(2000));
}

TEST_CASE("damage: without the tree's inner pages, rows are found page by page") {
  SqliteFixture fixture;
  const auto run = fill(fixture, 3000);
  const base::Bytes file = contents(fixture.file());
  std::size_t broken = 0;
  for (std::size_t at = kPage; at + kPage <= file.size(); at += kPage) {
    if (file[at] != 0x05) continue;
    overwrite(fixture.file(), at, base::Bytes(64, '\0'));
    ++broken;
  }
  REQUIRE(broken >= 1);
  fixture.reopen();
  const auto checked = check_salvaged(fixture, run);
  CHECK(checked.events == 3000);
  // Nobody can know whether rows followed.
  CHECK(checked.notices == 1);
  CHECK(!fixture.losses().back().last.has_value());
  check_goes_on(fixture);
}

TEST_CASE("damage: of a zeroed file it is left that all is lost and no repeat is known, and intake goes on") {
  SqliteFixture fixture;
  fill(fixture, 500);
  overwrite(fixture.file(), 0, base::Bytes(fs::file_size(fixture.file()), '\0'));
  fixture.reopen();
  REQUIRE(fixture.journal().salvaged().has_value());
  const auto rows = read_all(fixture.journal());
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].record == kNotice);
  CHECK(rows[1].record == kForgottenNotice);
  check_goes_on(fixture);
}

TEST_CASE("damage: an emptied file, and one that is gone beside its log, are losses and no new journals") {
  SUBCASE("emptied") {
    SqliteFixture fixture;
    fill(fixture, 100);
    fs::resize_file(fixture.file(), 0);
    fixture.reopen();
    REQUIRE(read_all(fixture.journal()).size() == 2);
    CHECK(read_all(fixture.journal())[0].record == kNotice);
    CHECK(read_all(fixture.journal())[1].record == kForgottenNotice);
  }
  SUBCASE("gone") {
    SqliteFixture fixture;
    fill(fixture, 100);
    fs::remove(fixture.file());
    std::ofstream(fixture.file().string() + "-wal") << "";
    fixture.reopen();
    REQUIRE(read_all(fixture.journal()).size() == 2);
    CHECK(read_all(fixture.journal())[0].record == kNotice);
    CHECK(read_all(fixture.journal())[1].record == kForgottenNotice);
  }
}

TEST_CASE("damage: of a broken first page nothing is lost, and nothing is told as lost or goes up again") {
  for (const std::size_t broken : {std::size_t{16}, std::size_t{100}, kPage}) {
    for (const char with : {'\0', '\x5A'}) {
      CAPTURE(broken);
      CAPTURE(with);
      SqliteFixture fixture;
      const auto run = fill(fixture, 3000, 1000);
      overwrite(fixture.file(), 0, base::Bytes(broken, with));
      const base::Bytes damaged = contents(fixture.file());
      fixture.reopen();
      REQUIRE(fixture.journal().salvaged().has_value());
      CHECK(!fixture.journal().salvaged()->hash_key_lost);
      const auto checked = check_salvaged(fixture, run);
      CHECK(checked.events == 3000);
      CHECK(checked.notices == 0);
      CHECK(fixture.losses().empty());
      CHECK(fixture.journal().opened().acked.row == Row(1000));
      for (const auto& segment : fixture.journal().opened().segments) CHECK(!segment.possible_repeat);
      REQUIRE(set_aside(fixture).size() == 1);
      CHECK(contents(set_aside(fixture)[0]) == damaged);
      check_goes_on(fixture);
    }
  }
}

TEST_CASE(
    "damage: with the database gone its log gives everything that it has, and no more is told as lost than that") {
  SqliteFixture fixture;
  auto run = fixture.journal().opened().opening;
  SUBCASE("all is in the log") {
    append_rows(fixture.journal(), 1, 300, 10);
    fixture.journal().remember_acked(plain_mark(100), at_second(0));
    REQUIRE(fixture.journal().flush().has_value());
    leave_behind(fixture);
    fs::remove(fixture.file());
    fixture.reopen();
    const auto checked = check_salvaged(fixture, run);
    CHECK(checked.events == 300);
    CHECK(checked.notices == 0);
    CHECK(fixture.journal().opened().acked.row == Row(100));
  }
  SUBCASE("only the newest rows are in the log") {
    run = fill(fixture, 3000, 100);
    fixture.reopen();
    append_rows(fixture.journal(), 3001, 3010, 1);
    leave_behind(fixture);
    fs::remove(fixture.file());
    fixture.reopen();
    std::set<std::uint64_t> seen;
    for (const auto& row : read_all(fixture.journal())) {
      if (row.record.starts_with("record ")) seen.insert(std::stoull(row.record.substr(7)));
    }
    for (std::uint64_t n = 3001; n <= 3010; ++n) CHECK(seen.contains(n));
    REQUIRE(!fixture.losses().empty());
    CHECK(fixture.losses()[0].first <= Row(101));
    for (std::uint64_t n = 101; n <= 3000; ++n) {
      const auto told = [n](const journal::Loss& loss) {
        return loss.first <= Row(n) && (!loss.last || Row(n) <= *loss.last);
      };
      CHECK((seen.contains(n) || std::any_of(fixture.losses().begin(), fixture.losses().end(), told)));
    }
  }
  check_goes_on(fixture);
}

TEST_CASE("damage: a header that SQLite would fail by later is damage at once, and verify names it") {
  struct Broken {
    std::size_t offset;
    const char* bytes;
    std::size_t size;
  };
  // The file format's write version; the count of free pages.
  for (const Broken& broken : {Broken{18, "\x03", 1}, Broken{36, "\x80", 1}, Broken{37, "\x80", 1}}) {
    CAPTURE(broken.offset);
    SqliteFixture fixture;
    const auto run = fill(fixture, 300);
    overwrite(fixture.file(), broken.offset, base::Bytes(broken.bytes, broken.size));
    const auto report = sqlite::verify(fixture.state_dir(), "shop-0017");
    REQUIRE(report);
    CHECK(report->problems_total > 0);
    fixture.reopen();
    REQUIRE(fixture.journal().salvaged().has_value());
    const auto checked = check_salvaged(fixture, run);
    CHECK(checked.events == 300);
    CHECK(checked.notices == 0);
    check_goes_on(fixture);
  }
}

TEST_CASE("damage: what is appended to a file that somebody has removed is not answered as stored") {
  for (const std::string suffix : {"", "-wal"}) {
    CAPTURE(suffix);
    SqliteFixture fixture;
    fixture.reopen();
    const auto append = [&fixture](std::uint64_t n) {
      const journal::AppendItem item{
          .key_hash = n, .priority = journal::Priority::money, .record = record_of(n), .seen_through = {}};
      return fixture.journal().append(std::span(&item, 1)).has_value();
    };
    REQUIRE(append(1));
    fs::rename(fixture.file().string() + suffix, fixture.file().string() + suffix + ".backup");
    CHECK_FALSE(append(2));
  }
}

TEST_CASE("damage: a truncated file keeps what its pages still hold") {
  SqliteFixture fixture;
  const auto run = fill(fixture, 3000);
  fs::resize_file(fixture.file(), fs::file_size(fixture.file()) / 2 / kPage * kPage);
  fixture.reopen();
  REQUIRE(fixture.journal().salvaged().has_value());
  const auto checked = check_salvaged(fixture, run);
  CHECK(checked.events > 1000);
  CHECK(checked.notices >= 1);
  check_goes_on(fixture);
}

TEST_CASE("damage: a hole among committed rows is no loss") {
  SqliteFixture fixture;
  const auto run = fill(fixture, 1000, 900);
  const std::size_t at = contents(fixture.file()).find("record 500.");
  overwrite(fixture.file(), at + 12, "!");
  fixture.reopen({.now = at_second(0), .damage = "found in use"});
  const auto checked = check_salvaged(fixture, run);
  CHECK(checked.events == 999);
  CHECK(checked.notices == 0);
  CHECK(fixture.journal().opened().acked.row == Row(899));
  CHECK(fixture.journal().opened().epoch.first_row == Row(900));
}

TEST_CASE("damage: found in use it is answered as such, and a salvage follows") {
  SqliteFixture fixture;
  // More than SQLite keeps in memory: row 500 is read from the file again.
  const auto run = fill(fixture, 20'000, 19'900);
  fixture.reopen();
  CHECK(!fixture.journal().salvaged());
  const std::size_t at = contents(fixture.file()).find("record 500.");
  overwrite(fixture.file(), at + 12, "!");
  CHECK(fixture.journal().verify(Row(1))->bad == std::vector{Row(500)});
  CHECK(fixture.journal().read(Row(490), 100, 1U << 20U).error() == journal::Error::damaged);
  const auto item = item_of(5000);
  CHECK(fixture.journal().append({&item, 1}).error() == journal::Error::damaged);
  CHECK(fixture.journal().failure() == "row 500: its CRC differs");
  fixture.reopen({.now = at_second(0), .damage = "found in use"});
  CHECK(check_salvaged(fixture, run).events == 19'999);
}

TEST_CASE(
    "damage: a flipped bit in the hash of a row that is in the stream is seen at the opening, and its repeat is "
    "known") {
  SqliteFixture fixture;
  const auto run = fill(fixture, 1000, 900);
  // Big-endian, as SQLite writes a number in a row.
  const std::uint64_t hash = item_of(500).key_hash;
  base::Bytes bytes;
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(hash >> static_cast<unsigned>(shift));
  bytes = bytes.substr(bytes.find_first_not_of('\0'));
  const base::Bytes file = contents(fixture.file());
  const std::size_t at = file.rfind(bytes, file.find("record 500."));
  REQUIRE(file.find("record 500.") - at < 32);
  overwrite(fixture.file(), at, base::Bytes(1, static_cast<char>(bytes[0] ^ 1)));
  fixture.reopen();
  REQUIRE(fixture.journal().salvaged().has_value());
  CHECK(check_salvaged(fixture, run).events == 999);
  const auto item = item_of(500);
  CAPTURE(fixture.losses().size());
  CHECK(fixture.journal().append({&item, 1}).has_value());
}

TEST_CASE("damage: a flipped bit in a mark is seen, and trims nothing") {
  SqliteFixture fixture;
  const auto run = fill(fixture, 100, 10);
  const base::Bytes file = contents(fixture.file());
  // The acked entry: its row number, little-endian, before two digests of zeros.
  const base::Bytes entry = base::Bytes("\x0A\0\0\0\0\0\0\0", 8) + base::Bytes(64, '\0');
  const std::size_t at = file.find(entry);
  REQUIRE(at != base::Bytes::npos);
  overwrite(fixture.file(), at, "\x63");
  fixture.reopen();
  REQUIRE(fixture.journal().salvaged().has_value());
  CHECK(check_salvaged(fixture, run).events == 100);
  CHECK(fixture.journal().opened().acked.row == Row(0));
  CHECK(fixture.journal().trim(at_second(1'000'000))->rows == 0);
}

TEST_CASE("damage: any one page of the file overwritten loses nothing silently") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    SqliteFixture fixture;
    const auto run = fill(fixture, 600);
    const std::uint64_t pages = fs::file_size(fixture.file()) / kPage;
    base::Bytes garbage;
    for (std::size_t i = 0; i < 512; ++i) garbage.push_back(static_cast<char>(random.next()));
    const std::size_t offset = random.below(pages) * kPage + random.below(8) * 512;
    overwrite(fixture.file(), offset, garbage);
    const auto error = fixture.try_open();
    if (error) {
      CAPTURE(error->detail);
      // Not ours by its header any more: refused, untouched, for a person to look at.
      CHECK(error->fault == sqlite::OpenFault::not_a_journal);
      CHECK(sqlite::salvage(fixture.state_dir(), fixture.settings(), fixture.needs(), at_second(0)).error().fault ==
            sqlite::OpenFault::not_a_journal);
      continue;
    }
    std::set<std::uint64_t> seen;
    std::uint64_t notices = 0;
    for (const auto& row : read_all(fixture.journal())) {
      if (row.record == kForgottenNotice) continue;
      if (row.record == kNotice) {
        ++notices;
        continue;
      }
      const std::uint64_t n = std::stoull(row.record.substr(7));
      CHECK(row.record == record_of(n));
      CHECK(seen.insert(n).second);
    }
    CHECK((seen.size() == 600 || notices > 0));
    CHECK(seen.size() >= 540);
    static_cast<void>(run);
  }
}

TEST_CASE("damage: a salvage that was interrupted anywhere is ended at the next opening") {
  for (int interrupted_after = 0; interrupted_after < 4; ++interrupted_after) {
    CAPTURE(interrupted_after);
    SqliteFixture fixture;
    const auto run = fill(fixture, 300);
    const std::string name = "journal.damaged-20261124T120000Z.db";
    std::ofstream(fixture.state_dir() / "journal.salvaging") << name;
    if (interrupted_after >= 1) fs::rename(fixture.file(), fixture.state_dir() / name);
    if (interrupted_after >= 2) std::ofstream(fixture.state_dir() / "journal.new.db") << "half of it";
    if (interrupted_after >= 3) {
      // The new one stands in its place; only the marker was left.
      fs::remove(fixture.state_dir() / "journal.new.db");
      fs::copy_file(fixture.state_dir() / name, fixture.file());
    }
    fixture.reopen();
    CHECK(fixture.journal().salvaged().has_value() == (interrupted_after < 3));
    CHECK(read_all(fixture.journal()).size() == 300);
    CHECK(!fs::exists(fixture.state_dir() / "journal.salvaging"));
    CHECK(set_aside(fixture).size() == 1);
    if (interrupted_after < 3) CHECK(check_salvaged(fixture, run).events == 300);
  }
}

TEST_CASE("damage: of many damaged files the newest few stay") {
  SqliteFixture fixture;
  for (int round = 0; round < 5; ++round) {
    fixture.reopen({.now = at_second(round), .damage = "found in use"});
    CHECK(set_aside(fixture).size() <= sqlite::kDamagedKept);
  }
  CHECK(set_aside(fixture).size() == sqlite::kDamagedKept);
}

TEST_CASE("damage: a torn end of the log is no damage") {
  SqliteFixture fixture;
  append_rows(fixture.journal(), 1, 50, 10);
  // A power cut in the middle of a write: copied as it stands, then with garbage behind the last commit.
  const fs::path copy = fixture.state_dir().string() + "-copy";
  fs::create_directories(copy);
  for (const char* name : {"journal.db", "journal.db-wal"}) {
    std::ofstream(copy / name, std::ios::binary) << contents(fixture.state_dir() / name);
  }
  std::ofstream(copy / "journal.db-wal", std::ios::binary | std::ios::app) << base::Bytes(3000, '\x77');
  fixture.close();
  fs::remove_all(fixture.state_dir());
  fs::rename(copy, fixture.state_dir());
  fixture.reopen();
  CHECK(!fixture.journal().salvaged());
  CHECK(read_all(fixture.journal()).size() == 50);
}

TEST_CASE("refusal: a journal of a newer schema is left as it is, byte for byte") {
  SqliteFixture fixture;
  fill(fixture, 50);
  {
    sqlite::Database database;
    REQUIRE(database.open(fixture.file().string(), SQLITE_OPEN_READWRITE, "") == SQLITE_OK);
    REQUIRE(database.run("PRAGMA user_version = 2") == SQLITE_OK);
  }
  const base::Bytes before = contents(fixture.file());
  const auto error = fixture.try_open();
  REQUIRE(error.has_value());
  CHECK(error->fault == sqlite::OpenFault::newer_schema);
  CHECK(error->detail.find("newer") != std::string::npos);
  CHECK(contents(fixture.file()) == before);
  CHECK(!fs::exists(fixture.file().string() + "-wal"));
  // Nor does an operator's command touch it.
  CHECK(sqlite::verify(fixture.state_dir(), "shop-0017").error().fault == sqlite::OpenFault::newer_schema);
  CHECK(sqlite::export_rows(fixture.state_dir(), [](const auto&) {}).error().fault == sqlite::OpenFault::newer_schema);
  CHECK(sqlite::salvage(fixture.state_dir(), fixture.settings(), fixture.needs(), at_second(0)).error().fault ==
        sqlite::OpenFault::newer_schema);
  CHECK(contents(fixture.file()) == before);
  CHECK(set_aside(fixture).empty());
}

TEST_CASE("refusal: another gateway's journal, and another program's file, are left as they are") {
  SqliteFixture fixture;
  fill(fixture, 50);
  SUBCASE("another gateway's") {
    fixture.settings().gateway_id = "shop-0018";
    const base::Bytes before = contents(fixture.file());
    const auto error = fixture.try_open();
    REQUIRE(error.has_value());
    CHECK(error->fault == sqlite::OpenFault::foreign_gateway);
    CHECK(error->detail.find("shop-0017") != std::string::npos);
    CHECK(sqlite::verify(fixture.state_dir(), "shop-0018")->problems ==
          std::vector<std::string>{"the journal of gateway 'shop-0017', not of 'shop-0018'"});
    CHECK(contents(fixture.file()) == before);
  }
  SUBCASE("another gateway's, asked to salvage") {
    fixture.settings().gateway_id = "shop-0018";
    const auto error = fixture.try_open({.now = at_second(0), .damage = "found in use"});
    REQUIRE(error.has_value());
    CHECK(error->fault == sqlite::OpenFault::foreign_gateway);
    CHECK(fs::exists(fixture.file()));
    fixture.settings().gateway_id = "shop-0017";
    fixture.reopen();
    CHECK(read_all(fixture.journal()).size() == 50);
  }
  SUBCASE("another program's") {
    fs::remove(fixture.file());
    sqlite::Database database;
    REQUIRE(database.open(fixture.file().string(), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "") == SQLITE_OK);
    REQUIRE(database.run("CREATE TABLE songs (title TEXT)") == SQLITE_OK);
    database.close();
    const base::Bytes before = contents(fixture.file());
    const auto error = fixture.try_open();
    REQUIRE(error.has_value());
    CHECK(error->fault == sqlite::OpenFault::not_a_journal);
    CHECK(contents(fixture.file()) == before);
  }
}

TEST_CASE("inspection: verify names what is wrong and changes nothing") {
  SqliteFixture fixture;
  fill(fixture, 500, 100);
  const auto sound = sqlite::verify(fixture.state_dir(), "shop-0017");
  REQUIRE(sound.has_value());
  CHECK(sound->sound());
  CHECK(sound->rows == 500);
  CHECK(sound->next == Row(501));
  CHECK(sound->acked == Row(100));
  CHECK(sound->gateway_id == "shop-0017");
  const std::size_t at = contents(fixture.file()).find("record 321.");
  overwrite(fixture.file(), at + 12, "!");
  const base::Bytes before = contents(fixture.file());
  const auto damaged = sqlite::verify(fixture.state_dir(), "shop-0017");
  REQUIRE(damaged.has_value());
  CHECK(damaged->problems == std::vector<std::string>{"row 321: its CRC differs"});
  CHECK(contents(fixture.file()) == before);
  CHECK(sqlite::verify(fixture.state_dir() / "nowhere", "shop-0017").error().fault == sqlite::OpenFault::storage);
}

TEST_CASE("inspection: a running gateway's journal is refused to every command") {
  SqliteFixture fixture;
  append_rows(fixture.journal(), 1, 3);
  CHECK(sqlite::verify(fixture.state_dir(), "shop-0017").error().fault == sqlite::OpenFault::in_use);
  CHECK(sqlite::export_rows(fixture.state_dir(), [](const sqlite::ExportedRow&) {}).error().fault ==
        sqlite::OpenFault::in_use);
  CHECK(sqlite::salvage(fixture.state_dir(), fixture.settings(), fixture.needs(), at_second(0)).error().fault ==
        sqlite::OpenFault::in_use);
}

TEST_CASE("inspection: export gives every row in order, and salvage keeps them") {
  SqliteFixture fixture;
  fill(fixture, 200, 50);
  std::uint64_t n = 0;
  const auto rows = sqlite::export_rows(fixture.state_dir(), [&](const sqlite::ExportedRow& row) {
    ++n;
    CHECK(row.row == Row(n));
    CHECK(row.seq == handoff::Seq(n));
    CHECK(row.committed == (n <= 50));
    CHECK(row.record == record_of(n));
  });
  CHECK(rows.value() == 200);
  const auto salvaged = sqlite::salvage(fixture.state_dir(), fixture.settings(), fixture.needs(), at_second(0));
  REQUIRE(salvaged.has_value());
  CHECK(salvaged->rows_kept == 200);
  CHECK(salvaged->holes == 0);
  fixture.reopen();
  CHECK(read_all(fixture.journal()).size() == 200);
}
