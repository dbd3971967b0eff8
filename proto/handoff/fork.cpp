#include "proto/handoff/fork.hpp"

#include <algorithm>
#include <utility>

namespace handoff {
namespace {

// The rows before the oldest one retained, as the superseded epoch would have counted them: `count` of them, 0:
// unknown.
Lost lost_after(Seq seq, std::uint64_t count, const char* reason) {
  return {.reason = reason, .first = seq.next(), .last = count == 0 ? Seq(0) : seq + count};
}

// How far the runs in the stored progress cover this journal.
struct Coverage {
  std::optional<Row> need;               // this row's digest is needed first
  std::optional<Mark> covered;           // proved
  std::optional<std::uint64_t> trimmed;  // so many rows before `oldest` are not covered; the cover ends below `base`
  bool known = false;                    // the stream knows something of this journal
  bool ahead = false;                    // the stream knows more of its newest known run than the journal does
  std::vector<RunExtent> doubtful;       // newer than what is covered
  Row doubtful_through;                  // the last row that a doubtful run's count could cover
  bool opening_doubtful = false;
};

void doubt(Coverage& coverage, const RunExtent& own, Row through) {
  coverage.doubtful.push_back(own);
  coverage.doubtful_through = std::max(coverage.doubtful_through, through);
}

// The stream has rows of this run, but none of those that are retained: it has all rows before the run, at least.
// Before the first one retained there is a hole, which voids the digest, or what was trimmed.
void cover_before(Coverage& coverage, const RunProgress& stored, const RunExtent& own, const JournalView& view) {
  const Row oldest = view.base.row.next();
  const Row first = std::max(view.segments.first_of(own.run), oldest);
  coverage.covered = first > oldest ? Mark{.row = first - 1} : view.base;
  const std::uint64_t index = view.segments.index_of(first).value();
  if (first == oldest && index > stored.count) coverage.trimmed = index - stored.count;
}

void cover_with(Coverage& coverage, const base::Hasher& hasher, const RunProgress& stored, const RunExtent& own,
                const JournalView& view) {
  const bool is_void = own.digest_void || !stored.digest;
  if (!coverage.known) coverage.ahead = !is_void && stored.count > own.length;
  coverage.known = true;
  const Row row = view.segments.last_covered(own.run, stored.count, view.next);
  if (!is_void && stored.count > own.length) return doubt(coverage, own, row);
  if (row == Row(0)) return cover_before(coverage, stored, own, view);
  if (row < view.base.row) {  // the stream was rolled back to rows that are no longer here
    coverage.covered = view.base;
    coverage.trimmed = view.base.row - row;
    return;
  }
  const auto mark = view.mark_at(hasher, row);
  if (!mark) {
    coverage.need = row;
  } else if (is_void || mark->run_digest == *stored.digest) {
    coverage.covered = mark;
  } else {
    doubt(coverage, own, row);
  }
}

void cover_with(Coverage& coverage, const Attempt& accepted, const JournalView& view) {
  if (coverage.covered && coverage.covered->row > accepted.floor.row) return;
  const bool retained = accepted.floor.row >= view.base.row;
  coverage.covered = retained ? accepted.floor : view.base;
  coverage.trimmed = retained ? std::nullopt : std::optional(view.base.row - accepted.floor.row);
}

bool names_digest(const Progress& stored, const base::Digest& digest) {
  return std::any_of(stored.runs.begin(), stored.runs.end(),
                     [&](const RunProgress& run) { return run.digest == digest; });
}

Coverage cover(const base::Hasher& hasher, const Progress& stored, const JournalView& view) {
  Coverage coverage;
  const std::vector<RunExtent> runs = view.segments.runs(view.next);
  const bool opening_empty = runs.empty() || runs.front().run != view.opening;
  if (const RunProgress* opening = stored.find(view.opening);
      opening != nullptr && opening->count > 0 && opening_empty) {
    coverage.known = coverage.ahead = coverage.opening_doubtful = true;
  }
  for (const RunExtent& own : runs) {
    const RunProgress* run = stored.find(own.run);
    if (run == nullptr || run->count == 0) continue;
    cover_with(coverage, hasher, *run, own, view);
    if (coverage.need || coverage.covered) break;
  }
  for (const RunExtent& own : coverage.doubtful) coverage.opening_doubtful |= own.run == view.opening;
  if (!coverage.covered && view.base.row > Row(0) && names_digest(stored, view.base.run_digest)) {
    coverage.known = true;
    coverage.covered = view.base;
  }
  const auto attempt = std::find_if(view.attempts.begin(), view.attempts.end(),
                                    [&](const Attempt& one) { return one.epoch == stored.place.epoch; });
  if (attempt != view.attempts.end()) {
    coverage.known = true;
    cover_with(coverage, *attempt, view);
  }
  return coverage;
}

// The stream has nothing of the gateway yet. So all that is missing was in this journal before it was salvaged, and
// stands in it; or nothing is, since the epoch that the stream expects was this journal's.
bool tells_its_own_losses(const Progress& stored, const JournalView& view) {
  if (stored.place.seq > Seq(0) || !stored.runs.empty() || stored.runs_overflowed) return false;
  if (std::find(view.former.begin(), view.former.end(), stored.place.epoch) != view.former.end()) return true;
  const std::vector<RunExtent> runs = view.segments.runs(view.next);
  return std::any_of(runs.begin(), runs.end(), [](const RunExtent& run) { return run.digest_void; });
}

std::optional<Lost> lost_by(const Progress& stored, const JournalView& view, const Coverage& coverage, bool doubtful) {
  const bool fresh = !coverage.known && !view.epoch.accepted && view.base.row == Row(0) && view.acked.row == Row(0) &&
                     !tells_its_own_losses(stored, view);
  if (fresh) return lost_after(stored.place.seq, 0, "disk_replaced");
  if (coverage.ahead) return lost_after(stored.place.seq, 0, "restored_image");
  if (coverage.trimmed) return lost_after(stored.place.seq, *coverage.trimmed, "stream_rolled_back");
  if (coverage.covered || doubtful || view.base.row == Row(0)) return std::nullopt;
  return lost_after(stored.place.seq, stored.runs.empty() ? view.base.row.value() : 0, "stream_rolled_back");
}

// What was acked is in the stream as far as the doubtful runs go there: rows beyond their counts are of runs that the
// stream does not know, whatever it once acknowledged.
Mark raised(const Mark& floor, Row doubtful_through, const Mark& acked) {
  const Row row = std::min(acked.row, doubtful_through);
  if (row <= floor.row) return floor;
  // Otherwise a run begins after it, so that nobody needs the digest.
  return row == acked.row ? acked : Mark{.row = row};
}

// The stream has rows of a run that this journal does not know, and that took the place of others: of those that are
// not covered here, if it was made from a copy of this journal.
bool renamed_elsewhere(const Progress& stored, const JournalView& view) {
  const std::vector<RunExtent> own = view.segments.runs(view.next);
  return stored.renamed_forgotten || std::any_of(stored.runs.begin(), stored.runs.end(), [&](const RunProgress& run) {
           return run.renamed &&
                  std::none_of(own.begin(), own.end(), [&](const RunExtent& one) { return one.run == run.run; });
         });
}

// The newest rows in the stream are not in the journal: they came after an image was taken, or from a clone, or were on
// another disk. Or they are so old that they were trimmed, and the stream was rolled back to them.
bool lacks_rows(const Progress& stored, const JournalView& view, const Coverage& coverage) {
  if (coverage.opening_doubtful || !coverage.doubtful.empty()) return true;
  if (stored.runs.empty()) return false;
  const RunProgress& newest = stored.runs.back();
  if (view.base.row > Row(0) && newest.digest == view.base.run_digest) return false;
  const std::vector<RunExtent> runs = view.segments.runs(view.next);
  return std::none_of(runs.begin(), runs.end(),
                      [&](const RunExtent& own) { return own.run == newest.run && own.length >= newest.count; });
}

// As a seq of the superseded epoch: what the journal holds of it, as far as that is known.
Seq lacking_from(const Progress& stored, const JournalView& view, const Mark& floor) {
  const EpochStart& epoch = view.epoch;
  const bool goes_on = stored.place.epoch == epoch.epoch && floor.row.next() >= epoch.first_row;
  if (goes_on) return Seq(floor.row.next() - epoch.first_row + 1);
  const bool tried_before = !epoch.accepted && epoch.supersedes && epoch.supersedes->epoch == stored.place.epoch;
  return tried_before ? epoch.lacks_from.value_or(Seq(1)) : Seq(1);
}

// [H-49] What was acked and goes into a new epoch all the same was in the stream before.
Fork with_repeats(Fork fork, const JournalView& view) {
  const Row through = std::max(view.acked_ever, view.epoch.repeats_through);
  if (through > fork.floor.row) fork.repeats_through = std::max(fork.repeats_through, through);
  return fork;
}

Verdict fork(const base::Hasher& hasher, const Progress& stored, const JournalView& view) {
  const Coverage coverage = cover(hasher, stored, view);
  if (coverage.need) return NeedMark{*coverage.need};
  const bool blind = stored.runs_overflowed && !coverage.known;
  const bool doubtful = blind || coverage.opening_doubtful || !coverage.doubtful.empty();
  Mark floor = coverage.covered.value_or(view.base);
  if (doubtful) floor = raised(floor, blind ? view.acked.row : coverage.doubtful_through, view.acked);
  Fork fork{.floor = floor, .lost = lost_by(stored, view, coverage, doubtful)};
  const auto reaches_beyond_floor = [&](const RunExtent& run) { return run.last_row > fork.floor.row; };
  fork.possible_repeat = (blind && view.next > fork.floor.row.next()) ||
                         std::any_of(coverage.doubtful.begin(), coverage.doubtful.end(), reaches_beyond_floor);
  fork.new_run = fork.possible_repeat || blind || coverage.opening_doubtful;
  fork.image_restored = coverage.ahead;
  fork.stream_rolled_back = fork.floor.row < view.acked.row || coverage.trimmed;
  if (lacks_rows(stored, view, coverage)) fork.lacks_from = lacking_from(stored, view, fork.floor);
  if (!fork.possible_repeat && renamed_elsewhere(stored, view) && view.next > fork.floor.row.next()) {
    fork.repeats_through = view.next - 1;  // [H-90]
  }
  return with_repeats(std::move(fork), view);
}

}  // namespace

std::optional<Mark> JournalView::mark_at(const base::Hasher& hasher, Row row) const {
  std::optional<Mark> mark;
  if (row == base.row) mark = base;
  if (row == acked.row) mark = acked;
  for (const Mark& one : proved) {
    if (row == one.row) mark = one;
  }
  if (mark && row.next() == epoch.first_row) mark->epoch_digest = chain_start(hasher, epoch.epoch);
  return mark;
}

Mark JournalView::start_for(Row row) const {
  Mark start = base;
  if (acked.row <= row && acked.row > start.row) start = acked;
  for (const Mark& one : proved) {
    if (one.row <= row && one.row > start.row) start = one;
  }
  return start;
}

Verdict judge(const base::Hasher& hasher, const std::optional<Progress>& stored, const JournalView& view) {
  if (!stored) {
    Fork fork{.floor = view.base, .stream_rolled_back = view.acked.row > Row(0)};
    if (view.base.row > Row(0)) fork.lost = lost_after(Seq(0), view.base.row.value(), "stream_rolled_back");
    return with_repeats(std::move(fork), view);
  }
  const std::uint64_t seq = stored->place.seq.value();
  const bool ours = stored->place.epoch == view.epoch.epoch && seq <= view.next - view.epoch.first_row;
  if (!ours) return fork(hasher, *stored, view);
  const Row row = view.epoch.first_row - 1 + seq;
  if (row < view.base.row) {
    const std::uint64_t trimmed = view.base.row - row;
    return with_repeats({.floor = view.base,
                         .lost = lost_after(stored->place.seq, trimmed, "stream_rolled_back"),
                         .stream_rolled_back = true},
                        view);
  }
  const auto mark = view.mark_at(hasher, row);
  if (!mark) return NeedMark{row};
  if (mark->epoch_digest == stored->place.digest) return GoOn{*mark};
  return fork(hasher, *stored, view);
}

}  // namespace handoff
