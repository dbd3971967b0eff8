#include "firmware-gateway/gateway/notice_line.hpp"

#include <limits>
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
  waiting_.push_back(
      {.event = ingest::make_notice(name, details, event_id, moment), .ticket = ticket, .tally = std::move(tally)});
  return dropped;
}

std::optional<journal::AppendItem> NoticeLine::next(const ingest::HashKey& key) {
  if (on_its_way_ || waiting_.empty()) return std::nullopt;
  on_its_way_ = true;
  const tillstream::v1::Event& event = waiting_.front().event;
  // No notice repeats another one: nothing that is stored has to be compared.
  return journal::AppendItem{.key_hash = ingest::reference_hash(key, "", event.event_id()),
                             .priority = journal::Priority::money,
                             .record = ingest::to_record(event),
                             .seen_through = handoff::Row(std::numeric_limits<std::uint64_t>::max()),
                             .tally = waiting_.front().tally};
}

NoticeLine::Stored NoticeLine::on_appended() {
  ASSERT(on_its_way_ && !waiting_.empty());
  on_its_way_ = false;
  Notice& notice = waiting_.front();
  Stored stored{.ticket = notice.ticket, .event_id = notice.event.event_id(), .tally = std::move(notice.tally)};
  waiting_.pop_front();
  return stored;
}

}  // namespace gateway
