// Tail: the events topic's committed records as JSON lines, from a process of its own, in no group.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "cloud-bridge/adapters/rdkafka/client.hpp"
#include "cloud-bridge/stream/offsets.hpp"
#include "cloud-bridge/stream/stream.hpp"

namespace kafka {

struct TailSettings {
  Properties properties;  // the operator's
  std::string topic;
  stream::Offsets from;
  bool follow = false;         // go on when the end is reached
  Milliseconds limit{10'000};  // for the brokers' first answer
};

// Calls `write` with whole lines until the end of every partition, or for ever with `follow`; write answers false when
// nobody reads any more, stopped answers true when it is time to end. Both ends are success. A place beyond a
// partition's end has nothing to show until the partition has come there. `removed` hears of what was asked for and is
// kept no longer; the first record that is kept follows.
// Records of one key come in order; between partitions there is none.
[[nodiscard]] base::Result<void, stream::ReadFailure> tail(const TailSettings& settings,
                                                           const std::function<bool(std::string_view lines)>& write,
                                                           const std::function<void(const stream::Removed&)>& removed,
                                                           const std::function<bool()>& stopped);

}  // namespace kafka
