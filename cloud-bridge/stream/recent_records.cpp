#include "cloud-bridge/stream/recent_records.hpp"

#include <algorithm>
#include <utility>

#include "proto/base/assert.hpp"

namespace stream {

void RecentRecords::begin(Offsets ends) {
  first_ = ends;
  next_ = std::move(ends);
  kept_.clear();
  bytes_ = 0;
}

void RecentRecords::add(std::int32_t partition, std::int64_t offset, std::string value) {
  pass(partition, offset + 1);
  bytes_ += value.size();
  kept_.push_back({.partition = partition, .offset = offset, .value = std::move(value)});
  shrink();
}

void RecentRecords::pass(std::int32_t partition, std::int64_t next) {
  const auto found = next_.find(partition);
  ASSERT(found != next_.end());
  found->second = std::max(found->second, next);
}

void RecentRecords::shrink() {
  while (kept_.size() > 1 && (kept_.size() > limits_.records || bytes_ > limits_.bytes)) {
    const Kept& oldest = kept_.front();
    first_[oldest.partition] = oldest.offset + 1;
    bytes_ -= oldest.value.size();
    kept_.pop_front();
  }
}

bool RecentRecords::covers(const Offsets& from) const {
  if (first_.empty() || from.size() != first_.size()) return false;
  return std::equal(from.begin(), from.end(), first_.begin(), [](const auto& wanted, const auto& kept) {
    return wanted.first == kept.first && wanted.second >= kept.second;
  });
}

ReadPage RecentRecords::read(Offsets from, const ReadLimits& limits) const {
  ASSERT(covers(from));
  ReadPage page;
  std::size_t bytes = 0;
  for (const Kept& kept : kept_) {
    std::int64_t& next = from[kept.partition];
    if (kept.offset < next) continue;
    page.more = !page.records.empty() && (page.records.size() >= limits.records || bytes >= limits.bytes);
    if (page.more) break;
    next = kept.offset + 1;
    bytes += kept.value.size();
    page.records.push_back({.id = to_text(from), .value = kept.value});
  }
  if (!page.more) {
    for (auto& [partition, next] : from) next = std::max(next, next_.at(partition));
  }
  page.next.text = to_text(from);
  return page;
}

}  // namespace stream
