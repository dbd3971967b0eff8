#include "proto/handoff/progress.hpp"

#include <algorithm>

namespace handoff {
namespace {

namespace v1 = tillstream::v1;

constexpr int kSwitchesStoredMax = 16;

std::int64_t to_ms(base::UtcTime time) { return time.time_since_epoch().count(); }
base::UtcTime from_ms(std::int64_t ms) { return base::UtcTime(std::chrono::milliseconds(ms)); }

std::optional<RunProgress> from_wire(const v1::RunProgress& wire) {
  const auto run = base::from_bytes<Run>(wire.run());
  const auto digest = base::from_bytes<base::Digest>(wire.digest());
  if (!run || (!digest && !wire.digest().empty())) return std::nullopt;
  return RunProgress{*run, wire.count(), digest, wire.renamed()};
}

}  // namespace

const RunProgress* Progress::find(const Run& run) const {
  const auto found = std::find_if(runs.begin(), runs.end(), [&run](const RunProgress& one) { return one.run == run; });
  return found == runs.end() ? nullptr : &*found;
}

void Progress::set_run(const RunProgress& run) {
  if (!runs.empty() && runs.back().run == run.run) {
    runs.back() = run;
    return;
  }
  std::erase_if(runs, [&run](const RunProgress& one) { return one.run == run.run; });
  runs.push_back(run);
  if (runs.size() > kRunsMax) {
    renamed_forgotten |= runs.front().renamed;
    runs.erase(runs.begin());
    runs_overflowed = true;
  }
}

void set_place(v1::Place& wire, const Place& place) {
  wire.set_epoch(base::Bytes(place.epoch.view()));
  wire.set_seq(place.seq.value());
  wire.set_digest(base::Bytes(place.digest.view()));
}

std::optional<Place> from_wire(const v1::Place& wire) {
  const auto epoch = base::from_bytes<Epoch>(wire.epoch());
  const auto digest = base::from_bytes<base::Digest>(wire.digest());
  if (!epoch || !digest) return std::nullopt;
  return Place{*epoch, Seq(wire.seq()), *digest};
}

v1::Progress to_wire(const Progress& progress) {
  v1::Progress wire;
  wire.set_gateway_id(progress.gateway_id);
  wire.set_epoch(base::Bytes(progress.place.epoch.view()));
  wire.set_seq(progress.place.seq.value());
  wire.set_digest(base::Bytes(progress.place.digest.view()));
  for (const RunProgress& run : progress.runs) {
    v1::RunProgress& one = *wire.add_runs();
    one.set_run(base::Bytes(run.run.view()));
    one.set_count(run.count);
    if (run.digest) one.set_digest(base::Bytes(run.digest->view()));
    one.set_renamed(run.renamed);
  }
  wire.set_runs_overflowed(progress.runs_overflowed);
  wire.set_renamed_forgotten(progress.renamed_forgotten);
  for (const base::UtcTime at : progress.switched_at) wire.add_switched_at_ms(to_ms(at));
  if (progress.quarantined_at) {
    wire.set_quarantined_at_ms(to_ms(*progress.quarantined_at));
    wire.set_quarantine_run(base::Bytes(progress.quarantine_run.view()));
    wire.set_quarantine_run_since_ms(to_ms(progress.quarantine_run_since));
  }
  return wire;
}

std::optional<Progress> from_wire(const v1::Progress& wire) {
  const auto epoch = base::from_bytes<Epoch>(wire.epoch());
  const auto digest = base::from_bytes<base::Digest>(wire.digest());
  const bool too_many =
      wire.runs_size() > static_cast<int>(kRunsMax) || wire.switched_at_ms_size() > kSwitchesStoredMax;
  if (!epoch || !digest || too_many) return std::nullopt;
  Progress progress{.gateway_id = wire.gateway_id(), .place = {*epoch, Seq(wire.seq()), *digest}};
  for (const v1::RunProgress& run : wire.runs()) {
    const auto one = from_wire(run);
    if (!one) return std::nullopt;
    progress.runs.push_back(*one);
  }
  progress.runs_overflowed = wire.runs_overflowed();
  progress.renamed_forgotten = wire.renamed_forgotten();
  for (const std::int64_t ms : wire.switched_at_ms()) progress.switched_at.push_back(from_ms(ms));
  if (wire.quarantined_at_ms() != 0) {
    progress.quarantined_at = from_ms(wire.quarantined_at_ms());
    const auto run = base::from_bytes<Run>(wire.quarantine_run());
    if (!run && !wire.quarantine_run().empty()) return std::nullopt;
    progress.quarantine_run = run.value_or(Run{});
    progress.quarantine_run_since = from_ms(wire.quarantine_run_since_ms());
  }
  return progress;
}

}  // namespace handoff
