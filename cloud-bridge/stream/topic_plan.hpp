// What the topics of a Kafka stream must be like, and what is wrong with those that are there. Pure: the adapter asks
// the brokers, this compares.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stream {

enum class TopicRole : std::uint8_t { events, gateways, progress, dead_letters };

struct TopicNames {
  std::string events;
  std::string gateways;
  std::string progress;
  std::string dead_letters;

  friend bool operator==(const TopicNames&, const TopicNames&) = default;
};

// How topics are made.
struct TopicCounts {
  std::uint32_t events_partitions = 12;
  std::uint32_t progress_partitions = 16;  // P, for ever: at most so many bridges can share the work
  std::uint32_t replication = 3;
};

struct TopicPlan {
  TopicRole role{};
  std::string name;
  std::uint32_t partitions = 1;
  std::uint32_t replication = 1;
  std::vector<std::pair<std::string, std::string>> settings;  // Kafka's own names
};
[[nodiscard]] std::vector<TopicPlan> plan_topics(const TopicNames& names, const TopicCounts& counts);

// As the brokers have it.
struct SeenTopic {
  bool exists = false;
  std::string error;  // why nothing is known of it: no right to describe it …
  std::uint32_t partitions = 0;
  std::uint32_t replication = 0;
  std::uint32_t in_sync = 0;     // replicas, of the partition that has the fewest
  std::uint32_t leaderless = 0;  // partitions
  std::map<std::string, std::string> settings;
};

struct SeenTopics {
  SeenTopic events;
  SeenTopic gateways;
  SeenTopic progress;
  SeenTopic dead_letters;
  std::optional<std::uint32_t> recorded_partitions;  // P, as the progress topic itself says
  // Why it would not be harmless to begin with a new progress topic: the events topic holds records, or cannot be read.
  // Empty: it is, or there is progress already.
  std::string repeat_risk;

  [[nodiscard]] SeenTopic& of(TopicRole role);
  [[nodiscard]] const SeenTopic& of(TopicRole role) const;
};

// What keeps a bridge from running on these topics, one a line, each with its remedy. Empty: nothing.
[[nodiscard]] std::vector<std::string> find_problems(const TopicNames& names, const SeenTopics& seen);
// Of one topic, with the remedy.
[[nodiscard]] std::string tell_missing(std::string_view topic);
// Why a new progress topic must not be made without a word, and the remedy. Empty: it may be.
[[nodiscard]] std::string tell_repeat_risk(const TopicNames& names, const SeenTopics& seen);
// As find_problems, of one topic after the other, without what the progress topic says of itself.
[[nodiscard]] std::vector<std::string> find_problems_of_topics(const TopicNames& names, const SeenTopics& seen);
// Why topics may take nothing although they are made well; it passes when brokers come back.
[[nodiscard]] std::vector<std::string> find_troubles(const TopicNames& names, const SeenTopics& seen);
// What works and is unwise.
[[nodiscard]] std::vector<std::string> find_warnings(const TopicNames& names, const SeenTopics& seen);

// The largest record that a topic takes, with room for what Kafka adds to it.
[[nodiscard]] std::size_t record_bytes_max(const SeenTopic& topic);
// What a topic takes in one batch of records: the brokers apply a topic's limit to whole batches.
[[nodiscard]] std::size_t batch_bytes_max(const SeenTopic& topic);

// The record of the progress topic that says how many partitions it was made with. No gateway has an id like that.
inline constexpr std::string_view kLayoutKey = "#layout";
[[nodiscard]] std::string render_layout(std::uint32_t partitions);
[[nodiscard]] std::optional<std::uint32_t> parse_layout(std::string_view value);

}  // namespace stream
