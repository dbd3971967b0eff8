// Facts: what the gateway knows about itself at one moment. The one source of status, health, metrics and the local
// page.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "firmware-gateway/status/histogram.hpp"
#include "proto/base/instant.hpp"

namespace status {

// Money that is not in the stream yet, as what it adds to the shop's takings.
struct PendingAmount {
  std::string currency;
  std::int64_t amount_minor = 0;
  std::uint64_t count = 0;
};

enum class JournalCondition : std::uint8_t {
  opening,     // not open yet, or being opened again after a failure
  open,        // takes events
  money_only,  // takes events that move money
  full,        // takes nothing until the stream has taken more, or the disk has room
  broken,      // reading or writing it failed; it is being opened again
  salvaging,   // it is damaged; what can be read is being saved
};
[[nodiscard]] std::string_view word(JournalCondition condition);

struct UplinkFacts {
  bool connected = false;
  base::UtcTime since{};
  std::string last_error = {};
  // greeting, streaming …; and why the bridge holds us back.
  std::string handoff = {};
  std::string held = {};
  // Why nothing can go on until somebody does something about it; empty: nothing is in the way.
  std::string blocked = {};
};

struct JournalFacts {
  JournalCondition condition = JournalCondition::opening;
  std::string failure = {};
  std::uint64_t bytes = 0;
  std::uint64_t quota_bytes = 0;
  std::uint64_t free_disk_bytes = 0;
  std::uint64_t rows = 0;
};

// A Prometheus counter or gauge; name without the prefix, with unit and _total.
struct Sample {
  std::string_view name;
  std::string_view help;
  bool counter = true;
  double value = 0;
  // One label, when name is not "".
  std::string_view label = {};
  std::string_view label_value = {};
};

// A Prometheus histogram of times; name without the prefix, ending in _seconds.
struct Timing {
  std::string_view name;
  std::string_view help;
  Histogram histogram;
};

struct Listener {
  std::string name;
  std::string address;
};

struct Facts {
  std::string gateway_id;
  std::string version;
  base::UtcTime now{};
  base::UtcTime started_at{};
  bool stopping = false;

  // Unknown while the journal is not open: "" and none.
  std::string epoch = {};
  std::optional<std::uint64_t> next_seq = {};
  std::optional<std::uint64_t> committed_seq = {};
  std::optional<std::uint64_t> pending_events = {};
  std::optional<std::vector<PendingAmount>> pending_amounts = {};  // none, too: still counting after a start
  std::optional<std::chrono::seconds> oldest_pending = {};         // none, too: nothing is pending

  UplinkFacts uplink = {};
  JournalFacts journal = {};
  bool clock_synced = false;
  std::optional<int> certificate_days_left = {};
  std::vector<Listener> listeners = {};
  std::vector<Sample> samples = {};
  std::vector<Timing> timings = {};
};

}  // namespace status
