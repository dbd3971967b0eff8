// A damaged journal's repeats: what was kept is known again, and of what is not the stream is told.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

#include "tests/contract/journal/fixtures.hpp"

using namespace support;
using journal::Row;

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPage = sqlite::kPageBytes;
constexpr std::uint64_t kRows = 900;
const base::Bytes kForgottenNotice = "notice: repeats unknown";

// Every 50th holds something made with the journal's key.
base::Bytes keyed_record(std::uint64_t n) { return record_of(n) + (n % 50 == 0 ? ".#" : "."); }

journal::AppendItem keyed_item(const journal::HashKey& key, std::uint64_t n) {
  const base::Bytes record = keyed_record(n);
  return {
      .key_hash = keyed_hash(key, record), .priority = journal::Priority::money, .record = record, .seen_through = {}};
}

// A closed journal of kRows, of which the stream has the first `acked`.
void fill(SqliteFixture& fixture, std::uint64_t acked) {
  std::vector<journal::AppendItem> items;
  for (std::uint64_t n = 1; n <= kRows; ++n) items.push_back(keyed_item(fixture.journal().hash_key(), n));
  REQUIRE(fixture.journal().append(items).has_value());
  fixture.journal().remember_acked(plain_mark(acked), at_second(0));
  REQUIRE(fixture.journal().flush().has_value());
  fixture.close();
}

void zero_pages(const SqliteFixture& fixture, std::uint64_t first, std::uint64_t count) {
  std::fstream file(fixture.file(), std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>((first - 1) * kPage));
  const base::Bytes zeros(count * kPage, '\0');
  file.write(zeros.data(), static_cast<std::streamsize>(zeros.size()));
}

base::Bytes contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::set<std::uint64_t> kept(SqliteFixture& fixture) {
  std::set<std::uint64_t> numbers;
  for (const auto& row : read_all(fixture.journal())) {
    if (row.record.starts_with("record ")) numbers.insert(std::stoull(row.record.substr(7)));
  }
  return numbers;
}

// Whether event n, sent once more, is known as the one that is stored.
bool is_known(SqliteFixture& fixture, std::uint64_t n) {
  const auto item = keyed_item(fixture.journal().hash_key(), n);
  const auto outcomes = fixture.journal().append({&item, 1});
  REQUIRE(outcomes.has_value());
  const auto* candidates = std::get_if<journal::Candidates>(&outcomes->front());
  return candidates != nullptr && candidates->rows.front().record == item.record;
}

bool told_as_lost(SqliteFixture& fixture, std::uint64_t n) {
  return std::ranges::any_of(fixture.losses(), [n](const journal::Loss& loss) {
    return loss.first <= Row(n) && (!loss.last || Row(n) <= *loss.last);
  });
}

std::uint64_t notices(SqliteFixture& fixture) {
  const auto rows = read_all(fixture.journal());
  return static_cast<std::uint64_t>(
      std::ranges::count(rows, kForgottenNotice, [](const journal::StoredRow& row) { return row.record; }));
}

struct Pages {
  std::uint64_t first;
  std::uint64_t count;
};

}  // namespace

TEST_CASE("salvaged repeats: whatever pages are lost, a kept event is known, and another one is told of") {
  for (const std::uint64_t acked : {std::uint64_t{0}, std::uint64_t{400}, kRows}) {
    for (const Pages pages : {Pages{1, 1}, Pages{1, 3}, Pages{1, 5}, Pages{2, 1}, Pages{2, 3}, Pages{3, 1}, Pages{3, 2},
                              Pages{3, 9}, Pages{4, 1}, Pages{4, 4}, Pages{20, 1}, Pages{20, 8}}) {
      CAPTURE(acked);
      CAPTURE(pages.first);
      CAPTURE(pages.count);
      SqliteFixture fixture;
      fill(fixture, acked);
      zero_pages(fixture, pages.first, pages.count);
      fixture.reopen();
      REQUIRE(fixture.journal().salvaged().has_value());
      CHECK(!fixture.journal().salvaged()->hash_key_lost);
      const auto stored = kept(fixture);
      CHECK(stored.size() + pages.count * 120 > kRows);
      std::uint64_t forgotten = 0;
      for (std::uint64_t n = 1; n <= kRows; ++n) {
        CAPTURE(n);
        if (stored.contains(n)) {
          CHECK(is_known(fixture, n));
          continue;
        }
        ++forgotten;
        CHECK((n <= acked || told_as_lost(fixture, n)));
      }
      // Whether the stream has them or not, which the mark on disk knows only in part: their repeats are new events.
      const bool open_end = std::ranges::any_of(fixture.losses(), [](const journal::Loss& loss) { return !loss.last; });
      const bool any = forgotten > 0 || open_end;
      CHECK(notices(fixture) == (any ? 1 : 0));
      REQUIRE(fixture.forgotten().size() == (any ? 1 : 0));
      if (!any) continue;
      const journal::Forgotten& told = fixture.forgotten().back();
      CHECK(told.rows == fixture.journal().salvaged()->forgotten);
      CHECK((told.more ? told.rows <= forgotten : told.rows == forgotten));
    }
  }
}

