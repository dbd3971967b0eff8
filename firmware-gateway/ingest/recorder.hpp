// Recorder: makes the record that will be journaled, from an event that the card guard has cleared. Validates and
// normalises.
#pragma once

#include <cstdint>
#include <optional>

#include "firmware-gateway/ingest/terminals.hpp"
#include "firmware-gateway/ingest/time_zones.hpp"
#include "firmware-gateway/redact/card_guard.hpp"
#include "proto/base/hasher.hpp"
#include "proto/base/instant.hpp"
#include "proto/base/result.hpp"
#include "proto/base/uuid.hpp"
#include "proto/wire/event.pb.h"

namespace ingest {

inline constexpr std::uint32_t event_schema_version = 1;
// Of an event with totals or a second token: a bridge that does not know them holds it, and nothing else.
inline constexpr std::uint32_t second_schema_version = 2;

// The gateway's clock when the event came.
struct Moment {
  base::UtcTime utc;
  bool clock_synced = false;
};

class Recorder {
 public:
  // All of them must outlive the recorder.
  Recorder(Terminals terminals, const TimeZones& zones, const base::Hasher& hasher, base::Random& random)
      : terminals_(std::move(terminals)), zones_(zones), hasher_(hasher), event_ids_(random) {}

  // SIGHUP.
  void configure(Terminals terminals) { terminals_ = std::move(terminals); }

  [[nodiscard]] base::Result<tillstream::v1::Event, redact::Refusal> record(const redact::Cleared& cleared,
                                                                            Moment moment);

  // A fresh event id, for notices.
  [[nodiscard]] base::Uuid next_id(base::UtcTime now) { return event_ids_.next(now); }

 private:
  [[nodiscard]] redact::Fields complete(redact::Fields fields, Moment moment) const;

  Terminals terminals_;
  const TimeZones& zones_;
  const base::Hasher& hasher_;
  base::UuidClock event_ids_;
};

// Links an event to its original: its id, the effect, which depends on the original's type, and of a reversal that says
// none the amount.
void link_original(tillstream::v1::Event& event, const tillstream::v1::Event& original);

// The same of a card-scheme reversal: of a part, where it says what the original comes to afterwards; of the approved
// part, where it names what was asked for; and never more than what earlier reversals have left.
void link_reversal(tillstream::v1::Event& event, const tillstream::v1::Event& original,
                   std::optional<std::int64_t> rest_minor, std::int64_t taken_back_minor);

// What an event does hangs on an original that nobody can find: it moves nothing until somebody says what it was.
void leave_open(tillstream::v1::Event& event);

}  // namespace ingest
