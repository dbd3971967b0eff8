// DuplicateIndex: which rows may have a key, in 9 to 11.5 bytes a row. A hit is a hint: the caller confirms it by
// reading the row.
//
// Open addressing with linear probing; a slot is a 32-bit tag of the key hash and the low 32 bits of the row. Rows that
// are indexed at the same time span less than 2^32, so that the newest row completes the other half.
//
// Invariants:
//   (1) Every row that was inserted and not erased is found by its key hash. There are false hits, never misses.
//   (2) At most rows_max rows; once there are kSlotsMin slots or more, memory is at most 11.5 bytes a row of the most
//   that were there at a time, and while it grows twice that for a moment.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "proto/handoff/types.hpp"

namespace journal {

// A journal that has so many rows refuses new ones: no repeat may go unnoticed.
inline constexpr std::size_t kIndexRowsMax = 3U << 20U;

class DuplicateIndex {
 public:
  explicit DuplicateIndex(std::size_t rows_max = kIndexRowsMax);

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t rows_max() const { return rows_max_; }
  [[nodiscard]] std::size_t bytes() const { return slots_.size() * sizeof(Slot); }

  // Room for so many rows, so that they come in without growing.
  void reserve(std::size_t rows);
  // Rows come in ascending order. Only while size() < rows_max().
  void insert(std::uint64_t key_hash, handoff::Row row);
  // The same for many, whose slots are then fetched side by side: each is somewhere else in memory.
  struct Key {
    std::uint64_t key_hash = 0;
    handoff::Row row;
  };
  void insert(std::span<const Key> keys);
  // The row must have been inserted with this hash.
  void erase(std::uint64_t key_hash, handoff::Row row);
  // Rows above `above` that may have this hash, newest first.
  [[nodiscard]] std::vector<handoff::Row> find(std::uint64_t key_hash, handoff::Row above) const;

 private:
  struct Slot {
    std::uint32_t tag = 0;  // 0: empty
    std::uint32_t row_low = 0;
  };

  // The tag's place among all tags, so that any number of slots will do, and growing goes through memory in order.
  [[nodiscard]] std::size_t home(std::uint32_t tag) const {
    return static_cast<std::size_t>((static_cast<std::uint64_t>(tag) * slots_.size()) >> 32U);
  }
  [[nodiscard]] std::size_t after(std::size_t slot) const { return slot + 1 == slots_.size() ? 0 : slot + 1; }
  [[nodiscard]] std::size_t distance(std::size_t from, std::size_t to) const {
    return to >= from ? to - from : to + slots_.size() - from;
  }
  [[nodiscard]] handoff::Row row_of(std::uint32_t row_low) const;
  void place(Slot slot);
  // Grows by a quarter at least, when it has to.
  void make_room(std::size_t rows);
  void grow(std::size_t slots);
  void close_gap(std::size_t gap);

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
  std::size_t rows_max_;
  handoff::Row newest_;
};

}  // namespace journal
