// MemoryStream: a stream that forgets nothing until its store goes. Deterministic: completions come by `post`, in
// order.
//
// The store is the central stream; each MemoryStream is one bridge's view of it. Whoever takes a partition fences its
// older owner, which loses it at its next commit at the latest. The contract suite holds it to the same promises as the
// real ones.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "cloud-bridge/stream/stream.hpp"

namespace test {

enum class CommitFault { none, before_commit, after_commit };

struct StoredRecord {
  stream::Position position;
  stream::Record record;
};

struct MemoryStreamStore {
  std::vector<StoredRecord> records;
  std::set<std::tuple<std::string, std::string, std::uint64_t>> places;
  std::map<std::string, tillstream::v1::Progress> progress;
  std::map<std::tuple<std::string, std::string, std::string>, stream::DeadLetter> dead_letters;
  std::map<std::string, std::string> gateways;
  std::map<std::string, std::uint32_t> homes;     // the partition whose transactions wrote a gateway's progress
  std::map<std::uint32_t, std::uint64_t> owners;  // who may commit in a partition
  std::uint64_t streams = 0;                      // opened so far

  // What happens to the next commit: nothing of it gets in, or all of it; either way the bridge is not told that it
  // did.
  CommitFault next_fault = CommitFault::none;
  // Not empty: no transaction may begin, for this reason.
  std::string blocked;

  // False, and nothing changes, when a place is taken.
  [[nodiscard]] bool apply(const stream::Transaction& transaction);
};

class MemoryStream final : public stream::Stream, public stream::StreamReader {
 public:
  // The store must outlive it.
  MemoryStream(MemoryStreamStore& store, stream::Post post, std::uint32_t partitions = 1);
  ~MemoryStream() override;

  // Takes all partitions; a bridge among several takes what take() is told.
  void open(stream::Owner& owner) override;
  void join(stream::Owner& owner);
  [[nodiscard]] std::uint32_t partitions() const override;
  [[nodiscard]] bool may_begin(stream::Partition partition) const override;
  void begin(stream::Partition partition, stream::TransactionId id, stream::Transaction transaction) override;
  [[nodiscard]] stream::Status status() const override;
  void close(std::function<void()> done) override;

  [[nodiscard]] base::Result<stream::Place, std::string> parse(std::string_view text,
                                                               stream::Bound bound) const override;
  void find_end(std::size_t back, Placed done) override;
  void read(stream::Place from, stream::ReadLimits limits, Done done) override;
  void watch(std::function<void()> changed) override;

  // The store's `blocked` has changed: tells the owner when that makes it ready.
  void blocked_changed();
  // The partition is assigned to this bridge, or taken away from it.
  void take(stream::Partition partition);
  void revoke(stream::Partition partition);
  // Loses every partition, as when the disk fails, and takes them again.
  void lose(const std::string& reason);

 private:
  struct Side;
  std::shared_ptr<Side> side_;
};

}  // namespace test
