// RecentRecords: what was committed last in a topic of several partitions, for readers that follow its end.
//
// Holds every committed record of partition p from its first kept offset up to where p was read. A reader stands
// anywhere: it gets those of each partition at its own offsets and behind them, however the partitions were mixed when
// it came there.
//
// Invariants:
//   (1) covers(from) means: nothing that was committed at `from` or behind it, up to where the topic was read, is
//   missing. (2) No more than the limits is kept, save one record; what comes first goes first. (3) An offset of a
//   partition that lies beyond what was read waits there.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "cloud-bridge/stream/offsets.hpp"
#include "cloud-bridge/stream/stream.hpp"

namespace stream {

struct RecentLimits {
  std::size_t records = 4096;
  std::size_t bytes = 2 * 1024 * 1024;  // of values
};

class RecentRecords {
 public:
  explicit RecentRecords(RecentLimits limits = {}) : limits_(limits) {}

  // Forgets everything; each partition is read from here on.
  void begin(Offsets ends);
  void clear() { begin({}); }
  // In the order of a partition's offsets; the partition is one that begin() named.
  void add(std::int32_t partition, std::int64_t offset, std::string value);
  // Nothing is between what was added last and here: marks of transactions, or what was aborted.
  void pass(std::int32_t partition, std::int64_t next);

  [[nodiscard]] bool covers(const Offsets& from) const;
  // Of a place that is covered.
  [[nodiscard]] ReadPage read(Offsets from, const ReadLimits& limits) const;

 private:
  struct Kept {
    std::int32_t partition;
    std::int64_t offset;
    std::string value;
  };

  void shrink();

  RecentLimits limits_;
  Offsets first_;  // kept, by partition
  Offsets next_;   // to be read, by partition
  std::deque<Kept> kept_;
  std::size_t bytes_ = 0;
};

}  // namespace stream
