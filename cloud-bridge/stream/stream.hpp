// Stream: the central stream, whatever keeps it. Events and the gateways' progress go in together, or not at all.
//
//   unowned ──take──▶ taking ──on_owned──▶ owned ──begin──▶ committing ──on_committed──▶ owned
//                        ▲                 │  ▲ │                │
//                        │          blocked┘  └─┴─on_ready       │
//                        └──── on_lost ────────┴─────────────────┘   any uncertain outcome
//
// Invariants:
//   (1) A transaction is in the stream wholly or not at all, for every reader of committed data.
//   (2) on_committed(id) is called only when that is certain. Otherwise on_lost follows, and nothing may be assumed:
//   the next
//       on_owned brings the progress that counts.
//   (3) on_owned's progress includes every transaction that any earlier owner committed, and no earlier owner can
//   commit after it. (4) One transaction a partition is under way at a time; may_begin() says when the next may come.
//   (5) A partition that is owned, idle and may not begin is blocked (no room; status() says why): credit is zero
//   meanwhile, and
//       on_ready says when it is over.
//   (6) A second record of one (gateway, epoch, seq) never gets in: the transaction fails as a whole, and on_lost says
//   so.
//
// Several partitions: each is for itself. Their transactions overlap freely, and a TransactionId counts within its
// partition.
//
// Failures:
//   outcome uncertain (time-out, disconnect or retry between begin and the answer; also a certain abort): on_lost, and
//       on_owned when the transaction is in or out for good and progress was read again. The bridge asks for nothing.
//   fenced, or assigned to another bridge: on_lost, and no on_owned until the partition is assigned to us again.
//
// Threads: calls and callbacks happen on the bridge's loop thread; what blocks is behind the implementation's own
// threads. No callback happens inside a call. Memory: a transaction is the caller's until begin(); how large one may be
// is the caller's limit. Errors are words for people and never hold payload.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cloud-bridge/stream/place.hpp"
#include "cloud-bridge/stream/value.hpp"
#include "proto/base/instant.hpp"
#include "proto/base/result.hpp"
#include "proto/base/strong.hpp"
#include "proto/handoff/types.hpp"
#include "proto/wire/handoff.pb.h"

namespace stream {

// Owns the shards s with s mod P = p.
using Partition = base::Strong<struct PartitionTag, std::uint32_t>;
using TransactionId = base::Strong<struct TransactionTag>;

// Runs a task on the bridge's loop thread, later and never inside the call. Any thread may call it.
using Post = std::function<void(std::function<void()> task)>;

// A record as consumers see it (README.md has the fields). What is empty is absent. Its CloudEvents headers follow from
// it: each_header() in record.hpp.
struct Record {
  std::string event_id;  // UUID text
  std::string gateway_id;
  std::string epoch;                 // hex; empty for a bridge's own notice
  std::optional<std::uint64_t> seq;  // none for a bridge's own notice
  std::string key;                   // <gateway>/<terminal>
  std::string type;                  // sale, …, notice
  std::string occurred_at;           // RFC 3339, as all times here
  std::string received_at;
  std::string published_at;
  Encoding encoding = Encoding::json;
  std::string value;

  friend bool operator==(const Record&, const Record&) = default;
};

// What came in and cannot be published. Kept once per (gateway, epoch, digest); made by dead_letter() in
// dead_letter.hpp, which decides whether the bytes may be kept at all.
struct DeadLetter {
  std::string gateway_id;
  std::string topic;
  std::string reason;  // a word: undecodable, gateway_mismatch, too_large …
  std::string detail;  // for people, never payload
  std::string epoch;   // hex; empty: foreign, not a record of any epoch
  std::string digest;  // hex of the payload's SHA-256
  base::UtcTime at;
  std::uint64_t size = 0;              // bytes of the payload
  std::optional<base::Bytes> payload;  // none: it might hold card data, or is too large

