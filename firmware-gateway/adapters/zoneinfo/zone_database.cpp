#include "firmware-gateway/adapters/zoneinfo/zone_database.hpp"

#include <absl/time/time.h>

namespace zoneinfo {

std::optional<std::chrono::seconds> ZoneDatabase::offset_at(std::string_view zone, base::UtcTime utc) const {
  absl::TimeZone loaded;
  if (!absl::LoadTimeZone({zone.data(), zone.size()}, &loaded)) return std::nullopt;
  return std::chrono::seconds(loaded.At(absl::FromUnixMillis(utc.time_since_epoch().count())).offset);
}

}  // namespace zoneinfo
