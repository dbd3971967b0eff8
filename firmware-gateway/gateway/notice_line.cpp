#include "firmware-gateway/gateway/notice_line.hpp"

#include <limits>

#include "firmware-gateway/ingest/reference.hpp"
#include "proto/base/assert.hpp"

namespace gateway {

void NoticeLine::add(const std::string& name, const ingest::NoticeDetails& details, const base::Uuid& event_id,
                     ingest::Moment moment) {
  if (waiting_.size() == notices_max) {
    // The one on its way stays.
    waiting_.erase(waiting_.begin() + (on_its_way_ ? 1 : 0));
    ++dropped_;
  }
  waiting_.push_back(ingest::make_notice(name, details, event_id, moment));
}

std::optional<journal::AppendItem> NoticeLine::next(const ingest::HashKey& key) {
  if (on_its_way_ || waiting_.empty()) return std::nullopt;
  on_its_way_ = true;
  const tillstream::v1::Event& event = waiting_.front();
  // No notice repeats another one: nothing that is stored has to be compared.
  return journal::AppendItem{.key_hash = ingest::reference_hash(key, "", event.event_id()),
                             .priority = journal::Priority::money,
                             .record = ingest::to_record(event),
                             .seen_through = handoff::Row(std::numeric_limits<std::uint64_t>::max())};
}

void NoticeLine::on_appended() {
  ASSERT(on_its_way_ && !waiting_.empty());
  on_its_way_ = false;
  waiting_.pop_front();
}

}  // namespace gateway
