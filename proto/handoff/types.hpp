// The nouns of the handoff, shared by its two ends, the gateway's journal and the bridge's stream.
//
// A gateway's journal is one sequence of rows, 1, 2, 3 … Two things are laid over it:
//
//   epochs  what the bridge counts in. The current epoch begins at some row with seq 1; rows before it are in the
//   stream
//           already, or reported as lost. seq = row - first_row + 1.
//   runs    what a row's identity is made of: (run, index). Each opening of the journal that appends begins a new run.
//   A
//           Segment says which rows carry which identities; without a salvage there is one segment a run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/base/bytes.hpp"
#include "proto/base/hasher.hpp"
#include "proto/base/strong.hpp"

namespace handoff {

// Position in one gateway's journal file: 1, 2, 3 … never reused. 0: before the first.
using Row = base::Strong<struct RowTag>;
// Position in an epoch: 1, 2, 3 … 0: before the first.
using Seq = base::Strong<struct SeqTag>;
// Position in a run: 0, 1, 2 …
using RunIndex = base::Strong<struct RunIndexTag>;

using Epoch = base::Id<struct EpochTag>;
using Run = base::Id<struct RunTag>;

// A place in a gateway's stream.
struct Place {
  Epoch epoch{};
  Seq seq{};
  base::Digest digest{};

  friend bool operator==(const Place&, const Place&) = default;
};

// Events that are missing from the stream, as seqs of the superseded epoch, had it gone on: the first is the one after
// its last. With nothing superseded: rows of the journal. last 0: how many is not known to anyone.
struct Lost {
  std::string reason{};
  Seq first{};
  Seq last{};

  friend bool operator==(const Lost&, const Lost&) = default;
};

// The rows from first_row to the next segment's first_row have the identities (run, first_index), (run, first_index +
// 1) …
struct Segment {
  Run run{};
  Row first_row{};
  RunIndex first_index{};
  // Cut by a salvage: rows may be missing, so that the run's digests cannot be computed any more.
  bool digest_void = false;
  // These rows may be in the stream under another identity.
  bool possible_repeat = false;

  friend bool operator==(const Segment&, const Segment&) = default;
};

// The running digests after `row`: of the epoch that is current there, and of the run that the row belongs to.
struct Mark {
  Row row{};
  base::Digest epoch_digest{};
  base::Digest run_digest{};

  friend bool operator==(const Mark&, const Mark&) = default;
};

// An epoch of this journal. On disk before its first Hello.
struct EpochStart {
  Epoch epoch{};
  // The row that is seq 1.
  Row first_row{};
  // The bridge has accepted it (its stored progress named it).
  bool accepted = false;
  // The stored progress that it follows; none: the bridge knew nothing of this gateway.
  std::optional<Place> supersedes{};
  std::optional<Lost> lost{};
  // Rows of this epoch up to this one were in the stream before, under another epoch, and it has lost them; or another
  // life of this journal may have sent them under other identities. They go up as possible repeats, with the identities
  // that they have. 0: none.
  Row repeats_through{};
  // The stream has rows that this journal does not hold, at the earliest from this seq of the superseded epoch on:
  // their repeats come as new events. Told when the epoch is accepted, and none from then on.
  std::optional<Seq> lacks_from{};

  friend bool operator==(const EpochStart&, const EpochStart&) = default;
};

// What was answered to the terminals: rows from `from` on (to the next entry's) were answered as `seq`, `seq` + 1, … of
// `epoch`, the epoch that was current when they were appended. A repeat gets the same answer, whatever epoch carried
// the row up.
struct Answered {
  Row from;
  Epoch epoch;
  Seq seq;

  friend bool operator==(const Answered&, const Answered&) = default;
};

// What the sender must know of a journal that has just been opened.
struct JournalState {
  // The run of this opening.
  Run opening;
  // Oldest row still on disk, and the row that the next append will get. Equal: nothing retained.
  Row oldest;
  Row next;
  // Digests just before `oldest`, and at the last row known to be committed to the stream (acked.row >= base.row).
  Mark base;
  Mark acked;
  EpochStart epoch;
  // In row order; the first one covers `oldest` when anything is retained. The opening's own appears with its first
  // row: {opening, next, 0}.
  std::vector<Segment> segments;
  // In row order; the first one covers `oldest`, the last one is the current epoch's.
  std::vector<Answered> answered;
};

// Digest chains. An epoch's (a run's) digest before its first record is chain_start of its id; each record then gives
// SHA-256(digest before || record).
template <class Id>
[[nodiscard]] base::Digest chain_start(const base::Hasher& hasher, const Id& id) {
  return hasher.sha256({"tillstream chain 1", id.view()});
}
[[nodiscard]] inline base::Digest chain(const base::Hasher& hasher, const base::Digest& before,
                                        base::BytesView record) {
  return hasher.sha256({before.view(), record});
}

}  // namespace handoff
