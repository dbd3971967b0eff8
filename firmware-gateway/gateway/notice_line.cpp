#include "firmware-gateway/gateway/notice_line.hpp"

#include <utility>

#include "firmware-gateway/ingest/reference.hpp"
#include "proto/base/assert.hpp"

namespace gateway {

std::optional<ingest::Ticket> NoticeLine::add(const std::string& name, const ingest::NoticeDetails& details,
                                              const base::Uuid& event_id, ingest::Moment moment,
                                              std::optional<ingest::Ticket> ticket,
                                              std::optional<journal::Tally> tally) {
  std::optional<ingest::Ticket> dropped;
  if (waiting_.size() == notices_max) {
    // The one on its way stays.
    const auto oldest = waiting_.begin() + (on_its_way_ ? 1 : 0);
    dropped = oldest->ticket;
    waiting_.erase(oldest);
    ++dropped_;
  }
  Notice& notice = waiting_.emplace_back();
  notice.event = ingest::make_notice(name, details, event_id, moment);
  notice.ticket = ticket;
  notice.tally = std::move(tally);
  return dropped;
}

std::optional<journal::AppendItem> NoticeLine::next(const ingest::HashKey& key) {
  if (on_its_way_ || waiting_.empty()) return std::nullopt;
  on_its_way_ = true;
  const tillstream::v1::Event& event = waiting_.front().event;
  return journal::AppendItem{.key_hash = ingest::reference_hash(key, "", event.event_id()),
                             .priority = journal::Priority::money,
                             .record = ingest::to_record(event),
                             .seen_through = waiting_.front().seen_through,
                             .tally = waiting_.front().tally};
}

std::optional<NoticeLine::Stored> NoticeLine::on_outcome(const journal::AppendOutcome& outcome) {
  ASSERT(on_its_way_ && !waiting_.empty());
  on_its_way_ = false;
  if (const auto* appended = std::get_if<journal::Appended>(&outcome)) return finish(appended->row);
  const auto* candidates = std::get_if<journal::Candidates>(&outcome);
  if (candidates == nullptr) return std::nullopt;
  Notice& notice = waiting_.front();
  for (const journal::Candidate& candidate : candidates->rows) {
    tillstream::v1::Event stored;
    if (!stored.ParseFromString(candidate.record) || stored.event_id() != notice.event.event_id()) continue;
    notice.tally.reset();
    return finish(candidate.row);
  }
  notice.seen_through = candidates->rows.front().row;
  return std::nullopt;
}

void NoticeLine::on_failed() {
  on_its_way_ = false;
  waiting_.front().seen_through = handoff::Row();
}

NoticeLine::Stored NoticeLine::finish(handoff::Row row) {
  Notice& notice = waiting_.front();
  Stored stored{
      .row = row, .ticket = notice.ticket, .event_id = notice.event.event_id(), .tally = std::move(notice.tally)};
  waiting_.pop_front();
  return stored;
}

}  // namespace gateway
