// Faults: one switch for each class of fault. A seed draws them: with all of them always on, one would hide what
// another would show.
#pragma once

#include <string>

#include "tests/support/seeded_random.hpp"

namespace whole {

struct Faults {
  // Line and broker.
  bool cut = false;             // connections are lost, with what was on its way
  bool half_open = false;       // and some look alive
  bool refused = false;         // connecting fails, or hangs
  bool broker_restart = false;  // everybody is thrown out, queues and all
  bool drop = false;            // the broker acknowledges and drops
  bool small_queue = false;     // so it does when a subscriber's queue is full
  bool duplication = false;
  bool reordering = false;  // across topics
  bool late = false;        // messages that come minutes later
  bool refusal = false;     // publishes are refused: not authorised, quota exceeded
  // A gateway's box.
  bool gateway_crash = false;
  bool slow_disk = false;
  bool failing_disk = false;   // a write or fsync fails; what it was to store may be there all the same
  bool full_disk = false;      // others have filled it
  bool small_journal = false;  // the quota is reached
  bool trim = false;           // rows are kept for minutes only
  bool image = false;          // a disk image is taken, and restored later
  bool clone = false;          // an image runs beside the live box
  bool disk_replaced = false;
  bool clock_steps = false;  // the box' wall clock
  // Terminals.
  bool lost_answers = false;
  bool conflicts = false;  // a reference again, with another amount
  // Bridges.
  bool bridge_crash = false;
  bool bridge_sleeps = false;  // SIGSTOP: others take over, and it wakes up as if nothing had been
  bool rebalance = false;
  bool small_budget = false;
  // The stream.
  bool unknown_outcome = false;  // requests and answers that get lost
  bool late_request = false;     // a request that was given up arrives all the same
  bool slow_commit = false;
  bool hanging = false;  // a transaction that is decided, and readers cannot pass for minutes
  bool stream_down = false;

  // What a journal says may not be what the stream has seen of this gateway.
  [[nodiscard]] bool forking() const { return image || clone || disk_replaced; }
  [[nodiscard]] std::string describe() const;
};

[[nodiscard]] Faults drawn(support::SeededRandom& random);

// Mistakes that the simulator itself makes when it is told to: whoever checks must notice.
enum class Sabotage {
  none,
  trim_on_puback,         // a gateway takes the broker's acknowledgement for the bridge's
  ack_before_commit,      // a bridge acks what it has only begun to commit
  drop_event,             // the stream loses one event of a transaction
  repeat_event,           // or has one twice
  forget_synced,          // a disk loses a row that it had synced
  progress_before_fence,  // progress is read before the old owner is fenced
  no_new_producer,        // after an unknown outcome the same producer goes on
};

}  // namespace whole
