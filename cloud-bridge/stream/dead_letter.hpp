// Dead letters: what came in and cannot be published, with the reason.
//
// Card data must never reach a disk, and what cannot be decoded may hold anything. So digest and size are always kept,
// the bytes only when they are plainly a gateway's own record: an Event that parses without an unknown field, whose ids
// are empty or 16 bytes, and which holds no run of digits that could be a card number.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "cloud-bridge/stream/stream.hpp"
#include "proto/base/hasher.hpp"

namespace stream {

// Bytes of a larger payload are not kept.
inline constexpr std::size_t kDeadLetterBytesMax = 64 * 1024;
// A foreign topic is cut to this.
inline constexpr std::size_t kDeadLetterTopicMax = 256;

struct Refused {
  std::string_view gateway_id;  // as the topic says
  std::string_view topic;
  std::string_view reason;  // a word
  std::string_view detail = {};
  std::string_view epoch = {};  // hex; empty: foreign, not a record of any epoch
  base::UtcTime at;
  base::BytesView payload;
};
[[nodiscard]] DeadLetter dead_letter(const Refused& refused, const base::Hasher& hasher);

// Whether these bytes may be kept at rest (see above).
[[nodiscard]] bool may_keep(base::BytesView payload);

}  // namespace stream
