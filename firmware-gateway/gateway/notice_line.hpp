// NoticeLine: what the gateway itself has to say in the stream, waiting for its append. Bounded: notices_max; a newer
// one of the same name replaces one that waits when there is no room.
//
// One append at a time; a notice that the full journal refuses waits for the next try. After an append of which nobody
// knows whether it was stored, the journal is asked for what it has. Somebody may wait for a notice: for its ticket.
#pragma once

#include <deque>
#include <limits>
#include <optional>
#include <string>

#include "firmware-gateway/ingest/ingest.hpp"
#include "firmware-gateway/ingest/notice.hpp"
#include "firmware-gateway/journal/journal.hpp"

namespace gateway {

class NoticeLine {
 public:
  static constexpr std::size_t notices_max = 64;

  // The ticket of a notice that was dropped to make room, if somebody waits for it.
  std::optional<ingest::Ticket> add(const std::string& name, const ingest::NoticeDetails& details,
                                    const base::Uuid& event_id, ingest::Moment moment,
                                    std::optional<ingest::Ticket> ticket = std::nullopt,
                                    std::optional<journal::Tally> tally = std::nullopt);
  // The next append; nothing: none waits, or one is on its way.
  [[nodiscard]] std::optional<journal::AppendItem> next(const ingest::HashKey& key);
  struct Stored {
    handoff::Row row;
    std::optional<ingest::Ticket> ticket;
    std::string event_id;
    std::optional<journal::Tally> tally;  // that this append has added
  };
  // Nothing: it was not stored, and is tried again.
  [[nodiscard]] std::optional<Stored> on_outcome(const journal::AppendOutcome& outcome);
  // Whether it was stored is not known.
  void on_failed();
  [[nodiscard]] bool empty() const { return waiting_.empty(); }
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

 private:
  [[nodiscard]] Stored finish(handoff::Row row);

  struct Notice {
    tillstream::v1::Event event;
    std::optional<ingest::Ticket> ticket;
    std::optional<journal::Tally> tally;
    // No notice repeats another one: nothing that is stored has to be compared, but after a failure.
    handoff::Row seen_through{std::numeric_limits<std::uint64_t>::max()};
  };
  std::deque<Notice> waiting_;
  bool on_its_way_ = false;
  std::uint64_t dropped_ = 0;
};

}  // namespace gateway
