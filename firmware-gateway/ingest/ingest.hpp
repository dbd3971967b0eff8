// Ingest: from a cleared event to its answer. Validates, finds repeats, groups events into appends, and answers only
// after the append. Does no I/O.
//
//   closed ──on_journal_opened──▶ idle ──poll: Find──▶ finding ──on_found──▶ ┐
//     ▲                             │                                        ├──poll: Append──▶ appending
//     ──on_appended──▶ idle │                             └────(no event names an original)──────▶ ┘ │
//     └───────────────────────────────on_append_failed (broken, damaged)────────────────────────────┘
//
// One group is on its way at a time; whatever comes meanwhile waits and makes the next one. No timer: a lone event goes
// at once.
//
// Invariants:
//   (1) Stored is said only of a row that on_appended reported, or that the journal gave as a candidate.
//   (2) Every ticket is answered exactly once, unless the process dies.
//   (3) `busy` means that nothing of the event was stored; `storage` that nobody knows.
//   (4) Within a group no two events have the same key: a repeat waits for the first one and shares its outcome.
//   (5) Events of one terminal are appended in the order in which they were submitted, but for those whose reference
//   was used
//       before with other content: they take another round.
//   (6) A settlement sees everything of its terminal before it and nothing after it: it never shares a group with an
//   earlier event of its terminal, nor with a later one.
//   (7) At most the line's limits wait, and at most one group beside them is on its way or comes back for another
//   round.
//
// Not thread-safe. Inputs are the calls, outputs come from poll(), until it has none.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "firmware-gateway/ingest/recorder.hpp"
#include "firmware-gateway/ingest/reference.hpp"
#include "firmware-gateway/ingest/waiting_line.hpp"
#include "firmware-gateway/journal/journal.hpp"
#include "firmware-gateway/terminal/answer.hpp"

namespace ingest {

// Which epoch and seq a row has in the handoff.
class Numbering {
 public:
  struct Place {
    handoff::Epoch epoch;
    handoff::Seq seq;
  };

  virtual ~Numbering() = default;
  // Nothing: the row belongs to an epoch that this gateway no longer knows.
  [[nodiscard]] virtual std::optional<Place> place_of(handoff::Row row) const = 0;
};

struct IngestSettings {
  Terminals terminals;
  // Within this of each other's occurred_at, the same key with other content is a conflict.
  std::chrono::milliseconds reference_reuse = std::chrono::hours(12);
  LineLimits line;
  std::size_t group_events_max = 512;
  std::size_t group_bytes_max = 1024 * 1024;
};

// What has become of events, since start.
struct IngestCounts {
  std::uint64_t submitted = 0;
  std::uint64_t stored = 0;
  std::uint64_t repeated = 0;  // answered with the first one's id
  std::uint64_t invalid = 0;
  std::uint64_t unknown_terminal = 0;
  std::uint64_t conflicts_refused = 0;
  std::uint64_t conflicts_stored = 0;  // raise an alarm
  std::uint64_t references_reused = 0;
  std::uint64_t busy = 0;
  std::uint64_t storage_failed = 0;
};

class Ingest {
 public:
  // Look up rows by key hash, each at most journal::kCandidatesMax: answer with on_found, in the same order. An error
  // of the journal is answered with on_append_failed.
  struct Find {
    std::vector<std::uint64_t> key_hashes;
  };
  // Append: answer with on_appended or on_append_failed.
  struct Append {
    std::vector<journal::AppendItem> items;
  };
  struct Reply {
    Ticket ticket;
    terminal::Answer answer;
  };
  using Output = std::variant<Reply, Find, Append>;

  // All references must outlive it.
  Ingest(IngestSettings settings, const TimeZones& zones, const base::Hasher& hasher, base::Random& random,
         const Numbering& numbering);

  // SIGHUP.
  void configure(Terminals terminals, std::chrono::milliseconds reference_reuse);

