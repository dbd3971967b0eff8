// Delivery: copies on their way to the gateway, kept until it says that they are on disk. A bounded queue and the
// conversation over the socket; no I/O.
//
//   put ──▶ queue ──to_send──▶ under way ──stored, refused──▶ gone
//              ▲                   └──again, disconnected──▶ queue, in its old place
//              └─ no room: counted in a loss at the queue's end, which is told like a copy
//
// Invariants:
//   (1) A copy goes only when the gateway said stored or refused of it, or when there was no room for it.
//   (2) Every copy that found no room is counted in exactly one loss, and a loss is kept until it is stored.
//   (3) Copies are sent in the order in which they were put; a loss stands where its copies would have stood.
//   (4) At most memory_bytes are kept, losses aside; and at most window_copies are under way.
//
// The newest is dropped, not the oldest: what is kept has no gap but one, and nothing that is under way is taken back.
// Copies hold card numbers: they are wiped when they go.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "firmware-gateway/tap/copies.hpp"
#include "firmware-gateway/terminal/framed.hpp"
#include "proto/base/instant.hpp"

namespace tap {

struct DeliveryCounts {
  std::uint64_t copies = 0;     // put
  std::uint64_t stored = 0;     // on the gateway's disk, those that had been there before among them
  std::uint64_t repeated = 0;   // of these: had been there
  std::uint64_t refused = 0;    // never to be stored
  std::uint64_t postponed = 0;  // answers "again"
  std::uint64_t lost = 0;       // no room
};

// A copy that the gateway will never store: for the log. Holds no value.
struct Refused {
  std::string code;
  std::string field;
};

class Delivery {
 public:
  static constexpr std::size_t window_copies = 64;
  // What a copy costs beside its bytes.
  static constexpr std::size_t overhead_bytes = 256;

  explicit Delivery(std::size_t memory_bytes) : memory_bytes_(memory_bytes) {}
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;
  ~Delivery();

  // False: there was no room, and it is counted as lost.
  bool put(redact::Draft draft, base::Now now);
  bool put(terminal::Shape unread, base::Now now);

  void on_connected();
  void on_disconnected();
  // What the gateway says. False: it cannot be understood; hang up.
  [[nodiscard]] bool on_bytes(base::BytesView bytes, base::Instant now);
  // Frames to be written now, in one piece, to be wiped then; empty: nothing.
  [[nodiscard]] base::Bytes to_send(base::Instant now);
  // When to ask to_send() again without any other cause.
  [[nodiscard]] std::optional<base::Instant> wakeup_at() const;
  [[nodiscard]] std::vector<Refused> take_refused();

  // Nothing waits or is under way.
  [[nodiscard]] bool idle() const { return queue_.empty(); }
  [[nodiscard]] std::size_t waiting() const;
  [[nodiscard]] std::uint64_t untold_lost() const;
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::size_t memory_bytes() const { return memory_bytes_; }
  // When the oldest copy that waits went through the tap.
  [[nodiscard]] std::optional<base::Instant> oldest() const;
  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] const DeliveryCounts& counts() const { return counts_; }

 private:
  enum class State : std::uint8_t { waits, under_way, again, settled };
  struct Entry {
    CopyId id = 0;
    base::Bytes frame;         // of a copy
    std::optional<Loss> loss;  // or a loss
    State state = State::waits;
    base::Instant put_at;
  };

  bool put(base::Bytes frame, base::Now now);
  void lose(base::Now now);
  void on_verdict(const Verdict& verdict, base::Instant now);
  void settle(Entry& entry);
  void drop_settled();

  std::size_t memory_bytes_;
  // Those that are under way come first.
  std::deque<Entry> queue_;
  std::size_t under_way_ = 0;
  std::size_t bytes_ = 0;
  CopyId next_id_ = 1;
  bool connected_ = false;
  std::optional<terminal::FrameReader> reader_;
  // The gateway cannot take more until then.
  std::optional<base::Instant> not_before_;
  std::vector<Refused> refused_;
  DeliveryCounts counts_;
};

}  // namespace tap
