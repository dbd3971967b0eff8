// Framing: messages cut out of a stream, and put into one, as a dialect's framing says. Sockets are others' concern.
//
//   cutter.append(received);
//   while (true) {
//     auto frame = cutter.next();
//     if (!frame) …      // the stream can no longer be understood: close it
//     if (!*frame) break;  // the next one is not all there yet
//     …
//   }
//
// Bounded: no more is kept than one frame of bytes_max and what append() was given. Whatever was kept is wiped when it
// is done with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "firmware-gateway/terminal/iso8583/dialect.hpp"
#include "proto/base/bytes.hpp"
#include "proto/base/result.hpp"

namespace iso8583 {

// Views that live until the cutter is used again.
struct Frame {
  std::string_view header;   // TPDU or the like: give it to frame_answer()
  std::string_view message;  // for decode()
  // Length 0: answer keep_alive().
  bool keep_alive = false;
};

// Nothing after it can be understood: close the line.
enum class FrameFault : std::uint8_t {
  length,     // holds what is no digit, or counts less than itself
  empty,      // length 0 where the dialect has no keep-alive
  too_large,  // announces, or without a length already has, more than bytes_max
  header,     // ends before its header does
};
[[nodiscard]] std::string_view words_of(FrameFault fault);

class FrameCutter {
 public:
  explicit FrameCutter(const Framing& framing) : framing_(framing) {}
  FrameCutter(const FrameCutter&) = delete;
  FrameCutter& operator=(const FrameCutter&) = delete;
  ~FrameCutter();

  void append(base::BytesView bytes);
  [[nodiscard]] base::Result<std::optional<Frame>, FrameFault> next();
  // Whether the beginning of a frame has come and its end has not. Only right after next() gave nothing.
  [[nodiscard]] bool amid_frame() const { return end_ != begin_; }

 private:
  [[nodiscard]] std::string_view kept() const { return {bytes_.get() + begin_, end_ - begin_}; }
  void forget(std::size_t bytes);
  [[nodiscard]] base::Result<std::optional<Frame>, FrameFault> next_by_length();
  [[nodiscard]] base::Result<std::optional<Frame>, FrameFault> next_by_end();
  [[nodiscard]] base::Result<std::optional<Frame>, FrameFault> split(std::string_view content) const;

  Framing framing_;
  std::unique_ptr<char[]> bytes_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  // Of the frame that next() gave last: forgotten when the cutter is used again.
  std::size_t given_ = 0;
};

// The frame of an answer: behind a header like the request's, with destination and source exchanged where the dialect
// says so. May hold card data: wipe it when it has been sent. Empty when the message is too long for its length.
[[nodiscard]] base::Bytes frame_answer(const Framing& framing, std::string_view request_header,
                                       base::BytesView message);
// The same behind a header as given.
[[nodiscard]] base::Bytes frame(const Framing& framing, std::string_view header, base::BytesView message);
// A frame of length 0.
[[nodiscard]] base::Bytes keep_alive(const Framing& framing);

}  // namespace iso8583
