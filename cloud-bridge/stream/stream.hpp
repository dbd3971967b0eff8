// Stream: the central stream, whatever keeps it. Events and the gateways' progress go in together, or not at all.
//
//   unowned ──take──▶ taking ──on_owned──▶ owned ──begin──▶ committing ──on_committed──▶ owned
//                        ▲                   │                   │
//                        └──── on_lost ──────┴───────────────────┘   any uncertain outcome
//
// Invariants:
//   (1) A transaction is in the stream wholly or not at all, for every reader of committed data.
//   (2) on_committed(id) is called only when that is certain. Otherwise on_lost follows, and nothing may be assumed: the next
//       on_owned brings the progress that counts.
//   (3) on_owned's progress includes every transaction that any earlier owner committed, and no earlier owner can commit after it.
//   (4) One transaction a partition is under way at a time; may_begin() says when the next may come.
//
// Calls and callbacks happen on the bridge's loop thread; what blocks is behind the implementation's own threads.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "proto/base/instant.hpp"
#include "proto/handoff/types.hpp"
#include "proto/wire/handoff.pb.h"

namespace stream {

// Owns the shards s with s mod P = p.
using Partition = base::Strong<struct PartitionTag, std::uint32_t>;
using TransactionId = base::Strong<struct TransactionTag>;
// Where a record is in the stream: for readers of the embedded stream, its row.
using Position = base::Strong<struct PositionTag>;

// A record as consumers see it (cloud-bridge/stream/README.md has the fields).
struct Record {
  std::string event_id;
  std::string gateway_id;
  std::string epoch;                  // hex; empty for a bridge's own notice
  std::optional<std::uint64_t> seq;   // none for a bridge's own notice
  std::string key;                    // <gateway>/<terminal>
  std::string type;                   // sale, …, notice
  std::string occurred_at;
  std::string received_at;
  std::string published_at;
  std::vector<std::pair<std::string, std::string>> headers;  // CloudEvents binary mode, in order
  std::string value;                  // flat JSON
};

struct DeadLetter {
  std::string gateway_id;
  std::string topic;
  std::string reason;   // a word: undecodable, gateway_mismatch, too_large …
  std::string detail;
  std::string epoch;    // hex, may be empty
  std::string digest;   // hex of the payload's SHA-256: once per (gateway, epoch, digest)
  base::UtcTime at;
  base::Bytes payload;
};

// One row of the public table of gateways: flat JSON, keyed by gateway.
struct GatewayRow {
  std::string gateway_id;
  std::string value;
};

struct Transaction {
  std::vector<Record> records;
  std::vector<tillstream::v1::Progress> progress;
  std::vector<DeadLetter> dead_letters;
  std::vector<GatewayRow> gateways;

  [[nodiscard]] bool empty() const {
    return records.empty() && progress.empty() && dead_letters.empty() && gateways.empty();
  }
};

// What a stream tells its owner.
class Owner {
 public:
  virtual ~Owner() = default;
  // The partition is ours; `progress` is all that is committed.
  virtual void on_owned(Partition partition, std::vector<tillstream::v1::Progress> progress) = 0;
  // Not ours (any more), or not certain: forget everything about it. Transactions under way have an unknown outcome.
  virtual void on_lost(Partition partition, std::string reason) = 0;
  virtual void on_committed(Partition partition, TransactionId id) = 0;
};

struct Status {
  bool up = false;
  std::string last_error;            // of the last failure, for people
  std::uint64_t bytes = 0;           // of the embedded stream's files
  std::optional<Position> last_position;
};

class Stream {
 public:
  virtual ~Stream() = default;

  // Begins to take partitions; on_owned follows for each one that is got. The owner must outlive the stream.
  virtual void open(Owner& owner) = 0;
  // Number of partitions P, fixed for the stream's life.
  [[nodiscard]] virtual std::uint32_t partitions() const = 0;
  [[nodiscard]] virtual bool may_begin(Partition partition) const = 0;
  // Starts committing; on_committed or on_lost follows. Only when may_begin().
  virtual void begin(Partition partition, TransactionId id, Transaction transaction) = 0;
  [[nodiscard]] virtual Status status() const = 0;
  // Finishes what is under way, then calls `done`; nothing is called afterwards.
  virtual void close(std::function<void()> done) = 0;
};

// Reading back, for tail and server-sent events.
struct ReadRecord {
  Position position;
  Record record;
};

}  // namespace stream
