// Terminals: what the configuration says about the terminals, with the defaults filled in.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace ingest {

struct TerminalProfile {
  // ISO 4217 alphabetic code; empty: each event has to name its own.
  std::string currency;
  // IANA name, checked by the configuration; empty: the offset in which the terminal writes its times.
  std::string time_zone;
  // When the business day ends, local time, since midnight. Before noon: the hours before it belong to the day before
  // (04:00: a bar's night); from noon on: the hours after it belong to the next day.
  std::chrono::minutes day_ends{0};
  // For events that do not say.
  std::string merchant_id;
  std::string merchant_name;
  std::string merchant_city;
  std::string mcc;
};

struct Terminals {
  TerminalProfile defaults;
  // Terminals without a profile of their own: taken with the defaults, or refused.
  bool accept_unknown = true;
  std::map<std::string, TerminalProfile, std::less<>> known;

  // Null: refused.
  [[nodiscard]] const TerminalProfile* find(std::string_view terminal_id) const {
    if (const auto found = known.find(terminal_id); found != known.end()) return &found->second;
    return accept_unknown ? &defaults : nullptr;
  }
};

}  // namespace ingest
