// Segments: which run a row belongs to, and at which index. Kept in row order; grows with appends, is cut by trims, and
// is rewritten from some row on when rows get a new identity.
#pragma once

#include <vector>

#include "proto/handoff/types.hpp"

namespace handoff {

// All rows of one run that the journal retains.
struct RunExtent {
  Run run;
  Row last_row;
  std::uint64_t length = 0;  // index of the last row, plus 1
  bool digest_void = false;
};

class Segments {
 public:
  Segments() = default;
  explicit Segments(std::vector<Segment> list) : list_(std::move(list)) {}

  // The segment of a retained row.
  [[nodiscard]] const Segment& of(Row row) const;
  [[nodiscard]] RunIndex index_of(Row row) const;
  // Rows from `row` on that belong to the same segment, at most `limit`.
  [[nodiscard]] std::uint64_t run_length_from(Row row, std::uint64_t limit) const;
  // The last row of `run` with an index below `count`; row 0 when there is none.
  [[nodiscard]] Row last_covered(const Run& run, std::uint64_t count, Row next) const;
  // The first retained row of a run that has some. A segment may begin before the oldest row.
  [[nodiscard]] Row first_of(const Run& run) const;
  // Newest first.
  [[nodiscard]] std::vector<RunExtent> runs(Row next) const;

  // The row `next` gets the identity (run, 0), unless its run is already the last one.
  void begin_run(const Run& run, Row next);
  // All rows from run.first_row on become rows of this run.
  void reidentify(const Segment& run);
  void forget_before(Row oldest);

 private:
  [[nodiscard]] std::vector<Segment>::const_iterator find(Row row) const;
  [[nodiscard]] Row end_of(std::vector<Segment>::const_iterator segment, Row next) const;

  std::vector<Segment> list_;
};

// Carries both digests forward over the next row's record: the epoch's begins anew at its first row, the run's at index
// 0.
[[nodiscard]] Mark advance(const base::Hasher& hasher, const Segments& segments, const EpochStart& epoch,
                           const Mark& before, base::BytesView record);

}  // namespace handoff
