// A bridge's own notices: records that no gateway sent. Their event_id follows from what they speak of, so that a
// notice sent again after an aborted transaction has the same one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "cloud-bridge/stream/record.hpp"
#include "cloud-bridge/stream/stream.hpp"
#include "proto/base/hasher.hpp"

namespace stream {

// Any notice. Name, gateway, place and details decide the event_id: two notices that speak of different things must
// differ there.
struct Notice {
  std::string_view name;
  std::string_view gateway_id;
  // Set only for a notice that takes a record's place in an epoch.
  std::optional<std::pair<handoff::Epoch, handoff::Seq>> place;
  std::map<std::string, std::string> details;  // published as detail_<key>
  base::UtcTime published_at;
};
[[nodiscard]] Record render_notice(const Notice& notice, const base::Hasher& hasher, const ValueFormat& format = {});

// events_lost, written in the transaction that switches the epoch. `lost` are seqs of the superseded epoch.
struct EpochSwitch {
  std::string_view gateway_id;
  handoff::Epoch epoch;                      // the new one
  std::optional<handoff::Place> superseded;  // none: the bridge knew nothing of this gateway
  handoff::Lost lost;
  base::UtcTime published_at;
};
[[nodiscard]] Record events_lost_notice(const EpochSwitch& change, const base::Hasher& hasher,
                                        const ValueFormat& format = {});

// gateway_cloned: two live boxes use one id. `progress` is the place at which the quarantine began.
[[nodiscard]] Record gateway_cloned_notice(std::string_view gateway_id, const handoff::Place& progress,
                                           base::UtcTime published_at, const base::Hasher& hasher,
                                           const ValueFormat& format = {});

// event_unreadable, in the place of a poisonous record.
[[nodiscard]] Record event_unreadable_notice(const Publication& publication, DecodeError error, base::BytesView record,
                                             const base::Hasher& hasher, const ValueFormat& format = {});

}  // namespace stream
