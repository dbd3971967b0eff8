#include "cloud-bridge/stream/topic_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "proto/base/assert.hpp"

namespace stream {
namespace {

using Settings = std::vector<std::pair<std::string, std::string>>;

constexpr std::array kRoles{TopicRole::events, TopicRole::gateways, TopicRole::progress, TopicRole::dead_letters};
constexpr std::size_t kKafkaOverhead = 1024;
constexpr std::size_t kMessageBytesDefault = 1'048'588;
// A notice, a dead letter without its bytes, a gateway's progress with all its runs: each is smaller.
constexpr std::size_t kMessageBytesMin = 8 * 1024;
// A gateway's row with as many currencies as a heartbeat may have, each with the longest name.
constexpr std::size_t kRowBytesMin = 512 * 1024;
constexpr std::uint32_t kReplicasForTwo = 3;

const std::string& name_of(const TopicNames& names, TopicRole role) {
  switch (role) {
    case TopicRole::events:
      return names.events;
    case TopicRole::gateways:
      return names.gateways;
    case TopicRole::progress:
      return names.progress;
    case TopicRole::dead_letters:
      return names.dead_letters;
  }
  ASSERT(false);
}

// A takeover reads what compaction has not yet cleaned: small segments, cleaned often, keep that short.
Settings compacted_quickly() {
  return {{"cleanup.policy", "compact"},
          {"segment.bytes", "16777216"},
          {"segment.ms", "600000"},
          {"min.cleanable.dirty.ratio", "0.1"},
          {"max.compaction.lag.ms", "600000"}};
}

Settings settings_of(TopicRole role, std::uint32_t replication) {
  Settings settings = role == TopicRole::events ? Settings{{"cleanup.policy", "delete"}} : compacted_quickly();
  settings.emplace_back("min.insync.replicas", replication >= kReplicasForTwo ? "2" : "1");
  return settings;
}

std::uint32_t partitions_of(TopicRole role, const TopicCounts& counts) {
  if (role == TopicRole::events) return counts.events_partitions;
  return role == TopicRole::progress ? counts.progress_partitions : 1;
}

std::string_view setting(const SeenTopic& topic, const std::string& name) {
  const auto found = topic.settings.find(name);
  return found == topic.settings.end() ? std::string_view() : std::string_view(found->second);
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

bool says(std::string_view policy, std::string_view word) { return policy.find(word) != std::string_view::npos; }

void find_policy_problem(std::vector<std::string>& problems, TopicRole role, const std::string& name,
                         const SeenTopic& topic) {
  const std::string_view policy = setting(topic, "cleanup.policy");
  if (policy.empty()) return;
  if (role == TopicRole::progress && policy != "compact") {
    problems.push_back(fmt::format(
        "topic {}: cleanup.policy is {}: progress would be forgotten and events come twice; set it to compact", name,
        policy));
  } else if (role == TopicRole::gateways && !says(policy, "compact")) {
    problems.push_back(fmt::format("topic {}: cleanup.policy is {}; set it to compact", name, policy));
  } else if (role == TopicRole::events && says(policy, "compact")) {
    problems.push_back(fmt::format(
        "topic {}: cleanup.policy is {}: of each terminal only the last event would be kept; set it to delete", name,
        policy));
  }
}

// What a bridge writes of its own accord must fit: it could not be left out, and its transaction would fail for ever.
void find_size_problem(std::vector<std::string>& problems, TopicRole role, const std::string& name,
                       const SeenTopic& topic) {
  const std::size_t least = role == TopicRole::gateways ? kRowBytesMin : kMessageBytesMin;
  if (batch_bytes_max(topic) >= least) return;
  problems.push_back(fmt::format(
      "topic {}: max.message.bytes is {}: too small for what the bridge itself writes there; set it to {} or more",
      name, batch_bytes_max(topic), least));
}

void find_topic_problems(std::vector<std::string>& problems, TopicRole role, const TopicNames& names,
                         const SeenTopics& seen) {
  const std::string& name = name_of(names, role);
  const SeenTopic& topic = seen.of(role);
  if (!topic.error.empty()) {
    problems.push_back(fmt::format("topic {}: {}", name, topic.error));
  } else if (!topic.exists && role == TopicRole::progress && !seen.repeat_risk.empty()) {
    problems.push_back(tell_repeat_risk(names, seen));
  } else if (!topic.exists) {
    problems.push_back(tell_missing(name));
  } else {
    find_policy_problem(problems, role, name, topic);
    find_size_problem(problems, role, name, topic);
    const auto needed = number(setting(topic, "min.insync.replicas"));
    if (needed && *needed > topic.replication) {
      problems.push_back(
          fmt::format("topic {}: min.insync.replicas is {} and there are {} replicas: nothing could ever be written",
                      name, *needed, topic.replication));
    }
  }
}

void find_layout_problems(std::vector<std::string>& problems, const TopicNames& names, const SeenTopics& seen) {
  const std::string& name = names.progress;
  const SeenTopic& topic = seen.progress;
  if (!topic.exists || !topic.error.empty()) return;
  if (!seen.repeat_risk.empty()) {
    problems.push_back(tell_repeat_risk(names, seen));
  } else if (!seen.recorded_partitions) {
    problems.push_back(fmt::format(
        "topic {} does not say with how many partitions it was made; tillstream-bridge topics --create writes that "
        "into a new one",
        name));
  } else if (*seen.recorded_partitions != topic.partitions) {
    problems.push_back(fmt::format(
        "topic {} was made with {} partitions and has {}: each gateway's progress would be looked for in another one. "
        "Make a new progress topic with its own name only together with new events topics",
        name, *seen.recorded_partitions, topic.partitions));
  }
}

void find_replica_trouble(std::vector<std::string>& troubles, const std::string& name, const SeenTopic& topic) {
  const auto needed = number(setting(topic, "min.insync.replicas"));
  // Without the right to see the settings this is all that can be said.
  if (!needed) {
    troubles.push_back(fmt::format("topic {}: {} of {} replicas are in sync; how many it needs cannot be seen", name,
                                   topic.in_sync, topic.replication));
  } else if (topic.in_sync < *needed) {
    troubles.push_back(fmt::format("topic {}: not enough replicas in sync: {} of {}, min.insync.replicas is {}", name,
                                   topic.in_sync, topic.replication, *needed));
  }
}

}  // namespace

std::string tell_missing(std::string_view topic) {
  return fmt::format("topic {} is missing; tillstream-bridge topics --create makes it", topic);
}

std::vector<TopicPlan> plan_topics(const TopicNames& names, const TopicCounts& counts) {
  std::vector<TopicPlan> plans;
  plans.reserve(kRoles.size());
  for (const TopicRole role : kRoles) {
    plans.push_back({.role = role,
                     .name = name_of(names, role),
                     .partitions = partitions_of(role, counts),
                     .replication = counts.replication,
                     .settings = settings_of(role, counts.replication)});
  }
  return plans;
}

const SeenTopic& SeenTopics::of(TopicRole role) const {
  switch (role) {
    case TopicRole::events:
      return events;
    case TopicRole::gateways:
      return gateways;
    case TopicRole::progress:
      return progress;
    case TopicRole::dead_letters:
      return dead_letters;
  }
  ASSERT(false);
}

SeenTopic& SeenTopics::of(TopicRole role) { return const_cast<SeenTopic&>(std::as_const(*this).of(role)); }

std::vector<std::string> find_problems_of_topics(const TopicNames& names, const SeenTopics& seen) {
  std::vector<std::string> problems;
  for (const TopicRole role : kRoles) find_topic_problems(problems, role, names, seen);
  return problems;
}

std::string tell_repeat_risk(const TopicNames& names, const SeenTopics& seen) {
  if (seen.repeat_risk.empty()) return {};
  return fmt::format(
      "topic {} {}, and {}: on a new one the gateways publish again all that they still keep, marked possible_repeat. "
      "Bring the old one back, or accept that: tillstream-bridge topics --create --accept-repeats",
      names.progress, seen.progress.exists ? "was never written to" : "is missing", seen.repeat_risk);
}

std::vector<std::string> find_problems(const TopicNames& names, const SeenTopics& seen) {
  std::vector<std::string> problems = find_problems_of_topics(names, seen);
  find_layout_problems(problems, names, seen);
  return problems;
}

std::vector<std::string> find_troubles(const TopicNames& names, const SeenTopics& seen) {
  std::vector<std::string> troubles;
  for (const TopicRole role : kRoles) {
    const SeenTopic& topic = seen.of(role);
    if (!topic.exists) continue;
    if (topic.leaderless > 0) {
      troubles.push_back(
          fmt::format("topic {}: {} of {} partitions have no leader: the brokers that hold them are down",
                      name_of(names, role), topic.leaderless, topic.partitions));
    } else if (topic.in_sync < topic.replication) {
      find_replica_trouble(troubles, name_of(names, role), topic);
    }
  }
  return troubles;
}

std::vector<std::string> find_warnings(const TopicNames& names, const SeenTopics& seen) {
  std::vector<std::string> warnings;
  for (const TopicRole role : kRoles) {
    const SeenTopic& topic = seen.of(role);
    if (topic.replication > 1 && setting(topic, "min.insync.replicas") == "1") {
      warnings.push_back(fmt::format(
          "topic {}: min.insync.replicas is 1: a record may be on one broker only when it is acknowledged, and be lost "
          "with it; set it to 2",
          name_of(names, role)));
    }
  }
  return warnings;
}

std::size_t batch_bytes_max(const SeenTopic& topic) {
  return static_cast<std::size_t>(number(setting(topic, "max.message.bytes")).value_or(kMessageBytesDefault));
}

std::size_t record_bytes_max(const SeenTopic& topic) {
  const std::size_t bytes = batch_bytes_max(topic);
  return bytes > kKafkaOverhead ? bytes - kKafkaOverhead : 0;
}

std::string render_layout(std::uint32_t partitions) { return fmt::format(R"({{"partitions":{}}})", partitions); }

std::optional<std::uint32_t> parse_layout(std::string_view value) {
  constexpr std::string_view before = R"({"partitions":)";
  if (!value.starts_with(before) || !value.ends_with('}')) return std::nullopt;
  const auto count = number(value.substr(before.size(), value.size() - before.size() - 1));
  if (!count || *count == 0 || *count > 256) return std::nullopt;
  return static_cast<std::uint32_t>(*count);
}

}  // namespace stream
