// The one door between bytes from MQTT and the handoff's messages. Decoding believes nothing: every size, length and
// count is checked before anything is allocated by it, and an error is a value without payload.
//
// Pure functions, no state; any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/base/bytes.hpp"
#include "proto/base/result.hpp"
#include "proto/wire/handoff.pb.h"

namespace wire {

// Limits of a message, in bytes and pieces. The sender keeps well below them (handoff::SenderSettings).
inline constexpr std::size_t kMessageBytesMax = 1U << 20U;
inline constexpr std::size_t kRecordsBytesMax = 4U << 20U;  // of one Batch, decompressed
inline constexpr std::size_t kRecordsMax = 8192;            // of one Batch
inline constexpr std::size_t kRunsMax = 16;                 // of one Progress
inline constexpr std::size_t kSwitchesMax = 16;             // of one Progress
inline constexpr std::size_t kAmountsMax = 200;             // of one Heartbeat: more currencies than there are
inline constexpr std::size_t kTextBytesMax = 256;           // of any text
inline constexpr std::size_t kReasonBytesMax = 64;          // of a Lost's reason: a to z and _
// Beyond it no seq or index is believed, so that sums cannot overflow.
inline constexpr std::uint64_t kNumberMax = 1ULL << 62U;

enum class DecodeError : std::uint8_t {
  too_large,        // longer than kMessageBytesMax: refuse
  undecodable,      // no protobuf of this type: refuse
  unknown_message,  // none of the messages known here: refuse; perhaps of a newer program
  bad_gateway_id,   // refuse
  bad_field,        // an id, digest, number, text or list has an impossible size or value: refuse
  bad_records,      // compressed or packed records that are broken, too many or too large: refuse
};
[[nodiscard]] std::string_view to_string(DecodeError error);

// Serialized, with the records compressed where that saves at least an eighth.
[[nodiscard]] base::Bytes encode(tillstream::v1::Up up);
[[nodiscard]] base::Bytes encode(const tillstream::v1::Down& down);

// Records of a Batch come out decompressed, in `records`.
[[nodiscard]] base::Result<tillstream::v1::Up, DecodeError> decode_up(base::BytesView payload);
[[nodiscard]] base::Result<tillstream::v1::Down, DecodeError> decode_down(base::BytesView payload);

}  // namespace wire
