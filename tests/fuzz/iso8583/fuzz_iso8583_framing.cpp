// Any stream under any framing (the first bytes say which): cut in two ways, frames are the same; a frame that was cut
// is framed and cut again as it was; nothing larger than the limit comes out.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "firmware-gateway/terminal/iso8583/framing.hpp"
#include "proto/base/assert.hpp"

namespace {

using iso8583::FrameCutter;
using iso8583::FrameHeader;
using iso8583::FrameLength;
using iso8583::Framing;

constexpr std::size_t settings_bytes = 4;

struct Cut {
  std::string header;
  std::string message;
  bool keep_alive = false;
  friend bool operator==(const Cut&, const Cut&) = default;
};

struct Stream {
  std::vector<Cut> frames;
  bool faulty = false;
  friend bool operator==(const Stream&, const Stream&) = default;
};

Framing framing_of(const std::uint8_t* data) {
  constexpr FrameLength lengths[] = {FrameLength::binary, FrameLength::bcd, FrameLength::ascii, FrameLength::hex,
                                     FrameLength::etx};
  constexpr FrameHeader headers[] = {FrameHeader::none, FrameHeader::fixed, FrameHeader::tpdu, FrameHeader::visanet};
  Framing framing{.length = lengths[data[0] % 5],
                  .length_bytes = static_cast<std::uint8_t>(1 + data[0] / 5 % 4),
                  .includes_self = (data[1] & 1U) != 0,
                  .extra_bytes = static_cast<std::uint8_t>((data[1] >> 1U) & 3U),
                  .header = headers[(data[1] >> 3U) & 3U],
                  .header_bytes = static_cast<std::uint8_t>(1 + (data[2] & 15U)),
                  .keep_alive = (data[2] & 16U) != 0,
                  .bytes_max = 16U + data[3]};
  if (framing.length == FrameLength::etx) framing.length_bytes = 0;
  return framing;
}

Stream cut(const Framing& framing, std::string_view bytes, std::size_t step) {
  Stream stream;
  FrameCutter cutter(framing);
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    cutter.append(bytes.substr(at, step));
    while (true) {
      const auto next = cutter.next();
      stream.faulty = !next;
      if (!next) return stream;
      if (!*next) break;
      stream.frames.push_back({std::string((*next)->header), std::string((*next)->message), (*next)->keep_alive});
    }
  }
  return stream;
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < settings_bytes) return 0;
  const Framing framing = framing_of(data);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + settings_bytes, size - settings_bytes);
  const Stream whole = cut(framing, bytes, bytes.size() + 1);
  ASSERT(whole == cut(framing, bytes, 3));
  for (const Cut& each : whole.frames) {
    ASSERT(each.header.size() + each.message.size() <= framing.bytes_max);
    const base::Bytes again = iso8583::frame(framing, each.header, each.message);
    // The length may not be able to say its own bytes, too: 255 of one byte.
    if (again.empty() && !each.keep_alive) continue;
    const Stream cut_again = cut(framing, again, again.size() + 1);
    ASSERT(cut_again.frames == std::vector<Cut>{each});
  }
  return 0;
}
