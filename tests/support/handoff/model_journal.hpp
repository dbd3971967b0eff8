// A journal in memory, as the handoff sees one. The object is the disk: copying it takes a disk image, and what a crash
// forgets (the acked mark that no append has written yet) is forgotten by open().
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "proto/base/assert.hpp"
#include "proto/base/random.hpp"
#include "proto/handoff/segments.hpp"
#include "proto/handoff/types.hpp"

namespace support {

class ModelJournal {
 public:
  ModelJournal(const base::Hasher& hasher, base::Random& random) : hasher_(&hasher) {
    epoch_.epoch = random.id<handoff::Epoch>();
    epoch_.first_row = handoff::Row(1);
    answer_as_epoch();
  }

  // A new opening: after a crash, or of a copied disk.
  handoff::JournalState open(base::Random& random) {
    opening_ = random.id<handoff::Run>();
    acked_ = acked_on_disk_;
    return {.opening = opening_,
            .oldest = base_.row.next(),
            .next = next(),
            .base = base_,
            .acked = acked_,
            .epoch = epoch_,
            .segments = segments_,
            .answered = answered_};
  }

  handoff::Row append(std::span<const base::Bytes> records) {
    const handoff::Row first = next();
    if (segments_.empty() || segments_.back().run != opening_) {
      segments_.push_back({.run = opening_, .first_row = first, .first_index = handoff::RunIndex(0)});
    }
    rows_.insert(rows_.end(), records.begin(), records.end());
    flush();
    return first;
  }

  [[nodiscard]] std::vector<base::Bytes> read(handoff::Row from, std::size_t max_rows, std::size_t max_bytes) const {
    std::vector<base::Bytes> records;
    std::size_t bytes = 0;
    for (handoff::Row row = std::max(from, base_.row.next()); row < next() && records.size() < max_rows; ++row) {
      bytes += at(row).size();
      if (!records.empty() && bytes > max_bytes) break;
      records.push_back(at(row));
    }
    return records;
  }

  void start_epoch(const handoff::EpochStart& start, const std::optional<handoff::Segment>& run) {
    const bool is_new = start.epoch != epoch_.epoch;
    if (is_new && acked_.row >= start.first_row) acked_ = base_;
    epoch_ = start;
    if (is_new) answer_as_epoch();
    if (run) {
      std::erase_if(segments_, [&](const handoff::Segment& one) { return one.first_row >= run->first_row; });
      segments_.push_back(*run);
      opening_ = run->run;
    }
    flush();
  }

  void remember_acked(const handoff::Mark& mark) { acked_ = mark; }
  void flush() { acked_on_disk_ = acked_; }

  // Forgets rows up to `through`, and never one that is not acked on disk.
  void trim(handoff::Row through) {
    flush();
    const handoff::Segments segments(segments_);
    while (base_.row < through && base_.row < acked_.row) {
      base_ = handoff::advance(*hasher_, segments, epoch_, base_, at(base_.row.next()));
    }
    while (segments_.size() > 1 && segments_[1].first_row <= base_.row.next()) segments_.erase(segments_.begin());
    while (answered_.size() > 1 && answered_[1].from <= base_.row.next()) answered_.erase(answered_.begin());
  }

  [[nodiscard]] handoff::Row next() const { return handoff::Row(rows_.size() + 1); }
  [[nodiscard]] handoff::Row oldest() const { return base_.row.next(); }
  [[nodiscard]] const handoff::Mark& base() const { return base_; }
  [[nodiscard]] const handoff::Mark& acked() const { return acked_; }
  [[nodiscard]] const handoff::EpochStart& epoch() const { return epoch_; }
  [[nodiscard]] const std::vector<handoff::Segment>& segments() const { return segments_; }
  [[nodiscard]] const base::Bytes& at(handoff::Row row) const { return rows_[row.value() - 1]; }

  // A salvage that could not read these rows: one notice takes the place of the whole hole, and every run it cuts is
  // void. What lies after the hole moves down, and keeps its identity.
  void salvage(handoff::Row hole_first, handoff::Row hole_last, const base::Bytes& notice, base::Random& random) {
    const handoff::Segments before(segments_);
    const handoff::Row end = next();
    std::vector<base::Bytes> rows(rows_.begin(), rows_.begin() + static_cast<std::ptrdiff_t>(base_.row.value()));
    std::vector<handoff::Segment> segments;
    std::vector<handoff::Run> cut;
    for (handoff::Row row = hole_first; row <= hole_last; ++row) cut.push_back(before.of(row).run);
    for (handoff::Row row = base_.row.next(); row < end; ++row) {
      if (row >= hole_first && row < hole_last) continue;
      handoff::Segment one = before.of(row);
      one.first_index = before.index_of(row);
      one.first_row = handoff::Row(rows.size() + 1);
      one.digest_void |= std::find(cut.begin(), cut.end(), one.run) != cut.end();
      const bool follows = !segments.empty() && segments.back().run == one.run &&
                           segments.back().first_index + (one.first_row - segments.back().first_row) == one.first_index;
      if (!follows) segments.push_back(one);
      rows.push_back(row == hole_last ? notice : at(row));
    }
    rows_ = std::move(rows);
    segments_ = std::move(segments);
    epoch_ = {.epoch = random.id<handoff::Epoch>(), .first_row = base_.row.next()};
    acked_ = acked_on_disk_ = base_;
    answered_.clear();
    answer_as_epoch();
  }

 private:
  // Rows that come from now on are answered as the current epoch's.
  void answer_as_epoch() {
    std::erase_if(answered_, [&](const handoff::Answered& one) { return one.from >= next(); });
    answered_.push_back({next(), epoch_.epoch, handoff::Seq(next() - epoch_.first_row + 1)});
  }

  const base::Hasher* hasher_;
  std::vector<base::Bytes> rows_;  // from row 1 on; those up to base_ count as gone
  std::vector<handoff::Segment> segments_;
  std::vector<handoff::Answered> answered_;
  handoff::EpochStart epoch_;
  handoff::Mark base_;
  handoff::Mark acked_;
  handoff::Mark acked_on_disk_;
  handoff::Run opening_;
};

}  // namespace support
