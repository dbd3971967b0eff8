// From one MQTT message to what a gateway said. What cannot be that is refused with a word, and nothing of it is
// believed.
//
//   topic and payload ──topic──▶ ──shard──▶ ──decode──▶ ──id inside = id outside──▶ Said
//                        │          │          │                │
//                        └──────────┴──────────┴─ Refused ◀─────┘
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "proto/base/bytes.hpp"
#include "proto/base/hasher.hpp"
#include "proto/wire/handoff.pb.h"

namespace intake {

enum class Refusal : std::uint8_t {
  too_large,         // Longer than any message of the handoff.
  foreign_topic,     // No topic of the handoff, or no gateway id in it.
  shard_mismatch,    // The topic's shard is not that gateway's.
  undecodable,       // No Up message, or one whose records are broken.
  unknown_message,   // An Up whose kind this bridge does not know.
  malformed,         // A field has a size or value that it cannot have.
  gateway_mismatch,  // The id inside is not the topic's: somebody speaks for another gateway.
};
inline constexpr std::size_t refusals = 7;
// As dead letters and metrics say it.
[[nodiscard]] std::string_view word(Refusal refusal);

struct Said {
  std::string shard;
  std::string gateway_id;
  tillstream::v1::Up up;  // hello, batch (unpacked) or heartbeat is set
};
struct Refused {
  Refusal refusal = Refusal::undecodable;
  std::string gateway_id;  // as the topic says; empty: it says none
};

[[nodiscard]] std::variant<Said, Refused> read(std::string_view topic, base::BytesView payload,
                                               const base::Hasher& hasher);

// Bytes of all records together.
[[nodiscard]] std::uint64_t bytes_of(const tillstream::v1::Records& records);
// Raises batch.schema_version to the newest one that a record names, so that no record of a newer schema slips through
// a Batch that says otherwise.
void raise_schema_version(tillstream::v1::Batch& batch);

}  // namespace intake
