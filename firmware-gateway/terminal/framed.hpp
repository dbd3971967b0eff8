// The framed protocol: a 4-byte big-endian length, then that many bytes of protobuf (proto/wire/framed.proto), either
// way.
//
//   bytes ──add──▶ FrameReader ──next──▶ frame ──read_submit──▶ Draft
//   Answer ──to_frame──▶ bytes
//
// A length beyond frame_bytes_max is refused before anything is allocated; the reader then stays closed, as the stream
// cannot be followed any more. A length of 0 is a Submit without fields, and is answered as one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "firmware-gateway/redact/card_guard.hpp"
#include "firmware-gateway/terminal/answer.hpp"
#include "firmware-gateway/terminal/dialogue.hpp"
#include "proto/base/result.hpp"

namespace terminal {

inline constexpr std::size_t frame_bytes_max = 64 * 1024;
inline constexpr std::size_t frame_length_bytes = 4;

// Cuts a byte stream into frames. Holds at most one frame beside what was added last. Wiped when it goes.
class FrameReader {
 public:
  struct NeedMore {};
  struct TooLarge {};
  // Points into the reader; valid until the next call.
  struct Frame {
    std::string_view payload;
  };
  using Next = std::variant<NeedMore, Frame, TooLarge>;

  FrameReader() = default;
  FrameReader(const FrameReader&) = delete;
  FrameReader& operator=(const FrameReader&) = delete;
  ~FrameReader() { redact::wipe(buffer_); }

  void add(std::string_view bytes);
  [[nodiscard]] Next next();
  // A frame has begun and has not ended: where the peer closes now, it was cut off.
  [[nodiscard]] bool mid_frame() const { return at_ < buffer_.size(); }

 private:
  void drop_read();

  std::string buffer_;
  std::size_t at_ = 0;
  bool too_large_ = false;
};

// The Submit in a frame. 400 invalid_protobuf when it is none, 413 beyond event_bytes_max; fields that this gateway
// does not know are refused as over HTTP.
[[nodiscard]] base::Result<redact::Draft, Refusal> read_submit(std::string_view payload);

// The Answer as a whole frame, with its length.
[[nodiscard]] std::string to_frame(const Answer& answer);

// The framed protocol on one connection.
class FramedDialogue final : public Dialogue {
 public:
  void add(std::string_view bytes) override { reader_.add(bytes); }
  [[nodiscard]] Step take(Exchange& exchange) override;
  [[nodiscard]] bool amid_request() const override { return reader_.mid_frame(); }

 private:
  FrameReader reader_;
};

}  // namespace terminal
