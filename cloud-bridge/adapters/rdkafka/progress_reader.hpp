// The gateways' progress as it is committed in one partition of the progress topic, read whole.
//
// The end is asked of a client that reads uncommitted: the end that a read-committed client is told stops at the oldest
// transaction that is open, and what lies behind it would be missed. The reading itself is committed, up to that end;
// when something open keeps it from getting there, that is an error, never a shorter answer.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <vector>

#include "cloud-bridge/adapters/rdkafka/client.hpp"
#include "proto/wire/handoff.pb.h"

namespace kafka {

struct ProgressPartition {
  Properties properties;  // the operator's
  std::string topic;
  std::int32_t partition = 0;
};

struct ProgressRead {
  std::vector<tillstream::v1::Progress> progress;  // one a gateway, the newest
  std::uint64_t records = 0;                       // that were read for it
};

// Blocks until it is done, `stop` says so, or `limit` is over. `held_up` is told, in words, what it waits for when an
// open transaction keeps it from the end.
[[nodiscard]] std::expected<ProgressRead, std::string> read_progress(
    const ProgressPartition& partition, Milliseconds limit, const std::function<bool()>& stop,
    const std::function<void(std::string why)>& held_up);

}  // namespace kafka
