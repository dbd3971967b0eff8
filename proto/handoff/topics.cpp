#include "proto/handoff/topics.hpp"

namespace handoff {

std::optional<UpTopic> parse_up_topic(std::string_view topic) {
  constexpr std::string_view prefix = "tillstream/v1/up/";
  if (!topic.starts_with(prefix)) return std::nullopt;
  topic.remove_prefix(prefix.size());
  if (topic.size() < 4 || topic[2] != '/') return std::nullopt;
  const UpTopic parsed{.shard = topic.substr(0, 2), .gateway_id = topic.substr(3)};
  if (parsed.shard.find_first_not_of("0123456789abcdef") != std::string_view::npos) return std::nullopt;
  if (!gateway_id_allowed(parsed.gateway_id)) return std::nullopt;
  return parsed;
}

}  // namespace handoff
