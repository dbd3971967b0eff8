// Sender: the gateway's end of the handoff. Decides what to send, send again and forget, and when a journal needs a new
// epoch. Does no I/O: what happened comes in by on_…(), what to do goes out by poll().
//
//                on_opened                    on_connected               answer to the Hello: ours
//   closed ─────────────────▶ offline ─────────────────────▶ greeting ───────────────────────▶ streaming
//     ▲                          ▲                            ▲  │  ▲                              │
//     │ on_closed                │ on_disconnected            │  │  └── Owner, refused Ack ────────┤
//     └── any ───────────────────┴── any ─────────────────────┤  ▼                                 │
//                                        on_epoch_stored      │ checking ──▶ forking               │
//                                        └────────────────────┴────────────────┘  ◀────────────────┘
//
//   greeting   says Hello, with back-off, and nothing else            checking   reads rows to compute a digest
//   forking    waits for the new epoch to be on disk                  streaming  sends batches, takes acks
//
// Invariants:
//   (1) Nothing but Hello is sent between on_connected (or Owner) and the first answer. [H-10] (2) Acked names only
//   rows that the bridge's stored progress covers, proved by epoch and digest, or by run counts.  [H-30] (3) Rows sent
//   and not acked: at most the window in events, bytes and messages, except that one row may always go.  [H-20] (4)
//   Only an answer with the current nonce moves `acked` back.                                                    [H-13]
//   (5) Each epoch attempt is on disk (on_epoch_stored) before its Hello. [H-41]
//
// The shell: while (auto output = sender.poll(now)) std::visit(executor, *output); then sleep until wakeup_at() or an
// input. Inputs about the journal come in the journal's own order. Not thread-safe. The hasher and random must outlive
// the sender.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "proto/base/hasher.hpp"
#include "proto/base/instant.hpp"
#include "proto/base/random.hpp"
#include "proto/handoff/fork.hpp"
#include "proto/handoff/retransmission.hpp"
#include "proto/handoff/segments.hpp"
#include "proto/handoff/send_window.hpp"
#include "proto/handoff/types.hpp"
#include "proto/wire/handoff.pb.h"

