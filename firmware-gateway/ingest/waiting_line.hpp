// WaitingLine: cleared events on their way to the journal. Bounded in events and bytes, and fair: terminals take turns,
// and when the line is full, room is made at the expense of whoever has most in it.
//
// Events of one terminal keep their order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "firmware-gateway/redact/fields.hpp"
#include "proto/base/strong.hpp"
#include "proto/handoff/types.hpp"
#include "proto/wire/event.pb.h"

namespace ingest {

// Whom to answer; the caller's own number.
using Ticket = base::Strong<struct WaitingTicketTag>;

struct Waiting {
  Ticket ticket;
  tillstream::v1::Event event;
  redact::OnConflict on_conflict = redact::OnConflict::refuse;
  // What a card-scheme message says of its original.
  std::optional<redact::Original> original{};
  bool originals_sought = false;
  // It settles: compared with everything of its terminal before it, and nothing after it.
  std::optional<redact::Settlement> settlement = std::nullopt;
  // Every stored row up to this one has been compared.
  handoff::Row seen_through;
  std::size_t bytes = 0;
  // Its conflict_with names one that says something else, not one that did not know.
  bool contradicts = false;
};

struct LineLimits {
  std::size_t events = 4096;
  std::size_t bytes = 8 * 1024 * 1024;
};

class WaitingLine {
 public:
  explicit WaitingLine(LineLimits limits) : limits_(limits) {}

  // Takes it in. What comes back found no room, and is answered busy: the given one, or the youngest of terminals with
  // more.
  [[nodiscard]] std::vector<Waiting> push(Waiting waiting);
  // The next one, in turn.
  [[nodiscard]] std::optional<Waiting> pop();
  // Everything, when the journal has gone.
  [[nodiscard]] std::vector<Waiting> drain();

  [[nodiscard]] bool empty() const { return events_ == 0; }
  [[nodiscard]] std::size_t events() const { return events_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  using Lane = std::deque<Waiting>;

  [[nodiscard]] bool fits(const Waiting& waiting) const;
  // The terminal with most events, when that is at least two more than `events`; else null.
  [[nodiscard]] Lane* longest_beyond(std::size_t events);
  [[nodiscard]] Waiting take(Lane& lane, bool youngest);

  LineLimits limits_;
  std::map<std::string, Lane, std::less<>> lanes_;  // by terminal; never an empty one between calls
  std::string last_served_;
  std::size_t events_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace ingest
