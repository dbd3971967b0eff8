#include "firmware-gateway/journal/duplicate_index.hpp"

#include <algorithm>

#include "proto/base/assert.hpp"

namespace journal {
namespace {

constexpr std::size_t kSlotsMin = 1024;

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

void DuplicateIndex::insert(std::uint64_t key_hash, handoff::Row row) {
  ASSERT(row > newest_);
  ASSERT(size_ < rows_max_);
  if ((size_ + 1) * 4 > slots_.size() * 3) grow();
  newest_ = row;
  place({tag_of(key_hash), low(row)});
  ++size_;
}

void DuplicateIndex::place(Slot slot) {
  std::size_t i = home(slot.tag);
  while (slots_[i].tag != 0) i = after(i);
  slots_[i] = slot;
}

void DuplicateIndex::grow() {
  std::vector<Slot> old(slots_.size() * 2);
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
    const std::size_t from_home = (i - home(slots_[i].tag)) & (slots_.size() - 1);
    const std::size_t from_gap = (i - gap) & (slots_.size() - 1);
    if (from_home < from_gap) continue;
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
