#include "tests/sim/world/faults.hpp"

#include <array>
#include <utility>

namespace whole {
namespace {

struct Switch {
  bool Faults::* on;
  const char* word;
  std::uint64_t one_in;
};

constexpr std::array<Switch, 31> switches{{
    {&Faults::cut, "cut", 2},
    {&Faults::half_open, "half_open", 3},
    {&Faults::refused, "refused", 3},
    {&Faults::broker_restart, "broker_restart", 3},
    {&Faults::drop, "drop", 2},
    {&Faults::small_queue, "small_queue", 3},
    {&Faults::duplication, "duplication", 2},
    {&Faults::reordering, "reordering", 2},
    {&Faults::late, "late", 3},
    {&Faults::refusal, "refusal", 3},
    {&Faults::gateway_crash, "gateway_crash", 2},
    {&Faults::slow_disk, "slow_disk", 3},
    {&Faults::failing_disk, "failing_disk", 3},
    {&Faults::full_disk, "full_disk", 3},
    {&Faults::small_journal, "small_journal", 4},
    {&Faults::trim, "trim", 3},
    {&Faults::image, "image", 5},
    {&Faults::clone, "clone", 5},
    {&Faults::disk_replaced, "disk_replaced", 5},
    {&Faults::clock_steps, "clock_steps", 4},
    {&Faults::lost_answers, "lost_answers", 2},
    {&Faults::conflicts, "conflicts", 3},
    {&Faults::bridge_crash, "bridge_crash", 2},
    {&Faults::bridge_sleeps, "bridge_sleeps", 2},
    {&Faults::rebalance, "rebalance", 3},
    {&Faults::small_budget, "small_budget", 4},
    {&Faults::unknown_outcome, "unknown_outcome", 2},
    {&Faults::late_request, "late_request", 2},
    {&Faults::slow_commit, "slow_commit", 3},
    {&Faults::hanging, "hanging", 4},
    {&Faults::stream_down, "stream_down", 4},
}};

}  // namespace

std::string Faults::describe() const {
  std::string text;
  for (const Switch& one : switches) {
    if (this->*one.on) text += (text.empty() ? "" : " ") + std::string(one.word);
  }
  return text.empty() ? "none" : text;
}

Faults drawn(support::SeededRandom& random) {
  Faults faults;
  for (const Switch& one : switches) faults.*one.on = random.one_in(one.one_in);
  // The duplicate window is measured with the wall clock: a box whose clock jumps forgets what it has just stored.
  if (faults.trim) faults.clock_steps = false;
  return faults;
}

}  // namespace whole
