#include "cloud-bridge/bridge/gathering.hpp"

#include <iterator>

#include "proto/base/assert.hpp"

namespace bridge {

namespace {

// Strings, map nodes and vectors around one record.
constexpr std::uint64_t overhead_bytes = 512;

template <class T>
void append(std::vector<T>& to, std::vector<T> from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

void put_progress(Gathered& gathered, Bundle& bundle) {
  const auto [found, is_new] = gathered.places.try_emplace(bundle.gateway, gathered.issues.size());
  if (is_new) {
    gathered.issues.push_back({.gateway = bundle.gateway, .ticket = {}});
    gathered.transaction.progress.emplace_back();
  }
  gathered.issues[found->second].ticket = *bundle.ticket;
  gathered.transaction.progress[found->second] = std::move(*bundle.progress);
}

}  // namespace

std::uint64_t Bundle::bytes() const {
  std::uint64_t bytes = 0;
  for (const stream::Record& record : records) bytes += record.value.size() + overhead_bytes;
  for (const stream::DeadLetter& letter : dead_letters) {
    bytes += (letter.payload ? letter.payload->size() : 0) + overhead_bytes;
  }
  if (progress) bytes += 2 * overhead_bytes;
  return bytes;
}

Gathered& Gathering::room_for(std::uint64_t events, std::uint64_t bytes) {
  const bool fits = !waiting_.empty() && waiting_.back().transaction.records.size() + events <= limits_.events &&
                    waiting_.back().bytes + bytes <= limits_.bytes;
  if (!fits) waiting_.emplace_back();
  return waiting_.back();
}

void Gathering::add(Bundle bundle) {
  ASSERT(bundle.ticket.has_value() == bundle.progress.has_value());
  const std::uint64_t bytes = bundle.bytes();
  Gathered& gathered = room_for(bundle.records.size(), bytes);
  gathered.bytes += bytes;
  bytes_ += bytes;
  events_ += bundle.records.size();
  append(gathered.transaction.records, std::move(bundle.records));
  append(gathered.transaction.dead_letters, std::move(bundle.dead_letters));
  if (bundle.progress) put_progress(gathered, bundle);
}

Gathered Gathering::take() {
  ASSERT(!waiting_.empty());
  Gathered gathered = std::move(waiting_.front());
  waiting_.pop_front();
  bytes_ -= gathered.bytes;
  events_ -= gathered.transaction.records.size();
  return gathered;
}

void Gathering::clear() {
  waiting_.clear();
  bytes_ = 0;
  events_ = 0;
}

}  // namespace bridge
