// The MQTT topics of the handoff. One definition for both ends.
//
//   tillstream/v1/up/<shard>/<gateway>     gateway to bridge
//   tillstream/v1/down/<shard>/<gateway>   bridge to one gateway
//   tillstream/v1/down/<shard>/all         bridge to all gateways of a shard; never retained
//
// shard: the first byte of SHA-256(gateway id) in two lower-case hex digits; 256 shards, for ever. A gateway that is
// called "all" would share its topic with everyone, so that id is not allowed.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proto/base/bytes.hpp"
#include "proto/base/hasher.hpp"

namespace handoff {

inline constexpr std::string_view topic_root = "tillstream/v1/";
inline constexpr std::size_t gateway_id_length_max = 63;

// [a-z0-9-]{1,63}, and not "all".
[[nodiscard]] inline bool gateway_id_allowed(std::string_view id) {
  return !id.empty() && id.size() <= gateway_id_length_max && id != "all" &&
         id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

[[nodiscard]] inline std::string shard_of(const base::Hasher& hasher, std::string_view gateway_id) {
  return base::to_hex(hasher.sha256({gateway_id}).view().substr(0, 1));
}

[[nodiscard]] inline std::string up_topic(std::string_view shard, std::string_view gateway_id) {
  return std::string(topic_root).append("up/").append(shard).append("/").append(gateway_id);
}
[[nodiscard]] inline std::string down_topic(std::string_view shard, std::string_view gateway_id) {
  return std::string(topic_root).append("down/").append(shard).append("/").append(gateway_id);
}
[[nodiscard]] inline std::string owner_topic(std::string_view shard) {
  return std::string(topic_root).append("down/").append(shard).append("/all");
}

// Whose topic it is: the gateway id of tillstream/v1/up/<shard>/<gateway> with a well-formed id; nothing for any other
// topic. Whether the shard is that gateway's own is for the caller to compare.
struct UpTopic {
  std::string_view shard;
  std::string_view gateway_id;
};
[[nodiscard]] std::optional<UpTopic> parse_up_topic(std::string_view topic);

}  // namespace handoff
