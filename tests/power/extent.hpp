// How much the suites of this folder do: what ctest waits for, or everything (TILLSTREAM_POWER=long); and the journal's
// with other stories (TILLSTREAM_POWER_SEED: the first one's), or with one call that fails (TILLSTREAM_POWER_CALL).
#pragma once

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

namespace power {

struct Extent {
  std::size_t stories;      // each with its own seed
  int rounds;               // of each
  std::size_t tears;        // at each moment, each with its own luck
  std::size_t second_cuts;  // while the first one is recovered from
  int fault_rounds;         // of the stories in which calls fail
  bool every_fault;         // at each call every fault that it may have, else one of them in turn
  // Of the stream's suites:
  bool every_moment;  // is one for a cut after a fault, else some
  std::size_t lies;   // cuts after each sync that is a lie
};

inline std::optional<std::uint64_t> number_wanted(const char* variable) {
  const char* wanted = std::getenv(variable);
  return wanted == nullptr ? std::nullopt : std::optional<std::uint64_t>(std::stoull(wanted));
}

inline std::uint64_t first_seed() { return number_wanted("TILLSTREAM_POWER_SEED").value_or(1); }

// Then each of its faults is followed by cuts at every moment of some time, each torn in many ways.
inline std::optional<std::size_t> only_call() { return number_wanted("TILLSTREAM_POWER_CALL"); }

inline Extent extent_wanted() {
  const char* wanted = std::getenv("TILLSTREAM_POWER");
  if (wanted != nullptr && std::string_view(wanted) == "long") return {3, 4, 4, 6, 2, true, true, 24};
  return {1, 2, 2, 1, 1, false, false, 6};
}

}  // namespace power
