#include "firmware-gateway/journal/duplicate_index.hpp"

#include <algorithm>

#include "proto/base/assert.hpp"

namespace journal {
namespace {

constexpr std::size_t kSlotsMin = 1024;

// Seven eighths are taken at most: linear probing looks at 4 slots for a row that is there, at some 30, which lie side
// by side, for one that is not.
constexpr std::size_t slots_for(std::size_t rows) { return rows + rows / 7 + 1; }

// The hash is mixed once more (fmix64 of MurmurHash3): the index must not depend on which bits the caller mixed well.
std::uint32_t tag_of(std::uint64_t hash) {
  hash ^= hash >> 33U;
  hash *= 0xff51afd7ed558ccdU;
  hash ^= hash >> 33U;
  hash *= 0xc4ceb9fe1a85ec53U;
  hash ^= hash >> 33U;
  const auto tag = static_cast<std::uint32_t>(hash);
  return tag == 0 ? 1 : tag;
}

std::uint32_t low(handoff::Row row) { return static_cast<std::uint32_t>(row.value()); }

}  // namespace

DuplicateIndex::DuplicateIndex(std::size_t rows_max) : slots_(kSlotsMin), rows_max_(rows_max) {}

handoff::Row DuplicateIndex::row_of(std::uint32_t row_low) const { return newest_ - (low(newest_) - row_low); }

void DuplicateIndex::reserve(std::size_t rows) {
  if (const std::size_t slots = slots_for(std::min(rows, rows_max_)); slots > slots_.size()) grow(slots);
}

void DuplicateIndex::insert(std::uint64_t key_hash, handoff::Row row) {
  ASSERT(row > newest_);
  ASSERT(size_ < rows_max_);
  make_room(size_ + 1);
  newest_ = row;
  place({tag_of(key_hash), low(row)});
  ++size_;
}

void DuplicateIndex::insert(std::span<const Key> keys) {
  make_room(size_ + keys.size());
  for (const Key& key : keys) __builtin_prefetch(&slots_[home(tag_of(key.key_hash))], 1);
  for (const Key& key : keys) insert(key.key_hash, key.row);
}

void DuplicateIndex::place(Slot slot) {
  std::size_t i = home(slot.tag);
  while (slots_[i].tag != 0) i = after(i);
  slots_[i] = slot;
}

void DuplicateIndex::make_room(std::size_t rows) {
  if (const std::size_t slots = slots_for(rows); slots > slots_.size()) {
    grow(std::max(slots, slots_.size() + slots_.size() / 4));
  }
}

void DuplicateIndex::grow(std::size_t slots) {
  std::vector<Slot> old(slots);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.tag != 0) place(slot);
  }
}

void DuplicateIndex::erase(std::uint64_t key_hash, handoff::Row row) {
  const std::uint32_t tag = tag_of(key_hash);
  std::size_t i = home(tag);
  while (slots_[i].tag != tag || slots_[i].row_low != low(row)) {
    ASSERT(slots_[i].tag != 0);
    i = after(i);
  }
  close_gap(i);
  --size_;
}

// Moves back what only stood further on because the slot was taken (Knuth 6.4, algorithm R).
void DuplicateIndex::close_gap(std::size_t gap) {
  for (std::size_t i = after(gap); slots_[i].tag != 0; i = after(i)) {
    if (distance(home(slots_[i].tag), i) < distance(gap, i)) continue;
    slots_[gap] = slots_[i];
    gap = i;
  }
  slots_[gap] = {};
}

std::vector<handoff::Row> DuplicateIndex::find(std::uint64_t key_hash, handoff::Row above) const {
  const std::uint32_t tag = tag_of(key_hash);
  std::vector<handoff::Row> rows;
  for (std::size_t i = home(tag); slots_[i].tag != 0; i = after(i)) {
    if (slots_[i].tag != tag) continue;
    const handoff::Row row = row_of(slots_[i].row_low);
    if (row > above) rows.push_back(row);
  }
  std::sort(rows.begin(), rows.end(), std::greater<>());
  return rows;
}

}  // namespace journal
