#include "tests/sim/handoff/ledger.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tests/sim/checker/stream_order.hpp"

namespace sim {
namespace {

std::string name(const base::Bytes& record) { return record.substr(0, record.find(' ')); }

std::set<base::Bytes> rows_of(const support::ModelJournal& disk, handoff::Row from, handoff::Row end) {
  std::set<base::Bytes> rows;
  for (handoff::Row row = from; row < end; ++row) rows.insert(disk.at(row));
  return rows;
}

}  // namespace

void Ledger::on_answered(const base::Bytes& record, std::uint64_t origin) {
  Event& event = events_[record];
  event.origin = origin;
  event.order = ++next_order_;
  event.answered = true;
}

bool Ledger::on_published(const base::Bytes& record, const handoff::Epoch& epoch) {
  Event& event = events_[record];
  event.ever_published = true;
  event.published_in = epoch;
  return event.acked_in.size() > event.acked_in.count(epoch);
}

void Ledger::on_acked(const base::Bytes& record) {
  Event& event = events_[record];
  event.acked_in.insert(event.published_in);
}

void Ledger::on_rolled_back(const ModelStream& before, const ModelStream& after) {
  for (std::size_t i = after.entries.size(); i < before.entries.size(); ++i) {
    Event& event = events_[before.entries[i].record];
    event.rolled_back = true;
    event.losses_then = after.losses.size();
  }
  for (auto& [record, event] : events_) event.losses_then = std::min(event.losses_then, after.losses.size());
}

void Ledger::on_disk_gone(const support::ModelJournal& disk, const std::vector<const support::ModelJournal*>& left) {
  std::set<base::Bytes> safe;
  for (const support::ModelJournal* other : left) safe.merge(rows_of(*other, other->oldest(), other->next()));
  for (handoff::Row row = disk.oldest(); row < disk.next(); ++row) {
    if (!safe.contains(disk.at(row))) events_[disk.at(row)].excused = true;
  }
}

void Ledger::on_hole(const std::vector<base::Bytes>& lost, const base::Bytes& notice) {
  events_[notice].is_hole = true;
  for (const base::Bytes& record : lost) events_[record].hole_notices.push_back(notice);
}

std::optional<std::string> Ledger::check_acked(const support::ModelJournal& disk, handoff::Row from,
                                               handoff::Row through) const {
  for (handoff::Row row = from; row <= through; ++row) {
    const auto event = events_.find(disk.at(row));
    const bool fine =
        event != events_.end() && (event->second.ever_published || event->second.excused || event->second.is_hole ||
                                   !event->second.hole_notices.empty() || !event->second.answered);
    if (!fine) return fmt::format("{} was acked and may be trimmed, but never was in the stream", name(disk.at(row)));
  }
  return std::nullopt;
}

bool Ledger::told_by_hole(const Event& event, const Found& found) const {
  return std::any_of(event.hole_notices.begin(), event.hole_notices.end(), [&](const base::Bytes& told) {
    const auto notice = events_.find(told);
    return found.contains(told) || notice == events_.end() || notice->second.excused || notice->second.rolled_back ||
           told_by_hole(notice->second, found);
  });
}

std::optional<std::string> Ledger::check_event(const base::Bytes& record, const Event& event, const Found& found,
                                               const ModelStream& stream, const std::set<base::Bytes>& retained,
                                               const std::set<base::Bytes>& trimmed, bool found_again) const {
  if (found.contains(record) || !event.answered || event.excused) return std::nullopt;
  if (event.is_hole) return std::nullopt;  // asked for where a lost row asks for it
  if (!event.hole_notices.empty()) {
    if (event.rolled_back || told_by_hole(event, found)) return std::nullopt;
    return fmt::format("{} was lost in a salvage, and nothing in the stream says so", name(record));
  }
  if (event.rolled_back && (found_again || !retained.contains(record))) {
    const bool nobody_knows = !trimmed.contains(record) && !retained.contains(record);
    const bool told = nobody_knows || stream.losses.size() > event.losses_then;
    if (told) return std::nullopt;
    return fmt::format("{} was rolled back and is trimmed, and nothing in the stream says so", name(record));
  }
  return fmt::format("{} was answered and is not in the stream", name(record));
}

std::optional<std::string> Ledger::check_order(const ModelStream& stream) const {
  StreamOrder order;
  for (const ModelStream::Entry& entry : stream.entries) {
    const auto event = events_.find(entry.record);
    if (event == events_.end() || !event->second.answered) {
      return fmt::format("{} is in the stream, but no terminal was ever answered", name(entry.record));
    }
    const auto problem = order.add(0, {.name = name(entry.record),
                                       .id = entry.record,
                                       .epoch = base::to_hex(entry.epoch.view()),
                                       .seq = entry.seq.value(),
                                       .possible_repeat = entry.possible_repeat,
                                       .origin = fmt::format("{}", event->second.origin),
                                       .order = event->second.order});
    if (problem) return problem;
  }
  return order.check_gaps();
}

std::optional<std::string> Ledger::check_shrunk(const ModelStream& stream, const support::ModelJournal& disk) {
  const auto held = rows_of(disk, handoff::Row(1), disk.next());
  const bool lacks = std::any_of(
      stream.entries.begin(), stream.entries.end(),
      // Or it holds them under other identities.
      [&](const ModelStream::Entry& entry) { return entry.possible_repeat || !held.contains(entry.record); });
  if (lacks) return std::nullopt;
  return "duplicate_window_shrunk is told, and the stream has nothing that the journal lacks";
}

std::optional<std::string> Ledger::check_lacking(const ModelStream& stream, const support::ModelJournal& box) const {
  const auto held = rows_of(box, handoff::Row(1), box.next());
  const auto tells = [](const base::Bytes& record) { return record.starts_with("notice-duplicate_window_shrunk"); };
  std::optional<base::Bytes> lacking;
  std::set<base::Bytes> told_before;
  std::set<base::Bytes> told_since;
  for (const ModelStream::Entry& entry : stream.entries) {
    const Event& event = events_.at(entry.record);
    // What a salvage lost it tells itself: firmware-gateway/journal/salvage_plan.hpp, (6).
    const bool asked_for = !entry.record.starts_with("notice-") && !event.is_hole && event.hole_notices.empty();
    if (tells(entry.record)) told_since.insert(entry.record);
    if (held.contains(entry.record)) {
      if (entry.epoch != box.epoch().epoch) lacking.reset();
    } else if (asked_for) {
      lacking = entry.record;
      told_before.merge(told_since);
    }
  }
  const bool told = std::any_of(held.begin(), held.end(), [&](const base::Bytes& record) {
    return tells(record) && !told_before.contains(record);
  });
  const bool told_and_lost = std::any_of(events_.begin(), events_.end(), [&](const auto& one) {
    return tells(one.first) && !one.second.hole_notices.empty();
  });
  if (!lacking || told || told_and_lost) return std::nullopt;
  return fmt::format("{} is not in the journal, and no duplicate_window_shrunk says so", name(*lacking));
}

std::optional<std::string> Ledger::check_refill(const ModelStream& stream) {
  std::set<base::Bytes> seen;
  bool filled_again = false;
  bool told = false;
  for (const ModelStream::Entry& entry : stream.entries) {
    if (!seen.insert(entry.record).second) return fmt::format("{} is in the stream twice", name(entry.record));
    filled_again |= entry.possible_repeat;
    told |= entry.record.starts_with("notice-journal_epoch_started");
  }
  if (filled_again && !told) return "rows were filled in again, and no journal_epoch_started says so";
  return std::nullopt;
}

std::optional<std::string> Ledger::check(const ModelStream& stream, const support::ModelJournal& box,
                                         bool found_again) const {
  Found found;
  for (const ModelStream::Entry& entry : stream.entries) found.insert(entry.record);
  const auto retained = rows_of(box, box.oldest(), box.next());
  const auto trimmed = rows_of(box, handoff::Row(1), box.oldest());
  for (const auto& [record, event] : events_) {
    if (auto problem = check_event(record, event, found, stream, retained, trimmed, found_again)) return problem;
  }
  if (auto problem = check_lacking(stream, box)) return problem;
  return check_order(stream);
}

}  // namespace sim
