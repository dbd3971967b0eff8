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
#include "proto/base/text.hpp"

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

// A dead letter as a record of its own: the key is the same for the same bytes of the same gateway's epoch, so that a
// compacted topic keeps one of them; what is known about it are its headers, and the value is the payload, if kept.
[[nodiscard]] std::string key_of(const DeadLetter& letter);

// Calls visit(name, value) for each header. The views live during the call only.
template <class Visit>
void each_header(const DeadLetter& letter, Visit&& visit) {
  const auto given = [&visit](std::string_view name, std::string_view value) {
    if (!value.empty()) visit(name, value);
  };
  visit(std::string_view("content-type"), std::string_view("application/octet-stream"));
  visit(std::string_view("reason"), std::string_view(letter.reason));
  given("detail", letter.detail);
  given("gateway_id", letter.gateway_id);
  given("topic", letter.topic);
  given("epoch", letter.epoch);
  given("digest", letter.digest);
  given("at", base::to_rfc3339(letter.at));
  given("bytes", std::to_string(letter.size));
}

// Bytes of key, headers and payload together.
[[nodiscard]] std::size_t size_of(const DeadLetter& letter);

// Whether these bytes may be kept at rest (see above).
[[nodiscard]] bool may_keep(base::BytesView payload);

}  // namespace stream
