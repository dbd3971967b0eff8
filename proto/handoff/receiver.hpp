// Receiver: the bridge's end of the handoff, one object a gateway. Decides which rows are new, and what to answer. Does
// no I/O.
//
//   It runs ahead of the stream: `tentative` progress is what will be stored when everything published so far commits,
//   so that one transaction gathers what arrived while the last one committed.
//
//     Up ──on_up──▶ tentative ──Publish{ticket}──▶ the bridge's transaction ──on_committed(ticket)──▶ committed
//     ──Reply──▶ Down
//                        ▲                                                                                │
//                        └──────────────── on_reset(stored): outcome unknown, forget ─────────────────────┘
//
// Invariants:
//   (1) committed <= tentative; an Ack never names more than committed. [H-51] (2) The rows of a Publish follow the
//   tentative progress without gap or repeat, by seq and by digest.             [H-52] (3) The epoch changes only from
//   exactly the progress that a Hello supersedes.                                    [H-60] (4) Uncommitted rows are at
//   most uncommitted_bytes_max.                                                          [H-55]
//
// Publish outputs of one receiver go into transactions in their order; on_committed(t) covers all tickets up to t.
// Anything not certain: on_reset() with what the stream holds. Not thread-safe. The hasher must outlive the receiver.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "proto/base/hasher.hpp"
#include "proto/base/instant.hpp"
#include "proto/handoff/progress.hpp"
#include "proto/handoff/types.hpp"
#include "proto/wire/handoff.pb.h"

namespace handoff {

// Counts the Publish outputs of one receiver: 1, 2, 3 …
using Ticket = base::Strong<struct TicketTag>;

inline constexpr std::size_t kSwitchesMax = 3;                // so many epoch switches …
inline constexpr std::chrono::minutes kQuarantineWindow{10};  // … within this time quarantine an id …
inline constexpr std::chrono::minutes kQuarantineCalm{10};    // … until only one run has said Hello for this long

struct ReceiverSettings {
  // Records published and not committed, at most; what comes beyond is not accepted and will come again.
  std::uint64_t uncommitted_bytes_max = 2U << 20U;
  // The newest schema_version that this bridge can represent wholly.
  std::uint32_t event_schema = 1;
  std::string program{};
};

struct PublishedRow {
  Seq seq;
  base::Bytes record;
};

// Rows that the bridge's own records must say are missing, in the transaction of the switch.
struct Loss {
  Lost lost;
  std::optional<Place> superseded;  // whose seqs `lost` counts in; none: rows of the journal
};

enum class Notice : std::uint8_t {
  gateway_cloned,  // the id is quarantined: two live boxes use it
  quarantine_ended,
};

// Put this into the stream, all of it in one transaction: the rows (records as the gateway journaled them), the loss,
// the notices and the progress. A row that cannot be published leaves a notice in its seq's place.
struct Publish {
  Ticket ticket{};
  Epoch epoch{};
  bool possible_repeat = false;
  std::vector<PublishedRow> rows{};
  std::optional<Loss> loss{};
  std::vector<Notice> notices{};
  // To be stored; of several Publish in one transaction, the last one's.
  Progress progress{};
};
// Publish this on the gateway's down topic.
struct Reply {
  tillstream::v1::Ack ack;
};
// A heartbeat that belongs to the committed progress, and is newer than the last one.
struct Heard {
  tillstream::v1::Heartbeat heartbeat;
};
enum class RefusalReason : std::uint8_t {
  gateway_mismatch,  // the payload names another gateway than the topic: an attack or a misconfiguration; dead letter
  malformed,         // a field has a wrong size or value; dead letter
  foreign_epoch,     // late, replayed, or a clone's: answered with the stored progress
  digest_mismatch,   // right epoch, other rows
  gap,               // rows are missing before it: they will come again
  over_credit,       // more than uncommitted_bytes_max
  quarantined,
  newer_schema,  // held until the bridge is upgraded
};
// Counted. Nothing of the message took effect.
struct Refuse {
  RefusalReason reason;
};
using ReceiverOutput = std::variant<Publish, Reply, Heard, Refuse>;

struct ReceiverCounters {
  std::uint64_t rows = 0;
  std::uint64_t rows_repeated = 0;
  std::uint64_t switches = 0;
};

class Receiver {
 public:
  // `stored`: what the stream holds for this gateway; none: nothing.
  Receiver(const base::Hasher& hasher, std::string gateway_id, ReceiverSettings settings,
           std::optional<Progress> stored);

