// The topics of the stream, asked of the brokers and made there. What they should be like is decided in
// cloud-bridge/stream/topic_plan.hpp.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <vector>

#include "cloud-bridge/adapters/rdkafka/client.hpp"
#include "cloud-bridge/stream/topic_plan.hpp"

namespace kafka {

struct TopicsSettings {
  Properties properties;  // the operator's
  stream::TopicNames names;
  std::string bridge_id;
  Milliseconds limit{10'000};  // for each question
};

// The error: the brokers cannot be asked now. What they refuse to tell stands in the answer.
[[nodiscard]] std::expected<stream::SeenTopics, std::string> inspect_topics(const TopicsSettings& settings);

// Why topics that were fit take nothing at this moment, in words: brokers that do not answer and why, partitions
// without a leader, too few replicas in sync, a right that is gone. Empty: nothing is to be seen.
[[nodiscard]] std::string find_cause(const TopicsSettings& settings);

// Rights to write, and to be in the group, that this bridge lacks, in words with their remedy. Found by a transaction
// that puts one record into each topic and is aborted, so that no reader of committed data sees it. The error as above.
[[nodiscard]] std::expected<std::vector<std::string>, std::string> find_missing_rights(const TopicsSettings& settings);

// Of a progress topic that is new beside an events topic that is not: refused, or taken into account.
enum class Repeats : bool { refused, accepted };

// Makes what is missing, and leaves what is there as it is; a progress topic that is made here is told its partitions.
// `done` hears of each topic, in words, as soon as it is there. Refused before anything is made when repeats are a risk
// and not accepted; an error later says what was not made, and asked again it goes on from there.
[[nodiscard]] std::expected<void, std::string> create_topics(const TopicsSettings& settings,
                                                             const std::vector<stream::TopicPlan>& plans,
                                                             Repeats repeats,
                                                             const std::function<void(const std::string&)>& done);

}  // namespace kafka
