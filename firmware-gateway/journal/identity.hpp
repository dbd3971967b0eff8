// What a row is called: its (run, index), the (epoch, seq) that its terminal was told, and the digests at it.
// Arithmetic over the lists of a JournalState.
#pragma once

#include <optional>
#include <vector>

#include "proto/handoff/types.hpp"

namespace journal {

using handoff::Row;

struct Identity {
  handoff::Run run;
  handoff::RunIndex index;

  friend bool operator==(const Identity&, const Identity&) = default;
};

// The segment that `row` belongs to; nullptr before the first.
[[nodiscard]] const handoff::Segment* segment_at(const std::vector<handoff::Segment>& segments, Row row);
[[nodiscard]] std::optional<Identity> identity_of(const std::vector<handoff::Segment>& segments, Row row);

// (epoch, seq) as the terminal of `row` was told.
struct AnsweredPlace {
  handoff::Epoch epoch;
  handoff::Seq seq;

  friend bool operator==(const AnsweredPlace&, const AnsweredPlace&) = default;
};
[[nodiscard]] std::optional<AnsweredPlace> answered_place(const std::vector<handoff::Answered>& answered, Row row);

// The entry for rows that are appended from `next` on while `epoch` is current.
[[nodiscard]] handoff::Answered answered_from(const handoff::EpochStart& epoch, Row next);

// Replaces what the list says of rows from the new entry's first on.
void put(std::vector<handoff::Segment>& segments, const handoff::Segment& segment);
void put(std::vector<handoff::Answered>& answered, const handoff::Answered& entry);

// Drops the entries that speak of no row from `oldest` on. The last entry stays.
void prune(std::vector<handoff::Segment>& segments, Row oldest);
void prune(std::vector<handoff::Answered>& answered, Row oldest);

// The mark one row further on. `segment` is the next row's.
[[nodiscard]] handoff::Mark advance(const base::Hasher& hasher, const handoff::Mark& mark,
                                    const handoff::EpochStart& epoch, const handoff::Segment& segment,
                                    base::BytesView record);

}  // namespace journal
