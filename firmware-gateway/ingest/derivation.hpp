// Fields that are derived from an event, not submitted.
#pragma once

#include <string>

#include "firmware-gateway/ingest/terminals.hpp"
#include "firmware-gateway/ingest/time_zones.hpp"
#include "proto/base/hasher.hpp"
#include "proto/wire/event.pb.h"

namespace ingest {

// The terminal's local day after its day_ends, "2026-11-24".
[[nodiscard]] std::string business_date(const tillstream::v1::Event& event, const TerminalProfile& profile,
                                        const TimeZones& zones);

// base32 of SHA-256 over merchant_id, terminal_id, batch_no (or, without one, the date as the terminal wrote it),
// terminal_ref and type, each followed by a line feed, which no field can hold. Depends on nothing that differs from
// box to box, so that consumers recognise a sale that came by two.
[[nodiscard]] std::string business_key(const tillstream::v1::Event& event, const base::Hasher& hasher);

}  // namespace ingest
