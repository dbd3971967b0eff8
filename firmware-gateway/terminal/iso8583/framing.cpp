#include "firmware-gateway/terminal/iso8583/framing.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "firmware-gateway/redact/secret.hpp"
#include "proto/base/assert.hpp"

namespace iso8583 {
namespace {

constexpr char etx = '\x03';
constexpr std::size_t tpdu_bytes = 5;
constexpr std::string_view hex_digits = "0123456789ABCDEF";

struct Digit {
  unsigned base;
  unsigned value;  // base or more: no digit
};

unsigned hex_value(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  return 16;
}

// One byte of a length: what it multiplies those before it by, and adds.
std::optional<Digit> digit_of(FrameLength length, char c) {
  const auto byte = static_cast<std::uint8_t>(c);
  switch (length) {
    case FrameLength::binary:
      return Digit{256, byte};
    case FrameLength::bcd:
      if ((byte >> 4U) > 9 || (byte & 15U) > 9) return std::nullopt;
      return Digit{100, 10U * (byte >> 4U) + (byte & 15U)};
    case FrameLength::ascii:
      if (c < '0' || c > '9') return std::nullopt;
      return Digit{10, static_cast<unsigned>(c - '0')};
    case FrameLength::hex:
      if (hex_value(c) > 15) return std::nullopt;
      return Digit{16, hex_value(c)};
    case FrameLength::none:
    case FrameLength::etx:
      break;
  }
  return std::nullopt;
}

std::optional<std::size_t> read_length(const Framing& framing, std::string_view bytes) {
  std::size_t length = 0;
  for (const char byte : bytes) {
    const auto digit = digit_of(framing.length, byte);
    if (!digit) return std::nullopt;
    length = length * digit->base + digit->value;
  }
  return length;
}

// False when it has more digits than there is room for.
bool append_length(const Framing& framing, std::size_t length, base::Bytes& out) {
  const std::size_t at = out.size();
  out.append(framing.length_bytes, '\0');
  for (std::size_t i = framing.length_bytes; i-- > 0;) {
    char& byte = out[at + i];
    switch (framing.length) {
      case FrameLength::binary:
        byte = static_cast<char>(length & 0xFFU);
        length >>= 8U;
        break;
      case FrameLength::bcd:
        byte = static_cast<char>(((length / 10 % 10) << 4U) | length % 10);
        length /= 100;
        break;
      case FrameLength::ascii:
        byte = static_cast<char>('0' + length % 10);
        length /= 10;
        break;
      case FrameLength::hex:
        byte = hex_digits[length % 16];
        length /= 16;
        break;
      case FrameLength::none:
      case FrameLength::etx:
        ASSERT(false);
    }
  }
  return length == 0;
}

// Bytes of the header that this frame's content begins with; nothing when they are not all there.
std::optional<std::size_t> header_bytes(const Framing& framing, std::string_view content) {
  std::size_t bytes = 0;
  switch (framing.header) {
    case FrameHeader::none:
      return 0;
    case FrameHeader::fixed:
      bytes = framing.header_bytes;
      break;
    case FrameHeader::tpdu:
      bytes = tpdu_bytes;
      break;
    case FrameHeader::visanet:
      if (content.empty() || content.front() == '\0') return std::nullopt;
      bytes = static_cast<std::uint8_t>(content.front());
      break;
  }
  if (bytes > content.size()) return std::nullopt;
  return bytes;
}

// The header of an answer to one that came with `header`.
std::string answered(const Framing& framing, std::string_view request, std::size_t message_bytes) {
  constexpr std::size_t visanet_length_at = 3;
  constexpr std::size_t visanet_stations_at = 5;
  constexpr std::size_t station_bytes = 3;
  std::string header(request);
  const auto exchange = [&header](std::size_t at, std::size_t bytes) {
    if (header.size() < at + 2 * bytes) return;
    std::swap_ranges(header.begin() + at, header.begin() + at + bytes, header.begin() + at + bytes);
  };
  if (framing.header == FrameHeader::tpdu && framing.swaps) exchange(1, 2);
  if (framing.header == FrameHeader::visanet) {
    if (framing.swaps) exchange(visanet_stations_at, station_bytes);
    if (header.size() >= visanet_stations_at) {
      const std::size_t bytes = header.size() + message_bytes;
      header[visanet_length_at] = static_cast<char>((bytes >> 8U) & 0xFFU);
      header[visanet_length_at + 1] = static_cast<char>(bytes & 0xFFU);
    }
  }
  return header;
}

}  // namespace

std::string_view words_of(FrameFault fault) {
  switch (fault) {
    case FrameFault::length:
      return "the frame's length is no number, or less than its own bytes";
    case FrameFault::empty:
      return "the frame is empty, and the dialect has no keep-alive";
    case FrameFault::too_large:
      return "the frame is larger than the dialect's framing.max";
    case FrameFault::header:
      return "the frame ends before its header does";
  }
  return "";
}

FrameCutter::~FrameCutter() { redact::wipe(bytes_.get(), capacity_); }

void FrameCutter::forget(std::size_t bytes) {
  redact::wipe(bytes_.get() + begin_, bytes);
  begin_ += bytes;
  if (begin_ == end_) begin_ = end_ = 0;
}

void FrameCutter::append(base::BytesView bytes) {
  forget(std::exchange(given_, 0));
  if (end_ + bytes.size() > capacity_) {
    const std::size_t capacity = std::max(end_ - begin_ + bytes.size(), std::size_t{1024});
    auto grown = std::make_unique_for_overwrite<char[]>(capacity);
    std::ranges::copy(kept(), grown.get());
    redact::wipe(bytes_.get(), capacity_);
    bytes_ = std::move(grown);
    capacity_ = capacity;
    end_ -= std::exchange(begin_, 0);
  }
  std::ranges::copy(bytes, bytes_.get() + end_);
  end_ += bytes.size();
}

base::Result<std::optional<Frame>, FrameFault> FrameCutter::next() {
  forget(std::exchange(given_, 0));
  if (framing_.length == FrameLength::none || framing_.length == FrameLength::etx) return next_by_end();
  return next_by_length();
}

base::Result<std::optional<Frame>, FrameFault> FrameCutter::next_by_length() {
  const std::size_t before = std::size_t{framing_.length_bytes} + framing_.extra_bytes;
  const std::string_view kept = this->kept();
  if (kept.size() < framing_.length_bytes) return std::nullopt;
  const auto counted = read_length(framing_, kept.substr(0, framing_.length_bytes));
  const std::size_t self = framing_.includes_self ? framing_.length_bytes : 0;
  if (!counted || (*counted != 0 && *counted < self)) return base::fail(FrameFault::length);
  const std::size_t length = *counted == 0 ? 0 : *counted - self;
  if (length > framing_.bytes_max) return base::fail(FrameFault::too_large);
  if (length == 0 && !framing_.keep_alive) return base::fail(FrameFault::empty);
  if (kept.size() < before + length) return std::nullopt;
  given_ = before + length;
  if (length == 0) return Frame{.header = {}, .message = {}, .keep_alive = true};
  return split(kept.substr(before, length));
}

base::Result<std::optional<Frame>, FrameFault> FrameCutter::next_by_end() {
  const std::string_view kept = this->kept();
  const bool whole = framing_.length == FrameLength::none && !kept.empty();
  const std::size_t end = whole ? kept.size() : kept.find(etx);
  if (std::min(end, kept.size()) > framing_.bytes_max) return base::fail(FrameFault::too_large);
  if (end == std::string_view::npos) return std::nullopt;
  given_ = end + (whole ? 0 : 1);
  if (end == 0) {
    if (!framing_.keep_alive) return base::fail(FrameFault::empty);
    return Frame{.header = {}, .message = {}, .keep_alive = true};
  }
  return split(kept.substr(0, end));
}

base::Result<std::optional<Frame>, FrameFault> FrameCutter::split(std::string_view content) const {
  const auto header = header_bytes(framing_, content);
  if (!header) return base::fail(FrameFault::header);
  return Frame{.header = content.substr(0, *header), .message = content.substr(*header), .keep_alive = false};
}

base::Bytes frame(const Framing& framing, std::string_view header, base::BytesView message) {
  const bool has_length = framing.length != FrameLength::none && framing.length != FrameLength::etx;
  base::Bytes out;
  const std::size_t content = header.size() + message.size();
  out.reserve(framing.length_bytes + framing.extra_bytes + content + 1);
  const std::size_t self = framing.includes_self ? framing.length_bytes : 0;
  if (has_length) {
    if (!append_length(framing, content + self, out)) return {};
    out.append(framing.extra_bytes, '\0');
  }
  out += header;
  out += message;
  if (framing.length == FrameLength::etx) out += etx;
  return out;
}

base::Bytes frame_answer(const Framing& framing, std::string_view request_header, base::BytesView message) {
  return frame(framing, answered(framing, request_header, message.size()), message);
}

base::Bytes keep_alive(const Framing& framing) { return frame(framing, {}, {}); }

}  // namespace iso8583
