#include "cloud-bridge/adapters/sqlite/tail.hpp"

#include <doctest/doctest.h>

#include "cloud-bridge/adapters/sqlite/stream_file.hpp"
#include "tests/support/stream/stream_db.hpp"
#include "tests/support/stream/stream_records.hpp"
#include "tests/support/temp_folder.hpp"

namespace {

using namespace test;

struct Rig {
  support::TempFolder folder;
  std::string path = folder.file("stream.db");
  std::unique_ptr<sqlite::StreamFile> file = std::move(*sqlite::StreamFile::open(path, {}));
  std::string out;

  std::expected<void, std::string> tail(std::uint64_t from) {
    return sqlite::tail(
        {.path = path, .from = stream::Position(from), .follow = false},
        [this](std::string_view lines) { return out.append(lines), true; }, [] { return false; });
  }
};

}  // namespace

TEST_CASE("tail: a record is one line of flat JSON that begins with its position") {
  CHECK(sqlite::tail_line(stream::Position(7), record("shop-1", 1, 3).value) ==
        "{\"position\":7,\"schema_version\":1,\"seq\":3}\n");
  CHECK(sqlite::tail_line(stream::Position(7), "{}") == "{\"position\":7}\n");
}

TEST_CASE("tail: prints all from a position on") {
  Rig rig;
  REQUIRE(rig.file->commit(transaction("shop-1", 1, 1, 1234)).has_value());
  REQUIRE(rig.tail(0).has_value());
  CHECK(std::count(rig.out.begin(), rig.out.end(), '\n') == 1234);
  rig.out.clear();
  REQUIRE(rig.tail(1234).has_value());
  CHECK(rig.out == "{\"position\":1234,\"schema_version\":1,\"seq\":1234}\n");
  rig.out.clear();
  REQUIRE(rig.tail(1235).has_value());
  CHECK(rig.out.empty());
}

TEST_CASE("tail: follows what comes, and ends when nobody reads or it is stopped") {
  Rig rig;
  REQUIRE(rig.file->commit(transaction("shop-1", 1, 1, 2)).has_value());
  std::uint64_t committed = 2;
  const sqlite::TailSettings follow{.path = rig.path, .from = stream::Position(0), .follow = true};
  SUBCASE("stopped") {
    const auto ended = sqlite::tail(
        follow, [&](std::string_view lines) { return rig.out.append(lines), true; },
        [&] {
          const auto seen = std::count(rig.out.begin(), rig.out.end(), '\n');
          if (static_cast<std::uint64_t>(seen) < committed) return false;
          if (committed == 6) return true;
          ++committed;
          REQUIRE(rig.file->commit(transaction("shop-1", 1, committed, committed)).has_value());
          return false;
        });
    CHECK(ended.has_value());
    CHECK(std::count(rig.out.begin(), rig.out.end(), '\n') == 6);
  }
  SUBCASE("nobody reads") {
    CHECK(sqlite::tail(follow, [](std::string_view) { return false; }, [] { return false; }).has_value());
  }
}

TEST_CASE("tail: a file that is no stream is named") {
  Rig rig;
  rig.path = rig.folder.file("other.db");
  const auto missing = rig.tail(0);
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().find("other.db") != std::string::npos);
}
