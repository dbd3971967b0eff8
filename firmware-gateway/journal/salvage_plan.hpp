// SalvagePlan: what a new journal gets out of a damaged one. Decides only; the adapter reads and copies.
//
//   old rows   1 2 3 4 . . . 8 9 ?          (. unreadable, ? unknown whether there were more)
//   new rows   1 2 3 4   5   6 7 8
//                       notice   notice of an open end
//
// Invariants:
//   (1) A readable row is copied, in order, and keeps its identity (run, index), whatever row number it gets.
//   (2) Each hole that reaches beyond the acked row gets one notice, in its place. Its identity is that of the hole's
//   last row:
//       a stream that has that row has the whole hole, and one that has only a part of it still gets the notice.
//   (3) An end of which nobody knows whether rows followed gets a notice with an identity of its own, which no stream
//   has. (4) All digests of the salvaged rows' runs are void; rows whose identity was lost get a run of their own, as
//   possible
//       repeats.
//   (5) The new epoch begins after the acked row; when that is unknown, at the first row.
//   (6) Rows whose repeats will not be recognised any more are counted, and one notice, the last row, says so.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "firmware-gateway/journal/catalog.hpp"
#include "firmware-gateway/journal/identity.hpp"

namespace journal {

// Rows first … last, all there.
struct RowRange {
  Row first;
  Row last;

  friend bool operator==(const RowRange&, const RowRange&) = default;
};

// Rows that are gone and may not be in the stream. For the notice that stands in their place.
struct Loss {
  // Rows of the damaged file; last none: nobody knows how many followed.
  Row first;
  std::optional<Row> last;
  // What their terminals were told, where that is known; the last one's none when its epoch is another or unknown.
  std::optional<AnsweredPlace> first_answered;
  std::optional<AnsweredPlace> last_answered;
  // The file that was set aside, and when.
  std::string set_aside;
  base::UtcTime found_at;
  // Some of these rows, from the first on, may have been trimmed before: nobody knows how many.
  bool perhaps_trimmed = false;
};

// Rows that were stored and told, and whose repeats come as new events: they are gone, whether the stream has them or
// not, or what their repeats would be recognised by could not be computed anew.
struct Forgotten {
  std::uint64_t rows = 0;  // at most: some may have been trimmed before, where the catalog does not say it
  bool more = false;       // and nobody knows how many more: where the journal ended is unknown
  std::string set_aside;
  base::UtcTime found_at;
};

// Makes the record (an `events_lost` notice) that stands for a loss: the journal does not know what a record says.
using NoticeMaker = std::function<base::Bytes(const Loss&)>;
// Makes the record (a `duplicate_window_shrunk` notice) that says that repeats are not recognised.
using ForgottenNoticeMaker = std::function<base::Bytes(const Forgotten&)>;

// What a stored record's key_hash is under another key.
struct RecordKey {
  std::uint64_t hash = 0;
  // Its repeats are still equal to it. Not, when the record holds something that was made with the old key.
  bool lasting = true;
};
// Nothing for a record that says nothing of its key.
using RecordKeyMaker = std::function<std::optional<RecordKey>(const HashKey&, base::BytesView)>;

// What could be read of the damaged file.
struct Readable {
  Catalog catalog;
  std::vector<RowRange> rows;  // ascending, not touching
  // The last row of the file, readable or not; none: nobody knows.
  std::optional<Row> end;
  // There is no row before the first of `rows`: seen, where the catalog does not say it.
  bool begins_with_first = false;
  // Of `rows`: their repeats will not be recognised.
  std::uint64_t forgotten = 0;
};

struct CopyStep {
  RowRange rows;  // old numbers
  Row to;         // the first one's new number
};
struct NoticeStep {
  Loss loss;
  Row to;
};
struct ForgottenStep {
  Forgotten forgotten;
  Row to;
};
using SalvageStep = std::variant<CopyStep, NoticeStep, ForgottenStep>;

struct SalvagePlan {
  std::vector<SalvageStep> steps;  // in the order of the new rows
  Catalog catalog;                 // of the new journal
  std::uint64_t rows_kept = 0;
  std::uint64_t holes = 0;
  std::uint64_t forgotten = 0;
};

// Fresh ids for the new journal.
struct SalvageIds {
  handoff::Epoch epoch;
  handoff::Run notices;  // of a notice that has no row's identity
  handoff::Run orphans;  // of rows whose identity was lost
  HashKey hash_key{};    // when the old one cannot be read
};

// `set_aside` and `found_at` go into each loss.
[[nodiscard]] SalvagePlan plan_salvage(const Readable& readable, std::string_view gateway_id, const SalvageIds& ids,
                                       std::string_view set_aside, base::UtcTime found_at, const base::Hasher& hasher);

}  // namespace journal
