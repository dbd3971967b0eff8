// Copies: a transaction's draft, a loss, what could not be read, and their answers as they cross the unix socket
// (proto/wire/tap.proto). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "firmware-gateway/redact/card_guard.hpp"
#include "firmware-gateway/terminal/answer.hpp"
#include "firmware-gateway/terminal/dialogue.hpp"
#include "proto/base/bytes.hpp"
#include "proto/base/instant.hpp"

namespace tap {

using CopyId = std::uint64_t;

// Copies that went through the tap and were dropped.
struct Loss {
  std::uint64_t count = 0;
  base::UtcTime first_at;
  base::UtcTime last_at;
};

// What went through the tap and could not be read, for a notice.
struct Unread {
  terminal::Shape shape;
  base::UtcTime at;
};

struct Copy {
  CopyId id = 0;
  redact::Draft draft;
};
struct ToldLoss {
  CopyId id = 0;
  Loss loss;
};
struct ToldUnread {
  CopyId id = 0;
  Unread unread;
};
using Up = std::variant<Copy, ToldLoss, ToldUnread>;

// What the gateway says of one.
struct Verdict {
  enum class Outcome : std::uint8_t {
    stored,   // on disk: forget it
    again,    // not, or nobody knows: the same again
    refused,  // never
  };
  CopyId id = 0;
  Outcome outcome = Outcome::again;
  bool duplicate = false;
  std::string code;
  std::string field;
  std::uint32_t retry_after_seconds = 0;
};

// Whole frames, with their length. A copy's holds the card number: wipe it. Of a draft whose frame would be larger than
// terminal::frame_bytes_max: empty.
[[nodiscard]] base::Bytes to_frame(CopyId id, redact::Draft draft);
[[nodiscard]] base::Bytes to_frame(CopyId id, const Loss& loss);
[[nodiscard]] base::Bytes to_frame(CopyId id, const Unread& unread);
[[nodiscard]] base::Bytes to_frame(CopyId id, const terminal::Answer& given);

// What stands in a frame. Nothing: it is no such message.
[[nodiscard]] std::optional<Up> read_up(base::BytesView payload);
[[nodiscard]] std::optional<Verdict> read_verdict(base::BytesView payload);

}  // namespace tap
