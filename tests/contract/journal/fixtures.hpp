// What the contract suite runs against: each fixture opens the same journal again and again, as a gateway does that
// restarts.
#pragma once

#include <doctest/doctest.h>

#include <memory>

#include "firmware-gateway/adapters/sqlite/sqlite_journal.hpp"
#include "firmware-gateway/journal/sip_hash.hpp"
#include "proto/platform/system.hpp"
#include "tests/support/memory_journal.hpp"
#include "tests/support/seeded_random.hpp"
#include "tests/support/temp_folder.hpp"

namespace support {

struct ContractSettings {
  std::uint64_t quota_bytes = 512U << 20U;
  std::uint64_t reserve_bytes = 16U << 20U;
  std::chrono::seconds retention{1000};
};

// 2026-11-24, 12:00 UTC, and seconds after it.
inline base::UtcTime at_second(std::int64_t seconds) {
  return base::UtcTime(std::chrono::milliseconds(1'795'521'600'000 + seconds * 1000));
}

// As an event's key hash depends on the journal's key. A record with a '#' holds something else made with that key.
inline std::uint64_t keyed_hash(const journal::HashKey& key, base::BytesView record) {
  return journal::sip_hash(key, record.substr(0, record.find('.')));
}
inline std::optional<journal::RecordKey> record_key(const journal::HashKey& key, base::BytesView record) {
  if (!record.starts_with("record ")) return std::nullopt;
  return journal::RecordKey{.hash = keyed_hash(key, record), .lasting = record.find('#') == base::BytesView::npos};
}

class MemoryFixture {
 public:
  explicit MemoryFixture(const ContractSettings& settings = {}) : settings_(settings) { reopen(); }

  // What was not on disk is gone.
  void reopen() {
    journal_ = std::make_unique<MemoryJournal>(
        disk_, MemoryJournal::Settings{{settings_.quota_bytes, settings_.reserve_bytes}, settings_.retention},
        platform::hasher(), random_);
  }
  [[nodiscard]] journal::Journal& journal() { return *journal_; }

 private:
  ContractSettings settings_;
  SeededRandom random_{1};
  MemoryJournal::Disk disk_;
  std::unique_ptr<MemoryJournal> journal_;
};

class SqliteFixture {
 public:
  // `state_dir`: elsewhere than in a folder of its own.
  explicit SqliteFixture(const ContractSettings& settings = {}, std::filesystem::path state_dir = {})
      : state_dir_(state_dir.empty() ? temp_.path() / "state" : std::move(state_dir)) {
    settings_.gateway_id = "shop-0017";
    settings_.limits = {settings.quota_bytes, settings.reserve_bytes};
    settings_.retention = settings.retention;
    reopen();
  }

  void reopen(const sqlite::SqliteJournal::OpenOptions& options = {.now = at_second(0)}) {
    const auto error = try_open(options);
    REQUIRE_MESSAGE(!error, (error ? error->detail : ""));
  }
  // Leaves no journal open when it returns an error.
  [[nodiscard]] std::optional<sqlite::OpenError> try_open(const sqlite::SqliteJournal::OpenOptions& options = {
                                                              .now = at_second(0)}) {
    close();
    auto folder = sqlite::StateFolder::open(state_dir_);
    if (!folder) return folder.error();
    folder_ = std::make_unique<sqlite::StateFolder>(std::move(*folder));
    auto opened = sqlite::SqliteJournal::open(*folder_, settings_, needs_, options);
    if (!opened) {
      folder_.reset();
      return opened.error();
    }
    journal_ = std::move(*opened);
    return std::nullopt;
  }
  void close() {
    journal_.reset();
    folder_.reset();
  }

  [[nodiscard]] sqlite::SqliteJournal& journal() { return *journal_; }
  [[nodiscard]] sqlite::JournalSettings& settings() { return settings_; }
  [[nodiscard]] const sqlite::JournalNeeds& needs() const { return needs_; }
  [[nodiscard]] std::filesystem::path state_dir() const { return state_dir_; }
  [[nodiscard]] std::filesystem::path file() const { return state_dir_ / "journal.db"; }
  // Losses that notices were made of.
  [[nodiscard]] std::vector<journal::Loss>& losses() { return losses_; }
  // Rows whose repeats are not known any more, as a notice says it.
  [[nodiscard]] std::vector<journal::Forgotten>& forgotten() { return forgotten_; }

 private:
  TempFolder temp_;
  std::filesystem::path state_dir_;
  SeededRandom random_{1};
  std::vector<journal::Loss> losses_;
  std::vector<journal::Forgotten> forgotten_;
  sqlite::JournalSettings settings_;
  sqlite::JournalNeeds needs_{platform::hasher(), random_,
                              [this](const journal::Loss& loss) {
                                losses_.push_back(loss);
                                return base::Bytes("notice: events lost");
                              },
                              &record_key,
                              [this](const journal::Forgotten& forgotten) {
                                forgotten_.push_back(forgotten);
                                return base::Bytes("notice: repeats unknown");
                              }};
  std::unique_ptr<sqlite::StateFolder> folder_;
  std::unique_ptr<sqlite::SqliteJournal> journal_;
};

inline base::Bytes record_of(std::uint64_t n) { return "record " + std::to_string(n) + std::string(n % 300, '.'); }

inline journal::AppendItem item_of(std::uint64_t n) {
  return {.key_hash = n * 7919, .priority = journal::Priority::money, .record = record_of(n), .seen_through = {}};
}

// Appends one event a call … or `group` a call; all must be stored. Events are numbered as their rows will be.
inline void append_rows(journal::Journal& journal, std::uint64_t first, std::uint64_t last, std::size_t group = 100) {
  std::vector<journal::AppendItem> items;
  for (std::uint64_t n = first; n <= last; ++n) {
    items.push_back(item_of(n));
    if (items.size() < group && n < last) continue;
    const auto outcomes = journal.append(items);
    REQUIRE(outcomes.has_value());
    for (const auto& outcome : *outcomes) REQUIRE(std::holds_alternative<journal::Appended>(outcome));
    items.clear();
  }
}

inline std::vector<journal::StoredRow> read_all(journal::Journal& journal) {
  std::vector<journal::StoredRow> rows;
  journal::Row from(0);
  while (true) {
    auto step = journal.read(from, 1000, 1U << 20U);
    REQUIRE(step.has_value());
    if (step->empty()) return rows;
    from = step->back().row.next();
    for (auto& row : *step) rows.push_back(std::move(row));
  }
}

// The mark at `row`, computed from the records alone: rows 1 … are all of `epoch` and of the runs that begin at
// `run_starts`.
inline handoff::Mark mark_at(std::uint64_t row, const handoff::EpochStart& epoch,
                             const std::vector<handoff::Segment>& segments) {
  const base::Hasher& hasher = platform::hasher();
  handoff::Mark mark{journal::Row(row), handoff::chain_start(hasher, epoch.epoch), {}};
  for (std::uint64_t n = 1; n <= row; ++n) {
    for (const handoff::Segment& segment : segments) {
      if (segment.first_row == journal::Row(n)) mark.run_digest = handoff::chain_start(hasher, segment.run);
    }
    mark.epoch_digest = handoff::chain(hasher, mark.epoch_digest, record_of(n));
    mark.run_digest = handoff::chain(hasher, mark.run_digest, record_of(n));
  }
  return mark;
}

inline handoff::Mark plain_mark(std::uint64_t row) { return {journal::Row(row), {}, {}}; }

}  // namespace support
