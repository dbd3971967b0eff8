// A record's value as readers are shown it: JSON, whatever the format that it was written in.
#pragma once

#include <librdkafka/rdkafka.h>

#include <string>

namespace kafka {

// One JSON object. A record that is none of ours gives {"unreadable": why, "bytes": its size}: it is foreign to the
// topic, and may hold anything.
[[nodiscard]] std::string shown_value(const rd_kafka_message_t& message);

}  // namespace kafka
