// Journal: where an event is safe. Appends durably, reads in order, trims what the stream has committed.
//
//   absent ──open──▶ open ──append/read/trim──▶ open ──failed write, fsync──▶ broken ──close, open──▶ open
//                                                 └────corrupt page, CRC────▶ damaged ──close, salvage, open──▶ open
//
// Invariants:
//   (1) A row that append() returned is on disk: it survives a power cut.
//   (2) Rows are numbered 1, 2, 3 … in the order of their appends, without gaps; a number is never used twice.
//   (3) trim() never removes a row beyond the acked mark.
//   (4) After a storage error nothing is retried on this object: every call answers that error until it is opened anew.
//   (5) Nothing is evicted to make room for a new event except committed rows; a full journal refuses.
//
// Not thread-safe: one thread owns it (JournalThread, in the adapters, lends it to an event loop).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "firmware-gateway/journal/tally.hpp"
#include "proto/base/instant.hpp"
#include "proto/base/result.hpp"
#include "proto/handoff/types.hpp"

namespace journal {

using handoff::Row;

enum class Error {
  full,       // The quota is reached: nothing was stored. Answer `busy`; forwarding goes on.
  disk_full,  // The disk has no room: nothing was stored. Answer `busy`; forwarding goes on.
  broken,     // Reading or writing failed; the outcome is unknown. Answer `storage`, close, open anew.
  damaged,    // The file is corrupt; the outcome is unknown. Answer `storage`, close, open anew with salvage.
};
[[nodiscard]] std::string_view to_string(Error error);

// Who may use the last of the quota.
enum class Priority { money, telemetry };

struct AppendItem {
  // A keyed hash of the duplicate key, with the journal's own hash_key(): equal keys have equal hashes.
  std::uint64_t key_hash = 0;
  Priority priority = Priority::money;
  base::Bytes record;
  // The caller has already looked at every candidate up to this row and knows that none of them is this event.
  Row seen_through;
  // Counts when the row is appended, and only then.
  std::optional<Tally> tally = std::nullopt;
};

// A stored row that may be the same event: it has the same key_hash. The caller compares.
struct Candidate {
  Row row;
  base::Bytes record;
};

struct Appended {
  Row row;
};
// What may be the same event: the oldest kCandidatesMax rows that the caller has not seen, newest first, never empty.
// There may be more beyond: with seen_through at the newest of these, the next append shows them.
struct Candidates {
  std::vector<Candidate> rows;
};
struct Refused {
  Error error;  // full or disk_full
};
// What became of one item. An item with candidates was not stored: decide, and append again with seen_through. A repeat
// of another item of the same call gets that one's row as a candidate.
using AppendOutcome = std::variant<Appended, Candidates, Refused>;

// More than the days of retention: terminals that count their references anew each day share a key hash with
// themselves.
inline constexpr std::size_t kCandidatesMax = 64;

struct StoredRow {
  Row row;
  base::Bytes record;
};

// One row's way, for the local history. Times are exact to the second, never too early.
struct History {
  Row row;
  base::Bytes record;
  std::optional<base::UtcTime> sent_at;
  std::optional<base::UtcTime> committed_at;
};

enum class Admission { open, money_only, closed };

struct Usage {
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;  // live pages of the database + WAL + ballast; never more than quota_bytes
  std::uint64_t quota_bytes = 0;
  std::uint64_t free_disk_bytes = 0;
  std::uint64_t bytes_written_total = 0;  // handed to the operating system since opening
  std::uint64_t index_slots = 0;          // rows that the duplicate index holds
  Admission admission = Admission::open;
  bool disk_full = false;  // refusing because the disk, not the quota, is full
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

// One bounded step of looking at every row.
struct VerifyStep {
  std::uint64_t rows = 0;
  // Rows whose CRC differs, that are missing, or that cannot be read; at most kVerifyRowsMax a step.
  std::vector<Row> bad;
  // Where the next step begins; none: all rows have been seen.
  std::optional<Row> next;
};

inline constexpr std::size_t kVerifyRowsMax = 4096;

class Journal {
 public:
  virtual ~Journal() = default;

  // What opening found. Valid until the next open; not changed by what happens afterwards.
  [[nodiscard]] virtual const handoff::JournalState& opened() const = 0;
  [[nodiscard]] virtual const Tallies& opened_tallies() const = 0;
  // Key for AppendItem::key_hash: random, made with the journal.
  [[nodiscard]] virtual const std::array<std::uint8_t, 16>& hash_key() const = 0;

  // Appends all items that are new, in order, in one transaction. When it returns, those that were Appended are on
  // disk. A failed transaction stores none of them.
  [[nodiscard]] virtual base::Result<std::vector<AppendOutcome>, Error> append(std::span<const AppendItem> items) = 0;

  // Rows from `from` on (or from the oldest, when that is later), in order, until max_rows or max_bytes; at least one
  // row when there is one.
  [[nodiscard]] virtual base::Result<std::vector<StoredRow>, Error> read(Row from, std::size_t max_rows,
                                                                         std::size_t max_bytes) = 0;

  // Makes an epoch attempt the current one, and where `run` is given, re-identifies the rows from run->first_row on;
  // rows appended later continue that run. On disk when it returns. The epoch that is current already is changed in
  // place (accepted). An acked mark at or beyond a new epoch's first row belongs to a stream that no longer has those
  // rows: it falls back to the base mark, until remember_acked(). Another epoch is one of a journal that is not what
  // the stream has seen before (an image, a clone, a new disk): nobody knows what its sums lack, and no tally is known.
  [[nodiscard]] virtual base::Result<void, Error> start_epoch(const handoff::EpochStart& epoch,
                                                              const std::optional<handoff::Segment>& run) = 0;

  // Remembers how far the stream has committed, and when rows were sent. Need not be on disk at once: after a crash an
  // older mark serves as well, only slower. Written with an append, a trim, or by flush(). A mark below the last one is
  // deliberate (the stream was rolled back) and is on disk at once: what lies beyond it must stay.
  virtual void remember_acked(const handoff::Mark& acked, base::UtcTime committed_at) = 0;
  virtual void remember_sent(Row through, base::UtcTime sent_at) = 0;
  [[nodiscard]] virtual base::Result<void, Error> flush() = 0;

  // One bounded step of removing rows that are committed and older than the retention, or younger when the quota
  // presses.
  [[nodiscard]] virtual base::Result<TrimOutcome, Error> trim(base::UtcTime now) = 0;

  // Rows whose key_hash is this, newest first, at most `limit`.
  [[nodiscard]] virtual base::Result<std::vector<History>, Error> find(std::uint64_t key_hash, std::size_t limit) = 0;

  // Looks at up to kVerifyRowsMax rows from `from` on; changes nothing, not even after finding damage.
  [[nodiscard]] virtual base::Result<VerifyStep, Error> verify(Row from) = 0;

  [[nodiscard]] virtual Usage usage() = 0;
};

}  // namespace journal
