// Answer: what a terminal is told about one event, whatever its protocol.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "firmware-gateway/redact/refusal.hpp"

namespace terminal {

using redact::Reason;
using redact::Refusal;

// What the record of a settlement says.
struct Settled {
  // Nothing: the totals could not be compared.
  std::optional<bool> in_balance;
  // False: the terminal is to send each transaction.
  bool closed = true;
};

// The event is on disk.
struct Stored {
  std::string event_id;  // UUIDv7
  std::string epoch;     // hex
  std::uint64_t seq = 0;
  bool duplicate = false;                         // it was there already: event_id, epoch and seq are the first one's
  std::optional<Settled> settled = std::nullopt;  // the first one's, too
};

using Answer = std::variant<Stored, Refusal>;

// 201, 200, or the refusal's.
[[nodiscard]] unsigned status_of(const Answer& answer);

// As one JSON object without a line break; with_status adds "status", as the lines of a batch have it.
[[nodiscard]] std::string to_json(const Answer& answer, bool with_status = false);

}  // namespace terminal
