// Tail: the events topic's committed records as JSON lines, from a process of its own, in no group.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "cloud-bridge/adapters/rdkafka/client.hpp"

namespace kafka {

// The first offset to be read, by partition; a partition that is not named is read from its beginning.
using Offsets = std::map<std::int32_t, std::int64_t>;

// "3:120" or "0:17,3:120"; empty or "0": everything. None when it is no position.
[[nodiscard]] std::optional<Offsets> parse_position(std::string_view text);

struct TailSettings {
  Properties properties;  // the operator's
  std::string topic;
  Offsets from;
  bool follow = false;         // go on when the end is reached
  Milliseconds limit{10'000};  // for the brokers' first answer
};

// Calls `write` with whole lines until the end of every partition, or for ever with `follow`; write answers false when
// nobody reads any more, stopped answers true when it is time to end. Both ends are success. The error is for people.
// Records of one key come in order; between partitions there is none.
[[nodiscard]] std::expected<void, std::string> tail(const TailSettings& settings,
                                                    const std::function<bool(std::string_view lines)>& write,
                                                    const std::function<bool()>& stopped);

}  // namespace kafka
