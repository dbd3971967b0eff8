// DuplicateIndex: which rows may have a key, in 8 bytes a row. A hit is a hint: the caller confirms it by reading the
// row.
//
// Open addressing with linear probing; a slot is a 32-bit tag of the key hash and the low 32 bits of the row. Rows that
// are indexed at the same time span less than 2^32, so that the newest row completes the other half.
//
// Invariants:
//   (1) Every row that was inserted and not erased is found by its key hash. There are false hits, never misses.
//   (2) At most rows_max rows; memory at most 32/3 bytes a row of the next power of two, 32 MiB at kIndexRowsMax.
#pragma once

#include <cstdint>
#include <vector>

#include "proto/handoff/types.hpp"

namespace journal {

// Three quarters of 4 Mi slots. A journal that has so many rows refuses new ones: no repeat may go unnoticed.
inline constexpr std::size_t kIndexRowsMax = 3U << 20U;

class DuplicateIndex {
 public:
  explicit DuplicateIndex(std::size_t rows_max = kIndexRowsMax);

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t rows_max() const { return rows_max_; }

  // Rows come in ascending order. Only while size() < rows_max().
  void insert(std::uint64_t key_hash, handoff::Row row);
  // The row must have been inserted with this hash.
  void erase(std::uint64_t key_hash, handoff::Row row);
  // Rows above `above` that may have this hash, newest first.
  [[nodiscard]] std::vector<handoff::Row> find(std::uint64_t key_hash, handoff::Row above) const;

 private:
  struct Slot {
    std::uint32_t tag = 0;  // 0: empty
    std::uint32_t row_low = 0;
  };

  [[nodiscard]] std::size_t home(std::uint32_t tag) const { return tag & (slots_.size() - 1); }
  [[nodiscard]] std::size_t after(std::size_t slot) const { return (slot + 1) & (slots_.size() - 1); }
  [[nodiscard]] handoff::Row row_of(std::uint32_t row_low) const;
  void place(Slot slot);
  void grow();
  void close_gap(std::size_t gap);

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
  std::size_t rows_max_;
  handoff::Row newest_;
};

}  // namespace journal
