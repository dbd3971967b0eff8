// RowNumbers: what a terminal was told as the place of a row: epoch and seq at the time of its append. Kept with the
// journal (handoff::Answered), so that a repeat gets the first answer whatever epoch carried the row up since.
#pragma once

#include <vector>

#include "firmware-gateway/ingest/ingest.hpp"
#include "proto/handoff/types.hpp"

namespace gateway {

class RowNumbers final : public ingest::Numbering {
 public:
  void on_opened(const handoff::JournalState& state);
  // Rows from `next` on are counted in this epoch. The current epoch again: nothing changes, and false.
  bool on_epoch_stored(const handoff::EpochStart& start, handoff::Row next);
  // Rows before `oldest` are gone.
  void on_trimmed(handoff::Row oldest);

  [[nodiscard]] std::optional<Place> place_of(handoff::Row row) const override;

 private:
  // In row order, as the journal keeps them.
  std::vector<handoff::Answered> answered_;
};

}  // namespace gateway
