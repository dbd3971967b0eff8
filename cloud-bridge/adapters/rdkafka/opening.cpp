#include "cloud-bridge/adapters/rdkafka/opening.hpp"

#include <algorithm>

namespace kafka {
namespace {

constexpr Milliseconds retry_min{250};
constexpr Milliseconds retry_max{5'000};
// The largest message.max.bytes that librdkafka takes; far beyond what a gateway can send.
constexpr std::size_t kClientBytesMax = 1'000'000'000;

MessageSizes sizes_of(const stream::SeenTopics& seen) {
  MessageSizes sizes;
  for (const auto* topic : {&seen.events, &seen.gateways, &seen.progress, &seen.dead_letters}) {
    const std::size_t bytes = std::min(stream::batch_bytes_max(*topic), kClientBytesMax);
    sizes.message_max = std::max(sizes.message_max, bytes);
    sizes.batch_max = std::min(sizes.batch_max, bytes);
  }
  return sizes;
}

}  // namespace

OpeningOutput look(const TopicsSettings& settings) {
  const auto seen = inspect_topics(settings);
  if (!seen) return Unreachable{seen.error()};
  if (auto problems = stream::find_problems(settings.names, *seen); !problems.empty())
    return Refused{std::move(problems)};
  auto missing = find_missing_rights(settings);
  if (!missing) {
    const std::string cause = find_cause(settings);
    return Unreachable{missing.error() + (cause.empty() ? "" : "; ") + cause};
  }
  if (!missing->empty()) return Refused{std::move(*missing)};
  return Opened{.partitions = seen->progress.partitions,
                .limits = {.record_bytes = stream::record_bytes_max(seen->events),
                           .dead_letter_bytes = stream::record_bytes_max(seen->dead_letters)},
                .sizes = sizes_of(*seen),
                .warnings = stream::find_warnings(settings.names, *seen)};
}

Opening::Opening(TopicsSettings settings, std::optional<RegistrySettings> registry, Emit emit)
    : settings_(std::move(settings)),
      registry_(std::move(registry)),
      emit_(std::move(emit)),
      thread_([this] { run(); }) {}

Opening::~Opening() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    stopped_.notify_all();
  }
  thread_.join();
}

OpeningOutput Opening::open() const {
  OpeningOutput output = look(settings_);
  auto* const opened = std::get_if<Opened>(&output);
  if (opened == nullptr || !registry_) return output;
  const RegistryAnswer answer = register_event_schema(*registry_);
  if (const auto* refuses = std::get_if<RegistryRefuses>(&answer)) return Refused{{refuses->reason}};
  if (const auto* unreachable = std::get_if<RegistryUnreachable>(&answer)) return Unreachable{unreachable->reason};
  opened->value_prefix = stream::registry_prefix(std::get<Registered>(answer).schema_id);
  return output;
}

void Opening::run() {
  Milliseconds pause = retry_min;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    OpeningOutput output = open();
    const bool again = std::holds_alternative<Unreachable>(output);
    emit_(std::move(output));
    lock.lock();
    if (!again) return;
    stopped_.wait_for(lock, pause, [this] { return stopping_; });
    pause = std::min(2 * pause, retry_max);
  }
}

}  // namespace kafka
