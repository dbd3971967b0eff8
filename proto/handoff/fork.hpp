// What a journal makes of the bridge's stored progress: go on in the same epoch, or fork into a new one, and from which
// row. A pure function of the answer and the journal; where it needs a digest that is not in memory it says which.
//
//   answer ──▶ own epoch, own digest ──────────────────────────────────────────▶ GoOn
//          └─▶ otherwise: the newest own run that the stream knows, by count
//                 count within the run, own digest (or void) ──────────────────▶ Fork after the last row it covers
//                 count beyond the run, another digest, or nothing known
//                 in a list that overflowed ───────────────────────────────────▶ Fork after max(covered, acked), as a
//                 new
//                                                                                run with possible_repeat
// Only runs newer than the newest verified one matter: whoever published that one had published all rows before it.
#pragma once

#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "proto/handoff/progress.hpp"
#include "proto/handoff/segments.hpp"

namespace handoff {

// An earlier attempt of this opening: rows up to `floor` were in the stream, or reported as lost, if it was accepted.
struct Attempt {
  Epoch epoch;
  Mark floor;
};

struct JournalView {
  const EpochStart& epoch;
  const Segments& segments;
  Run opening;
  Row next;
  Mark base;
  Mark acked;
  // The last row that was ever acked, also when the stream was rolled back since.
  Row acked_ever;
  std::span<const Attempt> attempts;
  // Epochs that were this journal's before, as far as it remembers them.
  std::span<const Epoch> former{};
  // Marks known for certain beyond base and acked; see mark_at().
  std::span<const Mark> proved;

  // The digests after `row`, when known. At the row before the epoch's first its digest is the chain's start.
  [[nodiscard]] std::optional<Mark> mark_at(const base::Hasher& hasher, Row row) const;
  // The latest known mark at or before `row` from which digests can be computed forward.
  [[nodiscard]] Mark start_for(Row row) const;
};

struct NeedMark {
  Row row;
};
struct GoOn {
  Mark mark;
};
struct Fork {
  // The new epoch's first row is the one after it.
  Mark floor{};
  std::optional<Lost> lost{};
  // Rows after the floor that exist now may be in the stream under another identity: they become a new run.
  bool possible_repeat = false;
  // Rows after the floor up to this one were acked, and the stream has lost them [H-49]; or another life of the journal
  // may have sent them under other identities [H-90].
  Row repeats_through{};
  // The stream has rows that the journal does not hold, from this seq of the superseded epoch on.  [H-92]
  std::optional<Seq> lacks_from{};
  // Rows that are appended from now on must not continue the opening's run.
  bool new_run = false;
  bool stream_rolled_back = false;
  bool image_restored = false;
};
using Verdict = std::variant<NeedMark, GoOn, Fork>;

// Of a journal whose epoch is `view.epoch`, facing `stored`.
[[nodiscard]] Verdict judge(const base::Hasher& hasher, const std::optional<Progress>& stored, const JournalView& view);

}  // namespace handoff