namespace handoff {

inline constexpr std::chrono::seconds kAlarmInterval{60};
// Between two Hellos that refused Acks bring about.
inline constexpr std::chrono::seconds kRefusedHelloInterval{1};
// A Hello is repeated after a time drawn from the upper half of these, doubling from the first to the second …
inline constexpr std::chrono::milliseconds kHelloRetryMin{500};
inline constexpr std::chrono::milliseconds kHelloRetryMax{5'000};
// … and this, while the bridge says that it must wait: no credit, older schema, quarantine.
inline constexpr std::chrono::milliseconds kHeldRetryMin{1'000};
inline constexpr std::chrono::milliseconds kHeldRetryMax{30'000};
inline constexpr std::size_t kAttemptsMax = 8;
inline constexpr std::size_t kFormerMax = 64;  // epochs

struct SenderSettings {
  std::string gateway_id{};
  std::string program{};  // name and version, for people
  // Sent and not acked, at most. Record bytes, before compression.
  std::uint64_t window_events = 4096;
  std::uint64_t window_bytes = 1U << 20U;
  // One batch, at most; a single larger record still travels, alone.
  std::uint64_t batch_events = 512;
  std::uint64_t batch_bytes = 128U << 10U;
  // Backlog and no ack progress for so long: Reconnect.
  std::chrono::milliseconds ack_timeout{30'000};
  std::chrono::milliseconds heartbeat_interval{5'000};
  // After Owner the Hello comes within this time.
  std::chrono::milliseconds owner_jitter_max{1'000};
  // The schema_version of this program's ordinary records; single ones may name a newer one.
  std::uint32_t event_schema = 1;
};

// What the connection allows.
struct ConnectionLimits {
  std::uint32_t receive_maximum = 65535;
  // MQTT's Maximum Packet Size; 0: none told.
  std::uint32_t packet_bytes_max = 0;
};

// What only the gateway knows about its backlog; the sender adds places and counts.
struct HeartbeatFacts {
  std::optional<base::UtcTime> oldest_pending_at;
  std::optional<base::UtcTime> complete_until;
  std::vector<tillstream::v1::PendingAmount> pending_amounts;
  bool clock_synced = false;
  std::optional<std::int32_t> certificate_days_left;
};

// Publish this on the gateway's up topic. For a Batch: the last row in it.
struct Send {
  tillstream::v1::Up up;
  std::optional<Row> through;
};
// Read these rows from the journal and answer with on_rows(). One Read at a time.
struct Read {
  Row from;
  std::size_t max_rows = 0;
  std::size_t max_bytes = 0;
};
// Make this epoch the current one, and re-identify rows where `run` is given (journal::start_epoch), then answer with
// on_epoch_stored(). The run also takes the place of the opening's: rows appended later continue it.
struct StoreEpoch {
  EpochStart start;
  std::optional<Segment> run;
};
// The stream has everything up to this row: it may be trimmed. A row below the last one is deliberate (the stream was
// rolled back): what lies beyond it must stay.
struct Acked {
  Mark mark;
};
enum class ReconnectReason : std::uint8_t { no_ack_progress, no_answer };
// Drop the connection and make a new one, however healthy it looks.
struct Reconnect {
  ReconnectReason why;
};
// Append this notice as an ordinary event.
struct AppendNotice {
  std::string name;
  std::vector<std::pair<std::string, std::string>> details;
};
enum class AlarmKind : std::uint8_t {
  ack_refused,         // an Ack that cannot be right: wrong epoch, digest, or beyond what was sent
  epoch_forked,        // the stream is not where this journal left it: a new epoch begins
  stream_rolled_back,  // the stream has lost rows that it had acknowledged
  image_restored,      // the stream is ahead of this journal: an old disk image, or a clone
  quarantined,         // two live boxes use this id
  upgrade_bridge,      // the bridge does not know this schema yet
};
// For the log and a metric; each kind at most once in kAlarmInterval.
struct Alarm {
  AlarmKind kind{};
  std::uint64_t suppressed = 0;  // since the last one of its kind
};
using SenderOutput = std::variant<Send, Read, StoreEpoch, Acked, Reconnect, AppendNotice, Alarm>;

enum class SenderState : std::uint8_t { closed, offline, greeting, checking, forking, streaming };
// What the bridge says about its own readiness.
enum class Held : std::uint8_t { no, busy, upgrade_bridge, quarantined };

struct SenderCounters {
  std::uint64_t hellos = 0;
  std::uint64_t batches = 0;
  std::uint64_t rows_sent = 0;  // with repeats
  std::uint64_t retransmissions = 0;
  std::uint64_t acks = 0;
  std::uint64_t acks_refused = 0;
  std::uint64_t acks_late = 0;
  std::uint64_t forks = 0;
  std::uint64_t watchdog_reconnects = 0;
};

class Sender {
 public:
  Sender(const base::Hasher& hasher, base::Random& random, SenderSettings settings);

  // The journal is open (again): everything starts over from this state, except the connection.
  void on_opened(JournalState state, base::Instant now);
  // The journal is broken: nothing is asked of it until on_opened().
  void on_closed(base::Instant now);
  // These rows are on disk. `first` is the row after the last one told of. The bytes are copied when they fit the
  // window, so that a live event needs no Read.
  void on_appended(Row first, std::span<const base::Bytes> records, base::Instant now);
  // Answer to Read: rows first, first + 1, … Empty when the journal had none.
  void on_rows(Row first, std::vector<base::Bytes> records, base::Instant now);
  void on_epoch_stored(base::Instant now);
  // The journal has forgotten rows before `oldest`; `base` is the mark just before it.
  void on_trimmed(Row oldest, const Mark& base, base::Instant now);

  void on_connected(ConnectionLimits limits, base::Instant now);
  // The broker refused a message as too large, without having named its limit: messages of at most so many bytes from
  // now on, until the next connection. One row still travels alone, whatever its size.
  void on_packet_refused(std::uint32_t packet_bytes_max, base::Instant now);
  void on_disconnected(base::Instant now);
  void on_ack(const tillstream::v1::Ack& ack, base::Instant now);
  void on_owner(const tillstream::v1::Owner& owner, base::Instant now);
  // Whether poll() would send a Heartbeat once nothing else is left: facts of this moment belong into it.
  [[nodiscard]] bool heartbeat_due(base::Instant now) const;
  // Kept until the next one; sent with each Heartbeat.
  void on_facts(HeartbeatFacts facts);

  [[nodiscard]] std::optional<SenderOutput> poll(base::Instant now);
  // When poll() should be called though nothing happened.
  [[nodiscard]] std::optional<base::Instant> wakeup_at() const;

  // For status and metrics; all are cheap.
  [[nodiscard]] SenderState state() const { return state_; }
  [[nodiscard]] Held held() const { return held_; }
  [[nodiscard]] const EpochStart& epoch() const { return epoch_; }
  [[nodiscard]] Row acked() const { return acked_.row; }  // everything up to it is in the stream
  [[nodiscard]] Row sent() const { return sent_; }
  [[nodiscard]] Row next() const { return next_; }  // of the next append
  // In the current epoch; 0 for rows before it.
  [[nodiscard]] Seq seq_of(Row row) const;
  // Rows not yet in the stream.
  [[nodiscard]] std::uint64_t pending() const { return next_ - acked_.row - 1; }
  [[nodiscard]] const SenderCounters& counters() const { return counters_; }

 private:
  // A batch that is under way.
  struct InFlight {
    Row last;
    base::Instant sent_at;
    bool first_time = false;
  };
  // Reading forward from a known mark, to learn the digests at `target`.
  struct Pass {
    Mark at;
    Row target;
  };

  // Greeting and answers: sender.cpp.
  void forget_requests();
  void on_pass_rows(Row first, std::span<const base::Bytes> records, base::Instant now);
  void greet(base::Instant due);
  void on_answer(const tillstream::v1::Ack& ack, base::Instant now);
  void on_quarantined(base::Instant now);
  void judge_answer(base::Instant now);
  void go_on(const Mark& mark, base::Instant now);
  void accept_epoch();
  void start_fork(const Fork& fork);
  void remember(const Epoch& epoch);
  void finish_fork(base::Instant now);
  void begin_epoch(const EpochStart& start, const std::optional<Segment>& run);
  void on_plain_ack(const tillstream::v1::Ack& ack, base::Instant now);
  void take_credit(const tillstream::v1::Ack& ack, base::Instant now);
  void on_progress(const Mark& mark, base::Instant now);
  void on_repeated_ack(base::Instant now);
  [[nodiscard]] base::Instant::duration held_wait();
  void refuse_ack(base::Instant now);
  void hello_soon(base::Instant now);
  void alarm(AlarmKind kind, base::Instant now);
  [[nodiscard]] JournalView view() const;

  // Timers and messages: sending.cpp.
  void check_timers(base::Instant now);
  void check_watchdog(base::Instant now);
  void check_retransmission(base::Instant now);
  void rewind();
  [[nodiscard]] std::optional<SenderOutput> next_hello(base::Instant now);
  [[nodiscard]] std::optional<SenderOutput> next_read(base::Instant now);
  [[nodiscard]] std::optional<SenderOutput> next_batch(base::Instant now);
  [[nodiscard]] std::optional<SenderOutput> next_heartbeat(base::Instant now);
  [[nodiscard]] tillstream::v1::Up up() const;
  [[nodiscard]] tillstream::v1::Up hello() const;
  [[nodiscard]] tillstream::v1::Up batch(std::uint64_t rows) const;
  [[nodiscard]] std::uint64_t rows_to_send() const;
  [[nodiscard]] bool has_room(std::uint64_t bytes) const;
  [[nodiscard]] bool window_full() const;
  [[nodiscard]] base::Instant::duration jitter(base::Instant::duration most);
  [[nodiscard]] bool backlog() const { return next_ > acked_.row.next(); }

  const base::Hasher& hasher_;
  base::Random& random_;
  SenderSettings settings_;

  // The journal.
  EpochStart epoch_;
  Segments segments_;
  Run opening_;
  Row next_{1};
  Mark base_;
  Mark acked_;
  Row acked_ever_;  // only of this opening: falls with no roll-back
  bool reading_ = false;
  std::optional<base::Instant> read_after_;  // the journal had nothing where it should have
  std::deque<StoreEpoch> storing_;

  // The conversation.
  SenderState state_ = SenderState::closed;
  bool connected_ = false;
  ConnectionLimits limits_;
  Held held_ = Held::no;
  std::optional<std::uint64_t> nonce_;
  std::optional<base::Instant> hello_at_;
  unsigned hellos_unanswered_ = 0;
  std::optional<std::uint64_t> owner_nonce_;
  std::optional<base::Instant> refused_hello_after_;
  std::optional<Progress> answer_;
  std::vector<Mark> proved_;
  std::vector<Attempt> attempts_;
  std::vector<Epoch> former_;
  std::optional<Pass> pass_;
  Mark floor_;  // of the fork under way

  // Streaming.
  SendWindow window_;
  Row sent_;
  Row sent_high_;  // highest ever sent in this epoch
  std::deque<InFlight> in_flight_;
  std::uint64_t messages_max_ = 1;
  std::uint64_t credit_ = 0;
  Retransmission retransmission_;
  std::optional<base::Instant> retransmit_at_;
  bool recovering_ = false;  // sent again since the last progress
  std::optional<base::Instant> paused_until_;
  unsigned pauses_ = 0;
  std::optional<base::Instant> watchdog_since_;

  HeartbeatFacts facts_;
  std::uint64_t heartbeat_revision_ = 0;
  std::optional<base::Instant> heartbeat_at_;

  struct AlarmRecord {
    std::optional<base::Instant> last;
    std::uint64_t suppressed = 0;
  };
  std::array<AlarmRecord, 6> alarms_{};
  std::deque<SenderOutput> out_;
  SenderCounters counters_;
};

}  // namespace handoff
