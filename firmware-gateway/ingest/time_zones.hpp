// TimeZones: what hour it is at a terminal. An interface, because the zone database is a matter of files.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "proto/base/instant.hpp"

namespace ingest {

class TimeZones {
 public:
  virtual ~TimeZones() = default;

  // What has to be added to UTC at that moment for local time in the zone ("Europe/Vienna"); nothing when there is no
  // such zone.
  [[nodiscard]] virtual std::optional<std::chrono::seconds> offset_at(std::string_view zone,
                                                                      base::UtcTime utc) const = 0;
};

}  // namespace ingest
