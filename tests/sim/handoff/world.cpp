// World: time, the story, and a run from its first event to the calm.
#include "tests/sim/handoff/world.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "proto/platform/system.hpp"

namespace sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// So many things happen in no run that comes to rest.
constexpr std::uint64_t kStepsMax = 200'000;

}  // namespace

World::World(support::SeededRandom random, std::function<void(const std::string&)> tell,
             const std::function<void(Faults&)>& adjust)
    : hasher_(platform::hasher()), random_(random), tell_(std::move(tell)), faults_(Faults::drawn(random_)) {
  if (adjust) adjust(faults_);
  coded_ = random_.one_in(8);
  outcome_.faults = faults_;
}

// --- time ----------------------------------------------------------------------------------------

void World::run_until(base::Instant end) {
  while (!outcome_.failure && clock_.step(end)) {
    if (clock_.steps() > kStepsMax) return fail("never comes to rest");
  }
}

void World::tell(const std::function<std::string()>& line) {
  if (!tell_) return;
  const auto us = at().time_since_epoch().count();
  tell_(fmt::format("{:>10}.{:06} {}", us / 1'000'000, us % 1'000'000, line()));
}

void World::fail(const std::string& what) {
  if (outcome_.failure) return;
  outcome_.failure = what;
  tell([&] { return "FAILED: " + what; });
}

// No more faults; one box is left, and one bridge.
void World::calm() {
  chaos_ = false;
  tell([] { return std::string("--- calm ---"); });
  while (boxes_.size() > 1) {
    const BoxPtr gone = some_box();
    stop(gone);
    std::erase(boxes_, gone);
    discard(gone->disk);
  }
  take_over();
  if (!boxes_.front()->connected) connect(boxes_.front());
}

bool World::converged() const {
  const Box& box = *boxes_.front();
  return box.sender && box.sender->state() == handoff::SenderState::streaming && box.sender->pending() == 0;
}

Outcome World::run() {
  tell([&] { return "faults: " + faults_.describe(); });
  add_box(support::ModelJournal(hasher_, random_));
  take_over();
  const std::uint64_t strikes = random_.between(20, 160);
  for (std::uint64_t i = 0; i < strikes && !outcome_.failure; ++i) {
    run_until(at() + (random_.one_in(10) ? seconds(random_.between(1, 90)) : milliseconds(random_.between(1, 400))));
    strike();
  }
  calm();
  tap(boxes_.front());
  for (int i = 0; i < 90 && !outcome_.failure && !converged(); ++i) run_until(at() + minutes(1));
  if (!outcome_.failure && !converged()) fail("does not converge although all is calm");
  if (!outcome_.failure) {
    const bool found_again = faults_.image || faults_.clone || faults_.memory;
    if (auto problem = ledger_.check(stream_, boxes_.front()->disk, found_again)) fail(*problem);
  }
  if (!outcome_.failure && faults_.only_stream_loses()) {
    if (auto problem = Ledger::check_refill(stream_)) fail(*problem);
  }
  if (!outcome_.failure && !faults_.forking() && (outcome_.repeats > 0 || !stream_.losses.empty())) {
    fail("possible repeats or losses were told, but nothing could have brought them about");
  }
  outcome_.entries = stream_.entries.size();
  outcome_.losses = stream_.losses.size();
  for (const auto& entry : stream_.entries) {
    outcome_.fingerprint = hasher_.sha256({outcome_.fingerprint.view(), entry.record, entry.epoch.view()});
  }
  return outcome_;
}

Outcome simulate(std::uint64_t seed, std::function<void(const std::string&)> tell,
                 const std::function<void(Faults&)>& adjust) {
  return World(support::SeededRandom(seed), std::move(tell), adjust).run();
}

}  // namespace sim
