// Notices: what the gateway itself has to say in the stream (events_lost, journal_epoch_started,
// duplicate_window_shrunk …), as records like any event's.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "firmware-gateway/ingest/recorder.hpp"
#include "proto/base/bytes.hpp"
#include "proto/base/uuid.hpp"
#include "proto/wire/event.pb.h"

namespace ingest {

// Name to value, both printable; published as detail_<name>.
using NoticeDetails = std::map<std::string, std::string>;

[[nodiscard]] tillstream::v1::Event make_notice(std::string_view name, const NoticeDetails& details,
                                                const base::Uuid& event_id, Moment moment);

// The bytes that are journaled, of notices and events alike.
[[nodiscard]] base::Bytes to_record(const tillstream::v1::Event& event);

}  // namespace ingest
