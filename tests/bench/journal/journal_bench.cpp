// What the journal costs on this disk: one-by-one commits, groups, draining, opening. `journal_bench [folder] [page
// size …]`
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "firmware-gateway/adapters/sqlite/sqlite_journal.hpp"
#include "proto/platform/system.hpp"
#include "tests/support/seeded_random.hpp"

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

class Bench {
 public:
  Bench(const std::filesystem::path& folder, int page_bytes) : folder_(std::move(*sqlite::StateFolder::open(folder))) {
    settings_.gateway_id = "bench";
    settings_.limits = {2ULL << 30U, 16U << 20U};
    settings_.retention = std::chrono::seconds(1);
    settings_.page_bytes = page_bytes;
    open();
  }

  double open() {
    journal_.reset();
    const auto start = Clock::now();
    auto opened = sqlite::SqliteJournal::open(folder_, settings_, needs_, {.now = platform::now().utc});
    if (!opened) {
      fmt::print(stderr, "{}\n", opened.error().detail);
      std::exit(1);
    }
    journal_ = std::move(*opened);
    return milliseconds_since(start);
  }

  void append(std::size_t group, std::size_t commits) {
    std::vector<double> each;
    const std::uint64_t written = journal_->usage().bytes_written_total;
    const auto start = Clock::now();
    for (std::size_t i = 0; i < commits; ++i) {
      const auto at = Clock::now();
      append_group(group);
      each.push_back(milliseconds_since(at));
    }
    const double total = milliseconds_since(start);
    const auto events = static_cast<double>(group * commits);
    std::sort(each.begin(), each.end());
    fmt::print(
        "groups of {:4}: {:8.0f} events/s, a commit p50 {:.2f} ms p99 {:.2f} ms, {:.0f} bytes written an event\n",
        group, events / total * 1000, each[each.size() / 2], each[each.size() * 99 / 100],
        static_cast<double>(journal_->usage().bytes_written_total - written) / events);
  }

  void fill(std::uint64_t rows) {
    while (journal_->usage().rows < rows) append_group(1000);
  }

  void drain() {
    const auto start = Clock::now();
    std::uint64_t rows = 0;
    for (journal::Row from(1);;) {
      const auto step = journal_->read(from, 512, 1U << 20U);
      if (!step || step->empty()) break;
      rows += step->size();
      from = step->back().row.next();
    }
    fmt::print("reading {} rows: {:.0f} rows/s\n", rows, static_cast<double>(rows) / milliseconds_since(start) * 1000);
  }

  void trim() {
    journal_->remember_acked({journal::Row(next_ - 1), {}, {}}, platform::now().utc);
    const auto later = platform::now().utc + std::chrono::hours(1);
    const auto start = Clock::now();
    std::uint64_t rows = 0;
    for (bool more = true; more;) {
      const auto step = journal_->trim(later);
      if (!step) break;
      rows += step->rows;
      more = step->more;
    }
    fmt::print("trimming {} rows: {:.0f} rows/s\n", rows, static_cast<double>(rows) / milliseconds_since(start) * 1000);
  }

 private:
  void append_group(std::size_t count) {
    std::vector<journal::AppendItem> items(count);
    for (auto& item : items) {
      item.key_hash = random_.next();
      item.record = base::Bytes(220, static_cast<char>(next_++));
    }
    if (!journal_->append(items)) std::exit(1);
  }

  sqlite::StateFolder folder_;
  support::SeededRandom random_{1};
  sqlite::JournalSettings settings_;
  sqlite::JournalNeeds needs_{platform::hasher(), random_, [](const journal::Loss&) { return base::Bytes("notice"); }};
  std::unique_ptr<sqlite::SqliteJournal> journal_;
  std::uint64_t next_ = 1;
};

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path folder = argc > 1 ? argv[1] : "journal-bench";
  std::vector<int> sizes;
  for (int i = 2; i < argc; ++i) sizes.push_back(std::atoi(argv[i]));
  if (sizes.empty()) sizes = {1024, 4096};
  for (const int page_bytes : sizes) {
    fmt::print("page_size {}, records of 220 bytes\n", page_bytes);
    std::filesystem::remove_all(folder);
    Bench bench(folder, page_bytes);
    bench.append(1, 2000);
    bench.append(64, 400);
    bench.append(256, 200);
    bench.fill(500'000);
    fmt::print("opening with 500,000 rows: {:.0f} ms\n", bench.open());
    bench.drain();
    bench.trim();
  }
  std::filesystem::remove_all(folder);
}
