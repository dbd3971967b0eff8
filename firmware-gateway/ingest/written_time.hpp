// When an event happened, from what a card-scheme message writes of it: no century, often no year, no zone, no date.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "firmware-gateway/ingest/time_zones.hpp"
#include "firmware-gateway/redact/fields.hpp"
#include "proto/base/timestamp.hpp"

namespace ingest {

struct When {
  base::Timestamp time;
  // It is the moment of receipt: nothing was written, or no day of the calendar.
  bool is_receipt = false;
};

// What is missing is taken from the moment of receipt: the year (or the day) that brings the time nearest to it, New
// Year's night included. Local time is read in the terminal's zone; without one, in the offset that lies between the
// two times when both are written; else as UTC. Of an hour that comes twice (the clocks go back) the transmission time
// says which; else it is the first. Only the transmission time: that. Neither, or no such day in a year from now: the
// moment of receipt.
[[nodiscard]] When resolve(const std::optional<redact::WrittenTime>& local,
                           const std::optional<redact::WrittenTime>& utc, std::string_view time_zone,
                           const TimeZones& zones, base::UtcTime received);

}  // namespace ingest
