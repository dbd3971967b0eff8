// ZoneDatabase: the system's time zones (/usr/share/zoneinfo), through Abseil. The only door to Abseil.
#pragma once

#include "firmware-gateway/ingest/time_zones.hpp"

namespace zoneinfo {

// Loaded zones stay in memory (Abseil's own cache, one entry a name). Usable from any thread.
class ZoneDatabase : public ingest::TimeZones {
 public:
  [[nodiscard]] std::optional<std::chrono::seconds> offset_at(std::string_view zone, base::UtcTime utc) const override;
};

}  // namespace zoneinfo