  // Not while a Find or an Append is unanswered. The journal may have been closed between two of them, without a word.
  void on_journal_opened(const HashKey& hash_key, journal::Tallies tallies);
  // Of a row that another appended.
  void on_tally_appended(const journal::Tally& tally) { tallies_.add(tally); }
  // Another epoch was stored: the journal knows none of its sums any more.
  void forget_tallies() { tallies_ = journal::Tallies(); }
  // Its reply comes by poll(), in any case. Given back: why it will never be stored.
  std::optional<redact::Refusal> submit(const redact::Cleared& cleared, Ticket ticket, Moment moment);
  void on_found(std::vector<std::vector<base::Bytes>> records);
  void on_appended(std::vector<journal::AppendOutcome> outcomes);
  void on_append_failed(journal::Error error);
  // From now on everything new is busy; what waits is still appended and answered.
  void stop() { stopping_ = true; }

  [[nodiscard]] std::optional<Output> poll();

  // Nothing waits, is on its way, or is to be answered.
  [[nodiscard]] bool idle() const;
  [[nodiscard]] std::size_t waiting_events() const { return line_.events() + again_.size() + group_.size(); }
  [[nodiscard]] const IngestCounts& counts() const { return counts_; }
  // Also makes the gateway's own notices, so that all event ids come from one clock.
  [[nodiscard]] Recorder& recorder() { return recorder_; }

 private:
  enum class State { closed, idle, finding, appending };

  // An event of the group, and the repeats that wait for it.
  struct Member {
    Waiting waiting;
    std::uint64_t key_hash = 0;
    std::vector<Waiting> repeats;
    std::optional<journal::Tally> tally = std::nullopt;
  };

  void reply(Ticket ticket, terminal::Answer answer);
  void reply_stored(const Waiting& waiting, handoff::Row row, const tillstream::v1::Event& event, bool duplicate);
  void refuse(Ticket ticket, redact::Refusal refusal);
  void refuse_busy(const Waiting& waiting, std::string_view why, std::chrono::seconds retry_after);
  void refuse_conflict(const Waiting& waiting);

  void gather();
  [[nodiscard]] bool names_member_as_original(const Waiting& waiting) const;
  [[nodiscard]] bool is_parted_by_settlement(const Waiting& waiting) const;
  void clear_group_index();
  void join(Waiting waiting);
  [[nodiscard]] std::optional<Waiting> next_waiting();
  [[nodiscard]] std::uint64_t hash_of(const tillstream::v1::Event& event) const;
  // Under which what it names, and what else names that, may be stored.
  [[nodiscard]] std::vector<std::uint64_t> original_hashes_of(const Waiting& waiting) const;
  void link(Waiting& waiting, const std::vector<tillstream::v1::Event>& stored) const;
  [[nodiscard]] Find ask_for_originals();
  [[nodiscard]] Append append_group();
  [[nodiscard]] std::optional<Output> advance();

  void settle(Member member, const journal::AppendOutcome& outcome);
  void settle_appended(Member& member, handoff::Row row);
  void settle_candidates(Member& member, const journal::Candidates& candidates);
  void settle_refused(Member& member, journal::Error error);
  void settle_repeat(Waiting repeat, const tillstream::v1::Event& stored, handoff::Row row);
  // Another round, with everything up to `seen_through` compared.
  void go_round(Waiting waiting, handoff::Row seen_through);
  [[nodiscard]] Relation relation_of(const Waiting& incoming, const tillstream::v1::Event& stored) const;
  void store_conflict(Waiting waiting, base::BytesView first_id, handoff::Row seen_through);
  void fail_group(const redact::Refusal& refusal);

  IngestSettings settings_;
  Recorder recorder_;
  const Numbering& numbering_;
  State state_ = State::closed;
  bool stopping_ = false;
  HashKey hash_key_{};
  WaitingLine line_;
  std::deque<Waiting> again_;  // before everything in the line
  std::vector<Member> group_;
  std::map<std::string, std::size_t> group_keys_;  // duplicate key → member
  std::set<std::uint64_t> group_hashes_;
  std::map<std::string, bool> group_terminals_;  // of its members; true: it settles
  journal::Tallies tallies_;                     // after every row that on_appended reported
  std::vector<std::size_t> looking_;             // the member for whose sake each hash is being looked up
  std::deque<Reply> replies_;
  IngestCounts counts_;
};

}  // namespace ingest
