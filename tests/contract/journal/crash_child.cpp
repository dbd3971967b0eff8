// A gateway's journal in a process of its own, for tests that kill it: appends rows without end and says on stdout,
// after each append has returned, how many are stored. With a second argument it stops forever between INSERT and
// COMMIT of that row.
#define DOCTEST_CONFIG_IMPLEMENT  // what the fixtures use of it, without its main()
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "tests/contract/journal/fixtures.hpp"

namespace {

std::uint64_t stop_at = 0;

// Called by SQLite at each row that is inserted, before the transaction commits.
void on_insert(void* /*context*/, int /*operation*/, const char* /*database*/, const char* table, sqlite3_int64 row) {
  if (std::string_view(table) != "rows" || static_cast<std::uint64_t>(row) != stop_at) return;
  std::printf("inserted %lld\n", static_cast<long long>(row));
  std::fflush(stdout);
  while (true) ::pause();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  if (argc > 2) stop_at = std::strtoull(argv[2], nullptr, 10);
  if (stop_at != 0) {
    sqlite3_auto_extension(
        reinterpret_cast<void (*)()>(+[](sqlite3* database, const char** /*error*/, const void* /*api*/) {
          sqlite3_update_hook(database, on_insert, nullptr);
          return SQLITE_OK;
        }));
  }
  support::SeededRandom random(static_cast<std::uint64_t>(::getpid()));
  sqlite::JournalSettings settings;
  settings.gateway_id = "shop-0017";
  settings.limits = {512U << 20U, 16U << 20U};
  settings.retention = std::chrono::seconds(1000);
  const sqlite::JournalNeeds needs{platform::hasher(), random,
                                   [](const journal::Loss& /*loss*/) { return base::Bytes("notice"); }};
  auto folder = sqlite::StateFolder::open(argv[1]);
  if (!folder) return 1;
  auto opened = sqlite::SqliteJournal::open(*folder, settings, needs, {.now = support::at_second(0)});
  if (!opened) return 1;
  for (std::uint64_t n = (*opened)->opened().next.value();; n += 3) {
    std::vector<journal::AppendItem> group = {support::item_of(n), support::item_of(n + 1), support::item_of(n + 2)};
    for (journal::AppendItem& item : group) item.tally = {.key = "T1", .add = {1, 10}};
    const auto outcomes = (*opened)->append(group);
    if (!outcomes) return 1;
    fmt::print("stored {}\n", n + 2);
    std::fflush(stdout);
  }
}
