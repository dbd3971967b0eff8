// Whether a record holds a field that this bridge's Event does not have. protobuf-lite keeps such fields and shows them
// to nobody; publishing the rest would lose them in silence.
#pragma once

#include "proto/base/bytes.hpp"

namespace stream {

// `record` must parse as an Event.
[[nodiscard]] bool has_unknown_field(base::BytesView record);

}  // namespace stream
