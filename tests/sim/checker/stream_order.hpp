// StreamOrder: what must hold of the order of entries in a stream, whatever they are: seqs without gap in each epoch,
// nothing twice unless it is marked, and what one origin told of in the order in which it did.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

namespace sim {

class StreamOrder {
 public:
  struct Entry {
    std::string_view name;  // for people
    std::string_view id;
    std::string_view epoch;
    std::uint64_t seq = 0;
    bool possible_repeat = false;
    // Entries of one origin have ascending orders. Empty: of none.
    std::string_view origin;
    std::uint64_t order = 0;
  };

  // The next entry of this log; what it breaks.
  [[nodiscard]] std::optional<std::string> add(std::size_t log, const Entry& entry) {
    Epoch& epoch = epochs_[std::string(entry.epoch)];
    std::uint64_t& last_seq = epoch.last[log];
    if (entry.seq <= last_seq) {
      return fmt::format("epoch {} has seq {} after {}", entry.epoch.substr(0, 8), entry.seq, last_seq);
    }
    last_seq = entry.seq;
    epoch.highest = std::max(epoch.highest, entry.seq);
    ++epoch.entries;
    const bool again = !seen_.insert(std::string(entry.id)).second;
    if (entry.possible_repeat) return std::nullopt;
    if (again) return fmt::format("{} is in the stream again, and not marked possible_repeat", entry.name);
    if (entry.origin.empty()) return std::nullopt;
    std::uint64_t& last = orders_[std::string(entry.origin)];
    if (entry.order < last) return fmt::format("{} comes after a later event of its terminal", entry.name);
    last = entry.order;
    return std::nullopt;
  }
  // After the last entry. Each log's seqs ascend: with as many entries as its highest seq an epoch has all of them.
  [[nodiscard]] std::optional<std::string> check_gaps() const {
    for (const auto& [name, epoch] : epochs_) {
      if (epoch.entries == epoch.highest) continue;
      return fmt::format("epoch {} has {} seqs up to {}", name.substr(0, 8), epoch.entries, epoch.highest);
    }
    return std::nullopt;
  }

 private:
  struct Epoch {
    std::map<std::size_t, std::uint64_t> last;  // by log
    std::uint64_t highest = 0;
    std::uint64_t entries = 0;
  };
  std::map<std::string, Epoch> epochs_;
  std::map<std::string, std::uint64_t> orders_;
  std::unordered_set<std::string> seen_;
};

}  // namespace sim
