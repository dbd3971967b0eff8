#include "firmware-gateway/journal/salvage_plan.hpp"

#include <algorithm>
#include <limits>

#include "proto/base/assert.hpp"

namespace journal {
namespace {

// Lays the new rows one after the other, with their names.
class Layout {
 public:
  Layout(const Readable& readable, const SalvageIds& ids, std::string_view set_aside, base::UtcTime found_at)
      : old_(readable.catalog), ids_(ids), set_aside_(set_aside), found_at_(found_at) {
    plan_.forgotten = readable.forgotten;
  }

  void copy(const RowRange& rows) {
    plan_.steps.emplace_back(CopyStep{rows, next_});
    plan_.rows_kept += rows.last - rows.first + 1;
    name(rows);
    next_ = next_ + (rows.last - rows.first + 1);
    if (old_.acked && rows.first <= old_.acked->row) {
      const Row last_acked = std::min(rows.last, old_.acked->row);
      acked_ = next_ - (rows.last - last_acked + 1);
    }
  }

  // Whether the stream has its rows or not: their repeats come as new events. More may be in the stream than the mark
  // on disk says.
  void hole(Row first, Row last, bool perhaps_trimmed = false) {
    plan_.forgotten += last - first + 1;
    if (old_.acked && first <= old_.acked->row) first = old_.acked->row.next();
    if (first > last) return;
    notice(first, last, perhaps_trimmed);
    name({last, last});
    next_ = next_.next();
  }

  void open_end(Row first) {
    if (old_.acked && first <= old_.acked->row) {
      plan_.forgotten += old_.acked->row - first + 1;
      first = old_.acked->row.next();
    }
    forgotten_open_ = true;
    notice(first, std::nullopt, false);
    name_own();
  }

  void tell_forgotten() {
    if (plan_.forgotten == 0 && !forgotten_open_) return;
    plan_.steps.emplace_back(
        ForgottenStep{{plan_.forgotten, forgotten_open_, std::string(set_aside_), found_at_}, next_});
    name_own();
  }

  [[nodiscard]] SalvagePlan finish(Catalog catalog, const base::Hasher& hasher) {
    const handoff::Epoch epoch = ids_.epoch;
    catalog.epoch = handoff::EpochStart{epoch, acked_.next(), false, std::nullopt, std::nullopt};
    catalog.base = handoff::Mark{Row(0), handoff::chain_start(hasher, epoch), {}};
    catalog.acked = handoff::Mark{acked_, handoff::chain_start(hasher, epoch), {}};
    catalog.segments = segments_;
    catalog.answered = answered_;
    put(catalog.answered, answered_from(*catalog.epoch, next_));
    catalog.tallies = old_.tallies.salvaged();
    if (!segments_.empty()) catalog.tallied = segments_.back().run;
    plan_.catalog = std::move(catalog);
    return std::move(plan_);
  }

 private:
  // A notice that stands for no row.
  void name_own() {
    add({ids_.notices, next_, handoff::RunIndex(own_notices_++), true, false});
    next_ = next_.next();
  }

  void notice(Row first, std::optional<Row> last, bool perhaps_trimmed) {
    Loss loss{first,     last,           answered_place(old_.answered, first), std::nullopt, std::string(set_aside_),
              found_at_, perhaps_trimmed};
    if (last) loss.last_answered = answered_place(old_.answered, *last);
    plan_.steps.emplace_back(NoticeStep{std::move(loss), next_});
    ++plan_.holes;
  }

  // Gives rows that stood at `rows` the names that they had, from next_ on.
  void name(const RowRange& rows) {
    name_runs(rows);
    name_answers(rows);
  }

  void name_runs(const RowRange& rows) {
    Row row = rows.first;
    while (row <= rows.last) {
      const handoff::Segment* segment = segment_at(old_.segments, row);
      const Row to = next_ + (row - rows.first);
      if (segment == nullptr) {
        add({ids_.orphans, to, handoff::RunIndex(orphans_), true, true});
      } else {
        add({segment->run, to, segment->first_index + (row - segment->first_row), true, segment->possible_repeat});
      }
      const Row end = std::min(next_start(old_.segments, row), rows.last.next());
      if (segment == nullptr) orphans_ += end - row;
      row = end;
    }
  }

  // Leaves out a segment that only goes on with the one before.
  void add(const handoff::Segment& segment) {
    if (!segments_.empty()) {
      handoff::Segment continued = segments_.back();
      continued.first_index = continued.first_index + (segment.first_row - continued.first_row);
      continued.first_row = segment.first_row;
      if (continued == segment) return;
    }
    segments_.push_back(segment);
  }

  void name_answers(const RowRange& rows) {
    Row row = rows.first;
    while (row <= rows.last) {
      if (const auto place = answered_place(old_.answered, row)) {
        answered_.push_back({next_ + (row - rows.first), place->epoch, place->seq});
      }
      row = next_start(old_.answered, row);
    }
  }

  static Row start(const handoff::Segment& segment) { return segment.first_row; }
  static Row start(const handoff::Answered& entry) { return entry.from; }

  template <class Entry>
  static Row next_start(const std::vector<Entry>& entries, Row row) {
    for (const Entry& entry : entries) {
      if (start(entry) > row) return start(entry);
    }
    return Row(std::numeric_limits<std::uint64_t>::max());
  }

  const Catalog& old_;
  const SalvageIds& ids_;
  std::string_view set_aside_;
  base::UtcTime found_at_;
  SalvagePlan plan_;
  std::vector<handoff::Segment> segments_;
  std::vector<handoff::Answered> answered_;
  std::uint64_t orphans_ = 0;
  std::uint64_t own_notices_ = 0;
  bool forgotten_open_ = false;
  Row next_{1};
  Row acked_;
};

Row expected_first(const Readable& readable) {
  if (readable.catalog.base) return readable.catalog.base->row.next();
  return readable.begins_with_first && !readable.rows.empty() ? readable.rows.front().first : Row(1);
}

}  // namespace

SalvagePlan plan_salvage(const Readable& readable, std::string_view gateway_id, const SalvageIds& ids,
                         std::string_view set_aside, base::UtcTime found_at, const base::Hasher& hasher) {
  Layout layout(readable, ids, set_aside, found_at);
  Row expected = expected_first(readable);
  for (const RowRange& rows : readable.rows) {
    ASSERT(rows.first >= expected && rows.last >= rows.first);
    const bool perhaps_trimmed = expected == Row(1) && !readable.catalog.base;
    if (rows.first > expected) layout.hole(expected, rows.first - 1, perhaps_trimmed);
    layout.copy(rows);
    expected = rows.last.next();
  }
  if (!readable.end) {
    layout.open_end(expected);
  } else if (*readable.end >= expected) {
    layout.hole(expected, *readable.end);
  }
  layout.tell_forgotten();
  const HashKey key = readable.catalog.hash_key.value_or(ids.hash_key);
  return layout.finish(new_catalog(gateway_id, key, ids.epoch, hasher), hasher);
}

}  // namespace journal
