// MemoryJournal: the journal without a disk, for tests and the simulator. What append() returned is "on disk": a Disk
// outlives the journals opened on it.
#pragma once

#include <map>
#include <set>

#include "firmware-gateway/journal/catalog.hpp"
#include "firmware-gateway/journal/identity.hpp"
#include "firmware-gateway/journal/quota.hpp"
#include "proto/base/random.hpp"

namespace support {

class MemoryJournal final : public journal::Journal {
 public:
  struct StoredEvent {
    std::uint64_t key_hash = 0;
    base::Bytes record;
  };
  // What survives.
  struct Disk {
    journal::Catalog catalog;
    std::map<journal::Row, StoredEvent> rows;
    std::map<journal::Row, base::UtcTime> committed;
    std::map<journal::Row, base::UtcTime> sent;
    bool made = false;
  };
  struct Settings {
    journal::QuotaLimits limits{512U << 20U, 16U << 20U};
    std::chrono::seconds retention{35 * 24 * 3600};
    // What a row takes beside its record; more of it makes few rows fill the quota.
    std::uint64_t row_overhead_bytes = 48;
  };

  // All must outlive the journal.
  MemoryJournal(Disk& disk, const Settings& settings, const base::Hasher& hasher, base::Random& random);

  // The next call that would write fails so, as the real one would.
  void fail_next(journal::Error error) { fail_next_ = error; }

  [[nodiscard]] const handoff::JournalState& opened() const override { return opened_; }
  [[nodiscard]] const journal::Tallies& opened_tallies() const override { return opened_tallies_; }
  [[nodiscard]] const journal::HashKey& hash_key() const override { return *disk_.catalog.hash_key; }
  [[nodiscard]] base::Result<std::vector<journal::AppendOutcome>, journal::Error> append(
      std::span<const journal::AppendItem> items) override;
  [[nodiscard]] base::Result<std::vector<journal::StoredRow>, journal::Error> read(journal::Row from,
                                                                                   std::size_t max_rows,
                                                                                   std::size_t max_bytes) override;
  [[nodiscard]] base::Result<void, journal::Error> start_epoch(const handoff::EpochStart& epoch,
                                                               const std::optional<handoff::Segment>& run) override;
  void remember_acked(const handoff::Mark& acked, base::UtcTime committed_at) override;
  void remember_sent(journal::Row through, base::UtcTime sent_at) override;
  [[nodiscard]] base::Result<void, journal::Error> flush() override;
  [[nodiscard]] base::Result<journal::TrimOutcome, journal::Error> trim(base::UtcTime now) override;
  [[nodiscard]] base::Result<std::vector<journal::History>, journal::Error> find(std::uint64_t key_hash,
                                                                                 std::size_t limit) override;
  [[nodiscard]] base::Result<journal::VerifyStep, journal::Error> verify(journal::Row from) override;
  [[nodiscard]] journal::Usage usage() override;

 private:
  [[nodiscard]] journal::Row oldest() const { return disk_.catalog.base->row.next(); }
  [[nodiscard]] std::optional<journal::Error> failure();
  [[nodiscard]] std::vector<journal::Candidate> candidates(const journal::AppendItem& item) const;
  [[nodiscard]] bool admits(const journal::AppendItem& item);
  void store(const journal::AppendItem& item);
  void drop_oldest();
  void shorten_committed(journal::Row last);
  [[nodiscard]] std::uint64_t used_bytes() const;
  [[nodiscard]] static std::optional<base::UtcTime> covering(const std::map<journal::Row, base::UtcTime>& times,
                                                             journal::Row row);

  Disk& disk_;
  Settings settings_;
  const base::Hasher& hasher_;
  journal::Quota quota_;
  handoff::JournalState opened_;
  journal::Tallies opened_tallies_;
  journal::Row next_{1};
  handoff::Run opening_;
  bool opening_has_segment_ = false;
  std::uint64_t stored_bytes_ = 0;
  std::optional<journal::Error> fail_next_;
  std::optional<journal::Error> failed_;
  base::UtcTime latest_time_;
  std::optional<std::chrono::seconds> shrunk_to_;
};

}  // namespace support
