#include "proto/handoff/segments.hpp"

#include <algorithm>

#include "proto/base/assert.hpp"

namespace handoff {

std::vector<Segment>::const_iterator Segments::find(Row row) const {
  const auto after = std::upper_bound(list_.begin(), list_.end(), row,
                                      [](Row wanted, const Segment& segment) { return wanted < segment.first_row; });
  ASSERT(after != list_.begin());
  return std::prev(after);
}

Row Segments::end_of(std::vector<Segment>::const_iterator segment, Row next) const {
  const auto following = std::next(segment);
  return following == list_.end() ? std::max(next, segment->first_row) : following->first_row;
}

const Segment& Segments::of(Row row) const { return *find(row); }

RunIndex Segments::index_of(Row row) const {
  const Segment& segment = of(row);
  return segment.first_index + (row - segment.first_row);
}

std::uint64_t Segments::run_length_from(Row row, std::uint64_t limit) const {
  return std::min(limit, end_of(find(row), row + limit) - row);
}

Row Segments::last_covered(const Run& run, std::uint64_t count, Row next) const {
  for (auto segment = list_.end(); segment != list_.begin();) {
    --segment;
    if (segment->run != run || segment->first_index.value() >= count) continue;
    const std::uint64_t rows =
        std::min(count - segment->first_index.value(), end_of(segment, next) - segment->first_row);
    if (rows > 0) return segment->first_row + (rows - 1);
  }
  return Row(0);
}

Row Segments::first_of(const Run& run) const {
  const auto found =
      std::find_if(list_.begin(), list_.end(), [&run](const Segment& segment) { return segment.run == run; });
  ASSERT(found != list_.end());
  return found->first_row;
}

std::vector<RunExtent> Segments::runs(Row next) const {
  std::vector<RunExtent> runs;
  for (auto segment = list_.end(); segment != list_.begin();) {
    --segment;
    const std::uint64_t rows = end_of(segment, next) - segment->first_row;
    const auto known =
        std::find_if(runs.begin(), runs.end(), [&](const RunExtent& one) { return one.run == segment->run; });
    if (known != runs.end()) {
      known->digest_void |= segment->digest_void;
    } else if (rows > 0) {
      runs.push_back(
          {segment->run, segment->first_row + (rows - 1), segment->first_index.value() + rows, segment->digest_void});
    }
  }
  return runs;
}

void Segments::begin_run(const Run& run, Row next) {
  if (!list_.empty() && list_.back().run == run) return;
  list_.push_back(Segment{.run = run, .first_row = next, .first_index = RunIndex(0)});
}

void Segments::reidentify(const Segment& run) {
  std::erase_if(list_, [&run](const Segment& segment) { return segment.first_row >= run.first_row; });
  list_.push_back(run);
}

void Segments::forget_before(Row oldest) {
  while (list_.size() > 1 && list_[1].first_row <= oldest) list_.erase(list_.begin());
}

Mark advance(const base::Hasher& hasher, const Segments& segments, const EpochStart& epoch, const Mark& before,
             base::BytesView record) {
  const Row row = before.row.next();
  const base::Digest epoch_before = row == epoch.first_row ? chain_start(hasher, epoch.epoch) : before.epoch_digest;
  const Segment& segment = segments.of(row);
  Mark mark{.row = row, .epoch_digest = chain(hasher, epoch_before, record)};
  if (segment.digest_void) return mark;
  const bool run_begins = row == segment.first_row && segment.first_index == RunIndex(0);
  mark.run_digest = chain(hasher, run_begins ? chain_start(hasher, segment.run) : before.run_digest, record);
  return mark;
}

}  // namespace handoff