TEST_CASE("salvaged repeats: with the key's copy gone, too, or another journal's, rows are hashed anew") {
  for (const std::string copy : {"gone", "damaged", "another journal's"}) {
    for (const Pages pages : {Pages{2, 3}, Pages{3, 1}, Pages{1, 3}}) {
      CAPTURE(copy);
      CAPTURE(pages.first);
      SqliteFixture fixture;
      fill(fixture, kRows);
      zero_pages(fixture, pages.first, pages.count);
      const fs::path key = fixture.state_dir() / "journal.key";
      REQUIRE(fs::file_size(key) == 20);
      if (copy == "gone") fs::remove(key);
      if (copy == "damaged") std::fstream(key, std::ios::binary | std::ios::in | std::ios::out) << "!";
      if (copy == "another journal's") {
        SqliteFixture other;
        other.close();
        other.settings().gateway_id = "shop-0018";
        fs::remove_all(other.state_dir());
        other.reopen();
        REQUIRE(contents(other.state_dir() / "journal.key") != contents(key));
        fs::copy_file(other.state_dir() / "journal.key", key, fs::copy_options::overwrite_existing);
      }
      fixture.reopen();
      REQUIRE(fixture.journal().salvaged().has_value());
      CHECK(fixture.journal().salvaged()->hash_key_lost);
      const auto stored = kept(fixture);
      std::uint64_t marked = 0;
      for (const std::uint64_t n : stored) {
        CAPTURE(n);
        CHECK(is_known(fixture, n));
        if (n % 50 == 0) ++marked;
      }
      // What was made with the old key looks different in a repeat, and what is gone cannot be compared.
      const std::uint64_t gone = kRows - stored.size();
      CHECK(fixture.journal().salvaged()->forgotten == marked + gone);
      CHECK(notices(fixture) == 1);
      // From now on that is the key, and its copy.
      const auto new_key = fixture.journal().hash_key();
      zero_pages(fixture, 3, 1);
      fixture.reopen();
      CHECK(fixture.journal().hash_key() == new_key);
    }
  }
}

TEST_CASE("salvaged repeats: a salvage that loses nothing tells of nothing") {
  SqliteFixture fixture;
  fill(fixture, 400);
  fixture.reopen({.now = at_second(0), .damage = "found in use"});
  CHECK(fixture.journal().salvaged()->forgotten == 0);
  CHECK(fixture.forgotten().empty());
  CHECK(is_known(fixture, 17));
}

TEST_CASE("salvaged repeats: an older journal that is put back brings its own key") {
  SqliteFixture fixture;
  fill(fixture, kRows);
  const fs::path aside = fixture.state_dir().string() + "-older";
  fs::create_directories(aside);
  fs::rename(fixture.file(), aside / "journal.db");
  fixture.reopen();
  const auto other_key = fixture.journal().hash_key();
  fixture.close();
  fs::rename(aside / "journal.db", fixture.file());
  fixture.reopen();
  CHECK(fixture.journal().hash_key() != other_key);
  CHECK(is_known(fixture, 5));
  fixture.close();
  zero_pages(fixture, 3, 1);
  fixture.reopen();
  CHECK(!fixture.journal().salvaged()->hash_key_lost);
  CHECK(is_known(fixture, 5));
}
