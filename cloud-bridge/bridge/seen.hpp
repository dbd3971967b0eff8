// Seen: a bounded memory of digests, so that the same poison is written once and not at each of its retransmissions.
//
// Two generations of at most `digests_max` each: when the newer one is full, the older one is forgotten. So the last
// `digests_max` are always known. Forgetting costs nothing but a second try: the stream itself keeps each dead letter
// once.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_set>
#include <utility>

namespace bridge {

class Seen {
 public:
  explicit Seen(std::size_t digests_max) : digests_max_(digests_max) {}

  // True when it was not known.
  bool add(const std::string& digest) {
    if (newer_.contains(digest) || older_.contains(digest)) return false;
    if (newer_.size() >= digests_max_) older_ = std::exchange(newer_, {});
    newer_.insert(digest);
    return true;
  }
  void clear() {
    newer_.clear();
    older_.clear();
  }

 private:
  std::size_t digests_max_;
  std::unordered_set<std::string> newer_;
  std::unordered_set<std::string> older_;
};

}  // namespace bridge
