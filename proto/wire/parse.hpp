// Parsing any message from bytes that may be foreign. protobuf's library would print a line to stderr for every message
// with broken text that anyone sends: nobody may fill a disk like that, so its log is switched off first.
//
// Any thread.
#pragma once

#include <google/protobuf/message_lite.h>

#include "proto/base/bytes.hpp"

namespace wire {

// False: no message of this type; `message` then holds whatever was read.
[[nodiscard]] bool parse(google::protobuf::MessageLite& message, base::BytesView bytes);

}  // namespace wire
