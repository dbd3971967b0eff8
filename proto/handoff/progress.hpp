// Progress: everything the bridge keeps about one gateway, and the only thing that decides what is new. Stored with the
// events it speaks of, in the same transaction.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/base/bytes.hpp"
#include "proto/base/instant.hpp"
#include "proto/handoff/types.hpp"
#include "proto/wire/handoff.pb.h"

namespace handoff {

inline constexpr std::size_t kRunsMax = 16;

struct RunProgress {
  Run run{};
  std::uint64_t count = 0;               // rows of this run in the stream: indices 0 … count - 1
  std::optional<base::Digest> digest{};  // after them; none: void, a salvage cut the run
  // Its rows have other identities on older copies of the journal.
  bool renamed = false;

  friend bool operator==(const RunProgress&, const RunProgress&) = default;
};

struct Progress {
  std::string gateway_id{};
  Place place{};
  std::vector<RunProgress> runs{};  // at most kRunsMax, the one published last at the end
  bool runs_overflowed = false;
  bool renamed_forgotten = false;            // a renamed run was ever dropped from `runs`
  std::vector<base::UtcTime> switched_at{};  // epoch switches within kQuarantineWindow of the last one
  std::optional<base::UtcTime> quarantined_at{};
  Run quarantine_run{};
  base::UtcTime quarantine_run_since{};

  [[nodiscard]] const RunProgress* find(const Run& run) const;
  // Moves the run to the end, with these values; forgets the oldest one beyond kRunsMax.
  void set_run(const RunProgress& run);

  friend bool operator==(const Progress&, const Progress&) = default;
};

[[nodiscard]] tillstream::v1::Progress to_wire(const Progress& progress);
// Nothing when a field has a wrong size or there are too many runs.
[[nodiscard]] std::optional<Progress> from_wire(const tillstream::v1::Progress& wire);

void set_place(tillstream::v1::Place& wire, const Place& place);
[[nodiscard]] std::optional<Place> from_wire(const tillstream::v1::Place& wire);

}  // namespace handoff