  // Any message on this gateway's up topic. Takes the records out of it.
  void on_up(tillstream::v1::Up up, base::Now now);
  // Every Publish up to this ticket is in the stream.
  void on_committed(Ticket through);
  // What was published and not committed has an unknown outcome; the stream holds this.
  void on_reset(std::optional<Progress> stored);
  // Bytes that the gateway may have sent beyond what is committed. Told with each Ack; a credit that opens again is
  // told at once.
  void set_credit(std::uint64_t bytes);
  // The operator says that only one box is left.
  void end_quarantine(base::Now now);

  [[nodiscard]] std::optional<ReceiverOutput> poll();

  [[nodiscard]] const std::string& gateway_id() const { return gateway_id_; }
  // What the stream holds for certain.
  [[nodiscard]] const std::optional<Progress>& committed() const { return committed_; }
  // What it will hold when everything published so far commits.
  [[nodiscard]] const std::optional<Progress>& tentative() const { return tentative_; }
  [[nodiscard]] std::uint64_t uncommitted_bytes() const { return uncommitted_bytes_; }
  [[nodiscard]] bool quarantined() const { return tentative_ && tentative_->quarantined_at; }
  [[nodiscard]] const ReceiverCounters& counters() const { return counters_; }

 private:
  struct Issued {
    Ticket ticket;
    std::uint64_t bytes = 0;
    Progress progress;
  };
  // An answer to a Hello; it waits until the ticket is committed.
  struct Answer {
    Ticket after;
    tillstream::v1::Ack ack;
  };

  void on_hello(const tillstream::v1::Hello& hello, base::Now now);
  void on_batch(tillstream::v1::Batch batch, base::Now now);
  void on_heartbeat(tillstream::v1::Heartbeat heartbeat);
  void on_hello_in_quarantine(const tillstream::v1::Hello& hello, base::Now now);
  void take_hello(const tillstream::v1::Hello& hello, base::Now now);
  void switch_epoch(const tillstream::v1::Hello& hello, base::Now now);
  void note_switch(Publish& publish, base::Now now);
  void publish_rows(tillstream::v1::Batch batch, std::uint64_t skipped);
  void issue(Publish publish, std::uint64_t bytes);
  void answer(const tillstream::v1::Hello& hello, tillstream::v1::Ack::Reason reason);
  void release_answer();
  void refuse(RefusalReason reason);
  void refuse(RefusalReason reason, tillstream::v1::Ack::Reason told);
  void reply_place(tillstream::v1::Ack::Reason reason);
  [[nodiscard]] tillstream::v1::Ack ack_of(const std::optional<Progress>& progress,
                                           tillstream::v1::Ack::Reason reason) const;

  const base::Hasher& hasher_;
  std::string gateway_id_;
  ReceiverSettings settings_;
  std::optional<Progress> committed_;
  std::optional<Progress> tentative_;
  std::deque<Issued> issued_;
  Ticket last_ticket_;
  std::uint64_t uncommitted_bytes_ = 0;
  std::uint64_t credit_ = 0;
  std::optional<Answer> answer_;
  // A plain Ack to be made at poll: coalesced, so that it names the newest place.
  std::optional<tillstream::v1::Ack::Reason> ack_due_;
  std::deque<ReceiverOutput> out_;
  Run heartbeat_run_;
  std::uint64_t heartbeat_revision_ = 0;
  ReceiverCounters counters_;
};

}  // namespace handoff
