#include "cloud-bridge/adapters/rdkafka/tail.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <set>

#include "cloud-bridge/adapters/rdkafka/topic_consumer.hpp"

namespace kafka {
namespace {

constexpr Milliseconds poll_wait{100};
constexpr Milliseconds fetch_wait{100};

std::expected<void, std::string> assign(TopicConsumer& consumer, stream::Offsets from, std::int32_t partitions) {
  for (std::int32_t partition = 0; partition < partitions; ++partition)
    from.try_emplace(partition, RD_KAFKA_OFFSET_BEGINNING);
  return consumer.assign(from);
}

// {"position":"3:120","schema_version":1,…}
std::string line_of(const Fetched& fetched) {
  return fmt::format(R"({{"position":"{}:{}"{}{})"
                     "\n",
                     fetched.partition, fetched.offset, fetched.value.size() > 2 ? "," : "",
                     std::string_view(fetched.value).substr(1));
}

}  // namespace

base::Result<void, stream::ReadFailure> tail(const TailSettings& settings,
                                             const std::function<bool(std::string_view lines)>& write,
                                             const std::function<bool()>& stopped) {
  const auto consumer = TopicConsumer::make(
      {.properties = settings.properties, .topic = settings.topic, .fetch_wait = fetch_wait, .limit = settings.limit});
  if (!consumer) return down(consumer.error());
  const auto partitions = (*consumer)->count_partitions();
  if (!partitions) return down(partitions.error());
  if (auto refusal = refuse_place(settings.from, *partitions)) return base::fail(std::move(*refusal));
  if (auto assigned = assign(**consumer, settings.from, *partitions); !assigned) return down(assigned.error());
  std::set<std::int32_t> ended;
  while (!stopped() && (settings.follow || ended.size() < static_cast<std::size_t>(*partitions))) {
    const Polled polled = (*consumer)->poll(poll_wait);
    if (const auto* failed = std::get_if<PollFailed>(&polled)) return down(failed->reason);
    if (const auto* end = std::get_if<EndReached>(&polled)) ended.insert(end->partition);
    if (const auto* fetched = std::get_if<Fetched>(&polled); fetched != nullptr && !write(line_of(*fetched))) return {};
  }
  return {};
}

}  // namespace kafka
