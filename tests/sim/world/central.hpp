// Central: the central stream as Kafka is one. Logs of records and of progress, transactions that the coordinator
// decides and that each log learns of later, ids that fence each other, and readers of committed data who wait behind
// whatever is still open.
//
//   init ─▶ epoch ─▶ produce (opens a transaction) ─▶ end(commit) ─▶ decided ─▶ marker in each log ─▶ readers see it
//
// Invariants:
//   (1) Only the newest epoch of an id may produce and end. init() aborts what an older one left open.
//   (2) A transaction is decided once. Each log shows it wholly or not at all, in the log's order.
//   (3) end() acts on whatever transaction its id has open, as Kafka's does: also one that came late.
//   (4) Answers may get lost, and requests may come long after they were given up.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cloud-bridge/stream/stream.hpp"
#include "proto/base/result.hpp"
#include "tests/sim/world/env.hpp"

namespace whole {

// What a reader of committed data sees, and what is decided.
class StreamWatcher {
 public:
  virtual ~StreamWatcher() = default;
  virtual void on_decided(const stream::Record& record) = 0;
  virtual void on_visible(std::size_t log, const stream::Record& record) = 0;
};

class Central {
 public:
  enum class Error { fenced, invalid_state };
  using Id = std::uint32_t;  // of a transactional producer
  using Epoch = std::uint64_t;
  using Position = std::uint64_t;
  using Answer = std::function<void(base::Result<std::uint64_t, Error>)>;
  // How far committed data can be read, and the progress there.
  using Progress = std::function<void(Position, const std::vector<tillstream::v1::Progress>&)>;
  using Contents = std::shared_ptr<const stream::Transaction>;

  Central(Env& env, StreamWatcher& watcher, std::uint32_t partitions, std::size_t event_logs);

  [[nodiscard]] std::uint32_t partitions() const { return partitions_; }
  // Answers with the epoch.
  void init(Id id, Answer answer);
  void produce(Id id, Epoch epoch, std::uint32_t partition, Contents contents, Answer answer);
  void end(Id id, Epoch epoch, Answer answer);
  // The end of a partition's progress, whether committed or not.
  void find_end(std::uint32_t partition, Answer answer);
  void read_progress(std::uint32_t partition, Progress answer);

  // Nothing arrives until then.
  void down_until(base::Instant end) { down_until_ = end; }
  void calm() { down_until_ = {}; }
  // Everything that is decided can be read.
  [[nodiscard]] bool settled() const;
  [[nodiscard]] std::uint64_t transactions() const { return decided_; }

 private:
  using Number = std::uint64_t;  // of a transaction
  enum class State { open, committed, aborted };
  struct Transaction {
    State state = State::open;
    Id id = 0;
    std::set<std::size_t> logs;
    std::vector<std::shared_ptr<const stream::Record>> records;
  };
  struct Producer {
    Epoch epoch = 0;
    Number open = 0;        // 0: none
    std::size_t owing = 0;  // logs that the last one's marker has not come to
  };
  struct Entry {
    Number transaction = 0;
    std::shared_ptr<const stream::Record> record;  // of an event log
    std::shared_ptr<const tillstream::v1::Progress> progress;
  };
  struct Log {
    std::vector<Entry> entries;
    std::size_t stable = 0;
    std::set<Number> marked;
    std::map<std::string, tillstream::v1::Progress> progress;  // committed, up to `stable`
  };
  using Serve = std::function<void(const Answer&)>;

  void ask(Serve serve, Answer answer);
  [[nodiscard]] bool unreachable() const { return env_.clock.at() < down_until_; }
  void append(Number number, std::uint32_t partition, const stream::Transaction& contents);
  void append_record(Number number, const stream::Record& record);
  void decide(Number number, bool commit);
  void mark(std::size_t log, Number number);
  void advance(std::size_t at);
  void answer_init(Id id, Epoch epoch, const Answer& answer);
  [[nodiscard]] std::size_t event_log(const std::string& key) const;

  Env& env_;
  StreamWatcher& watcher_;
  std::uint32_t partitions_;
  std::vector<Log> logs_;  // one of progress a partition, then the events'
  std::map<Id, Producer> producers_;
  std::map<Number, Transaction> transactions_;
  Number last_ = 0;
  std::uint64_t decided_ = 0;
  base::Instant down_until_{};
};

}  // namespace whole
