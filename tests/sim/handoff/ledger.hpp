// Ledger: what the simulated stream must hold, event by event, and every way in which a run can break a promise. It
// knows nothing of the protocol: only what was answered to a terminal, what the stream holds, and which disks are gone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "proto/base/bytes.hpp"
#include "proto/handoff/receiver.hpp"
#include "tests/support/handoff/model_journal.hpp"

namespace sim {

// The central stream: what is committed.
struct ModelStream {
  struct Entry {
    base::Bytes record;
    handoff::Epoch epoch;
    handoff::Seq seq;
    bool possible_repeat = false;
  };
  std::vector<Entry> entries;
  std::vector<handoff::Loss> losses;
  std::optional<handoff::Progress> progress;
};

class Ledger {
 public:
  // A terminal was told that this is stored. `origin`: the box and opening that took it; its events come in this order.
  void on_answered(const base::Bytes& record, std::uint64_t origin);
  // Whether the stream had it under another epoch, and its box was told so.
  bool on_published(const base::Bytes& record, const handoff::Epoch& epoch);
  // The box was told that the stream has it.
  void on_acked(const base::Bytes& record);
  // The stream was restored from a backup.
  void on_rolled_back(const ModelStream& before, const ModelStream& after);
  // This disk is gone for good; what no other disk and no stream holds cannot be known to anyone.
  void on_disk_gone(const support::ModelJournal& disk, const std::vector<const support::ModelJournal*>& left);
  // A salvage put `notice` in the place of these rows.
  void on_hole(const std::vector<base::Bytes>& lost, const base::Bytes& notice);
  // The sender said that everything up to the mark is in the stream.
  [[nodiscard]] std::optional<std::string> check_acked(const support::ModelJournal& disk, handoff::Row from,
                                                       handoff::Row through) const;
  // After the calm: everything that must hold of the whole run. `box` is the one box that is left. `found_again`: old
  // disks came back, perhaps with rows that had been reported as lost; those stay lost.
  [[nodiscard]] std::optional<std::string> check(const ModelStream& stream, const support::ModelJournal& box,
                                                 bool found_again) const;
  // A box says that the stream has rows which its disk lacks.
  [[nodiscard]] static std::optional<std::string> check_shrunk(const ModelStream& stream,
                                                               const support::ModelJournal& disk);
  // Where nothing but the stream ever lost anything: no row twice, possible_repeat or not, and what was filled in again
  // is told.
  [[nodiscard]] static std::optional<std::string> check_refill(const ModelStream& stream);

 private:
  struct Event {
    std::uint64_t origin = 0;
    std::uint64_t order = 0;
    bool answered = false;
    bool excused = false;         // its last disk is gone
    bool rolled_back = false;     // it was in a part of the stream that is gone
    std::size_t losses_then = 0;  // in the stream just after that
    bool ever_published = false;
    handoff::Epoch published_in{};  // the last time
    std::set<handoff::Epoch> acked_in{};
    bool is_hole = false;  // a salvage's notice
    // Of each salvage that lost it, on whichever copy of its disk; and those that it lost later are told by theirs.
    std::vector<base::Bytes> hole_notices{};
  };
  using Found = std::unordered_set<base::Bytes>;

  // Whether the stream says that it was lost, or lost that notice, too.
  [[nodiscard]] bool told_by_hole(const Event& event, const Found& found) const;
  [[nodiscard]] std::optional<std::string> check_event(const base::Bytes& record, const Event& event,
                                                       const Found& found, const ModelStream& stream,
                                                       const std::set<base::Bytes>& retained,
                                                       const std::set<base::Bytes>& trimmed, bool found_again) const;
  [[nodiscard]] std::optional<std::string> check_order(const ModelStream& stream) const;
  // What the stream has after the newest row that the box found its own in it, and the box lacks, is told: its repeats
  // would come as new events.
  [[nodiscard]] std::optional<std::string> check_lacking(const ModelStream& stream,
                                                         const support::ModelJournal& box) const;

  std::unordered_map<base::Bytes, Event> events_;
  std::uint64_t next_order_ = 0;
};

}  // namespace sim
