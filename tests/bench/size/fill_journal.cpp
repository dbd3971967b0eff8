// Fills the journal of a stopped gateway: its own records again and again, as new events, until it has so many rows.
//
//   fill_journal STATE_FOLDER GATEWAY_ID ROWS
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "firmware-gateway/adapters/sqlite/sqlite_journal.hpp"
#include "proto/base/assert.hpp"
#include "proto/platform/system.hpp"
#include "tests/support/seeded_random.hpp"

int main(int argc, char** argv) {
  ASSERT(argc == 4);
  constexpr std::size_t group = 1000;
  const auto rows = static_cast<std::uint64_t>(std::atoll(argv[3]));
  const auto folder = sqlite::StateFolder::open(argv[1]);
  ASSERT(folder);
  support::SeededRandom random{rows};  // other keys at each filling
  const sqlite::JournalNeeds needs{platform::hasher(), random,
                                   [](const journal::Loss&) { return base::Bytes("notice"); }};
  sqlite::JournalSettings settings;
  settings.gateway_id = argv[2];
  settings.limits = {4ULL << 30U, 16U << 20U};
  settings.retention = std::chrono::hours(24);
  auto journal = sqlite::SqliteJournal::open(*folder, settings, needs, {.now = platform::now().utc});
  if (!journal) {
    fmt::print(stderr, "{}\n", journal.error().detail);
    return 1;
  }
  const auto own = (*journal)->read(handoff::Row(1), group, 16U << 20U);
  ASSERT(own && !own->empty());
  std::size_t bytes = 0;
  for (const auto& row : *own) bytes += row.record.size();
  for (std::uint64_t have = (*journal)->usage().rows; have < rows;) {
    std::vector<journal::AppendItem> items(std::min<std::uint64_t>(group, rows - have));
    for (std::size_t i = 0; i < items.size(); ++i) {
      items[i].key_hash = random.next();
      items[i].record = (*own)[i % own->size()].record;
    }
    const auto appended = (*journal)->append(items);
    ASSERT(appended);
    have += items.size();
  }
  fmt::print(R"({{"rows": {}, "record_bytes": {}}})"
             "\n",
             rows, bytes / own->size());
}