  friend bool operator==(const DeadLetter&, const DeadLetter&) = default;
};

// One row of the public table of gateways: flat JSON, keyed by gateway; a newer one replaces it.
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

// What the stream takes in one piece: key, headers and value together. What is larger would fail its whole transaction,
// again and again.
struct SizeLimits {
  std::size_t record_bytes = std::numeric_limits<std::size_t>::max();
  std::size_t dead_letter_bytes = std::numeric_limits<std::size_t>::max();
};

// What a stream tells its owner.
class Owner {
 public:
  virtual ~Owner() = default;
  // The partition is ours; `progress` is all that is committed in it, and only that: of gateways in its own shards.
  virtual void on_owned(Partition partition, std::vector<tillstream::v1::Progress> progress) = 0;
  // Not ours (any more), or not certain: forget everything about it. Transactions under way have an unknown outcome.
  // on_owned follows when the stream has it again; nobody has to ask.
  virtual void on_lost(Partition partition, std::string reason) = 0;
  virtual void on_committed(Partition partition, TransactionId id) = 0;
  // may_begin() has become true without on_owned or on_committed: what blocked the partition is gone.
  virtual void on_ready(Partition partition) = 0;
};

// A partition that is to be this bridge's, when bridges share them out.
struct Share {
  Partition partition;
  bool owned = false;
  std::string reason;  // why it is not owned yet or any more
};

struct Status {
  bool up = false;         // every partition that should be ours is
  std::string last_error;  // of the last failure, for people; stays after recovery
  std::optional<base::UtcTime> last_error_at{};
  // Why nothing may begin although the stream is up: "full", "reader_holds_snapshot"; empty: nothing blocks. An alarm,
  // and credit zero.
  std::string blocked;
  std::uint64_t bytes = 0;  // of the embedded stream's files, and their limit
  std::uint64_t bytes_max = 0;
  std::uint64_t wal_bytes = 0;  // not yet checkpointed, and its limit
  std::uint64_t wal_bytes_max = 0;
  std::optional<Position> last_position;
  std::optional<std::vector<Share>> shares;      // none: all partitions are this bridge's
  std::uint64_t losses_total = 0;                // on_lost
  std::uint64_t dead_letters = 0;                // kept in the stream
  std::uint64_t dead_letters_dropped_total = 0;  // foreign ones beyond their limit
};

class Stream {
 public:
  virtual ~Stream() = default;

  // Begins to take partitions; on_owned follows for each one that is got. Once. The owner must outlive the stream.
  virtual void open(Owner& owner) = 0;
  // Number of partitions P, fixed for the stream's life.
  [[nodiscard]] virtual std::uint32_t partitions() const = 0;
  [[nodiscard]] virtual bool may_begin(Partition partition) const = 0;
  // Starts committing; on_committed or on_lost follows. Only when may_begin(), and never with an empty transaction.
  virtual void begin(Partition partition, TransactionId id, Transaction transaction) = 0;
  // Known when on_owned is called first, and fixed from then on.
  [[nodiscard]] virtual SizeLimits size_limits() const { return {}; }
  // Likewise.
  [[nodiscard]] virtual ValueFormat value_format() const { return {}; }
  [[nodiscard]] virtual Status status() const = 0;
  // Finishes what is under way, then calls `done`; nothing is called afterwards.
  virtual void close(std::function<void()> done) = 0;
};

// --- reading back, for server-sent events ---

struct ReadRecord {
  std::string id;     // a reader that has seen it goes on at parse(id, Bound::after)
  std::string value;  // flat JSON, as in Record
};

// Records that the stream has let go of before a reader came to them: [first, next) in the stream's own words.
struct Removed {
  std::string id;  // goes on behind them, as a record's
  std::string first;
  std::string next;
};

enum class ReadError {
  down,     // The stream cannot be read now. Try again later.
  busy,     // Too many reads wait already. Try again later.
  refused,  // The place is none of this stream's. Do not ask again.
};

struct ReadFailure {
  ReadError error = ReadError::down;
  std::string reason;  // for people
};

struct ReadLimits {
  std::size_t records = 256;
  std::size_t bytes = 256 * 1024;  // of values; at least one record comes when there is one
};

struct ReadPage {
  std::vector<Removed> removed;  // before the records
  std::vector<ReadRecord> records;
  Place next;         // where the next read goes on
  bool more = false;  // there was more when this was read
};

// Reads committed records, in bounded steps that never hold a snapshot in between. Same thread rules as Stream; may be
// asked as soon as the stream is made, and fails until it is open.
//
// Promises: whoever goes on at `next`, or behind the id of any record of a page, gets every committed record that came
// before neither, once, those of one key in order; a record whose transaction was aborted never. Records are there for
// readers when `changed` is called, which may be a little after on_committed.
class StreamReader {
 public:
  using Done = std::function<void(base::Result<ReadPage, ReadFailure>)>;
  using Placed = std::function<void(base::Result<Place, ReadFailure>)>;

  virtual ~StreamReader() = default;
  // What a user or a reader wrote: a place of this stream, or what is allowed, in words. "0" is the beginning.
  [[nodiscard]] virtual base::Result<Place, std::string> parse(std::string_view text, Bound bound) const = 0;
  // The place behind all that can be read now, or about `back` records before it. `done` as in read().
  virtual void find_end(std::size_t back, Placed done) = 0;
  // Records at `from` and behind it. `done` is called exactly once, unless the stream is destroyed first.
  virtual void read(Place from, ReadLimits limits, Done done) = 0;
  // Called when there may be more to read than before, or when reading has begun or ceased to fail. One watcher; {}
  // removes it, and spares the stream the work of looking.
  virtual void watch(std::function<void()> changed) = 0;
};

}  // namespace stream
