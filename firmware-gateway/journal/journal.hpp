// Journal: where an event is safe. Appends durably, reads in order, trims what the stream has committed.
//
//   absent ──open──▶ open ──append/read/trim──▶ open ──failed fsync──▶ broken ──reopen──▶ open
//
// Invariants:
//   (1) A row that append() returned is on disk: it survives a power cut.
//   (2) Rows are numbered 1, 2, 3 … in the order of their appends; a number is never used twice.
//   (3) trim() never removes a row beyond the acked mark.
//   (4) After any storage error nothing is retried on this object: it answers `broken` until it is opened anew.
//   (5) Nothing is evicted to make room for a new event except committed rows; a full journal refuses.
//
// Not thread-safe: one thread owns it (see journal_thread in adapters).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "proto/base/instant.hpp"
#include "proto/base/result.hpp"
#include "proto/handoff/types.hpp"

namespace journal {

using handoff::Row;

enum class Error {
  full,    // The quota is reached: nothing was stored. Answer `busy`; forwarding goes on.
  disk_full,  // The disk has no room, or a smaller quota than ours: nothing was stored. Answer `busy`.
  broken,  // The disk failed; the outcome is unknown. Answer `storage`, close, open anew.
  damaged, // The file is corrupt. Set it aside and salvage.
};

// Who may use the last of the quota.
enum class Priority { money, telemetry };

struct AppendItem {
  // SipHash (keyed, random a journal) or better of the duplicate key; equal keys have equal hashes.
  std::uint64_t key_hash = 0;
  Priority priority = Priority::money;
  base::Bytes record;
  // The caller has already looked at every candidate up to this row and knows that none of them is this event.
  Row seen_through;
};

// A stored row that may be the same event: it has the same key_hash. The caller compares.
struct Candidate {
  Row row;
  base::Bytes record;
};

struct Appended {
  Row row;
};
struct Candidates {
  std::vector<Candidate> rows;  // newest first, never empty
};
struct Refused {
  Error error;  // full or disk_full
};
// What became of one item. An item with candidates was not stored: decide, and append again with seen_through.
using AppendOutcome = std::variant<Appended, Candidates, Refused>;

struct StoredRow {
  Row row;
  base::Bytes record;
};

// One row's way, for the local history.
struct History {
  Row row;
  base::Bytes record;
  std::optional<base::UtcTime> sent_at;
  std::optional<base::UtcTime> committed_at;
};

enum class Admission { open, money_only, closed };

struct Usage {
  std::uint64_t bytes = 0;        // database + WAL + ballast
  std::uint64_t quota_bytes = 0;
  std::uint64_t free_disk_bytes = 0;
  std::uint64_t bytes_written_total = 0;  // handed to the operating system since opening
  Admission admission = Admission::open;
};

struct TrimOutcome {
  std::uint64_t rows = 0;
  // Oldest row retained afterwards, and the digests just before it.
  Row oldest;
  handoff::Mark base;
  // Rows younger than the retention had to go: the duplicate window shrank to this age.
  std::optional<std::chrono::seconds> window_shrank_to;
  // There is more to trim: call again.
  bool more = false;
};

class Journal {
 public:
  virtual ~Journal() = default;

  // What opening found. Valid until the next open.
  [[nodiscard]] virtual const handoff::JournalState& opened() const = 0;

  // Appends all items that are new, in order, in one transaction. When it returns, those that were Appended are on disk.
  // A failed transaction stores none of them.
  [[nodiscard]] virtual base::Result<std::vector<AppendOutcome>, Error> append(std::span<const AppendItem> items) = 0;

  // Rows from `from` on, in order, until max_rows or max_bytes (at least one row when there is one).
  [[nodiscard]] virtual base::Result<std::vector<StoredRow>, Error> read(Row from, std::size_t max_rows,
                                                                         std::size_t max_bytes) = 0;

  // Makes an epoch attempt the current one, and where `run` is given, re-identifies the rows from run->first_row on. On disk
  // when it returns.
  [[nodiscard]] virtual base::Result<void, Error> start_epoch(const handoff::EpochStart& epoch,
                                                              const std::optional<handoff::Segment>& run) = 0;

  // Remembers how far the stream has committed, and when rows were sent. Need not be on disk at once: after a crash an older
  // mark serves as well, only slower. Written with the next append, or by flush().
  virtual void remember_acked(const handoff::Mark& acked, base::UtcTime committed_at) = 0;
  virtual void remember_sent(Row through, base::UtcTime sent_at) = 0;
  [[nodiscard]] virtual base::Result<void, Error> flush() = 0;

  // One bounded step of removing rows that are committed and older than the retention, or younger when the quota presses.
  [[nodiscard]] virtual base::Result<TrimOutcome, Error> trim(base::UtcTime now) = 0;

  // Rows whose key_hash is this, newest first, at most `limit`.
  [[nodiscard]] virtual base::Result<std::vector<History>, Error> find(std::uint64_t key_hash, std::size_t limit) = 0;

  [[nodiscard]] virtual Usage usage() const = 0;
};

}  // namespace journal
