#include "firmware-gateway/terminal/iso8583/framing.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "proto/base/bytes.hpp"
#include "tests/support/iso8583/vectors.hpp"

namespace {

using iso8583::FrameCutter;
using iso8583::FrameFault;
using iso8583::FrameHeader;
using iso8583::FrameLength;
using iso8583::Framing;

std::string bytes(std::string_view hex) { return base::from_hex(hex).value(); }

// What a cutter gives for a stream that comes in pieces of so many bytes: "header|message" each, "keep-alive", or the
// fault.
std::vector<std::string> cut(const Framing& framing, std::string_view stream, std::size_t piece) {
  std::vector<std::string> frames;
  FrameCutter cutter(framing);
  while (!stream.empty()) {
    cutter.append(stream.substr(0, piece));
    stream.remove_prefix(std::min(piece, stream.size()));
    while (true) {
      const auto frame = cutter.next();
      if (!frame) {
        frames.push_back("fault: " + std::string(iso8583::words_of(frame.error())));
        return frames;
      }
      if (!*frame) break;
      frames.push_back((*frame)->keep_alive ? "keep-alive"
                                            : base::to_hex((*frame)->header) + "|" + std::string((*frame)->message));
    }
  }
  if (cutter.amid_frame()) frames.emplace_back("amid");
  return frames;
}

void check_cut(const Framing& framing, const std::string& stream, const std::vector<std::string>& frames) {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}, stream.size()}) {
    CAPTURE(piece);
    CHECK(cut(framing, stream, piece) == frames);
  }
}

const std::vector<std::string> ab_and_xyz = {"|ab", "|xyz"};

}  // namespace

TEST_CASE("framing: every kind of length is read, in whatever pieces it comes, and written") {
  struct Kind {
    Framing framing;
    std::string stream;
  };
  const std::vector<Kind> kinds = {
      {{.length = FrameLength::binary, .length_bytes = 2}, bytes("0002") + "ab" + bytes("0003") + "xyz"},
      {{.length = FrameLength::binary, .length_bytes = 3}, bytes("000002") + "ab" + bytes("000003") + "xyz"},
      {{.length = FrameLength::binary, .length_bytes = 4}, bytes("00000002") + "ab" + bytes("00000003") + "xyz"},
      {{.length = FrameLength::binary, .includes_self = true}, bytes("0004") + "ab" + bytes("0005") + "xyz"},
      {{.length = FrameLength::binary, .extra_bytes = 2}, bytes("00020000") + "ab" + bytes("00030000") + "xyz"},
      {{.length = FrameLength::bcd}, bytes("0002") + "ab" + bytes("0003") + "xyz"},
      {{.length = FrameLength::ascii, .length_bytes = 4}, "0002ab0003xyz"},
      {{.length = FrameLength::ascii, .length_bytes = 4, .includes_self = true}, "0006ab0007xyz"},
      {{.length = FrameLength::hex, .length_bytes = 4}, "0002ab0003xyz"},
      {{.length = FrameLength::etx, .length_bytes = 0}, "ab\x03xyz\x03"}};
  for (const Kind& kind : kinds) {
    CAPTURE(kind.stream);
    check_cut(kind.framing, kind.stream, ab_and_xyz);
    CHECK(iso8583::frame(kind.framing, {}, "ab") + iso8583::frame(kind.framing, {}, "xyz") == kind.stream);
  }
}

TEST_CASE("framing: lengths of more than one digit are what they say") {
  const std::string message(123, 'm');
  for (const auto& [length, digits] :
       std::vector<std::pair<FrameLength, std::string>>{{FrameLength::binary, bytes("007b")},
                                                        {FrameLength::bcd, bytes("0123")},
                                                        {FrameLength::ascii, "0123"},
                                                        {FrameLength::hex, "007B"}}) {
    const Framing framing{.length = length, .length_bytes = static_cast<std::uint8_t>(digits.size())};
    CHECK(iso8583::frame(framing, {}, message) == digits + message);
    check_cut(framing, digits + message, {"|" + message});
  }
  check_cut({.length = FrameLength::hex, .length_bytes = 4}, "007b" + message, {"|" + message});
}

TEST_CASE("framing: a TPDU is set apart, and goes back with the NIIs exchanged or as it came") {
  Framing framing{.header = FrameHeader::tpdu};
  const std::string header = bytes("6000010203");
  check_cut(framing, bytes("0007") + header + "ab", {"6000010203|ab"});
  CHECK(iso8583::frame_answer(framing, header, "ab") == bytes("0007") + bytes("6002030001") + "ab");
  framing.swaps = false;
  CHECK(iso8583::frame_answer(framing, header, "ab") == bytes("0007") + header + "ab");
}

TEST_CASE("framing: a fixed header is set apart and goes back as it came") {
  const Framing framing{.header = FrameHeader::fixed, .header_bytes = 3};
  check_cut(framing, bytes("0005") + "hdrab", {"686472|ab"});
  CHECK(iso8583::frame_answer(framing, "hdr", "xyz") == bytes("0006") + "hdrxyz");
}

TEST_CASE("framing: VisaNet's header says its own length; an answer's says the answer's, with the stations exchanged") {
  const Framing framing = test::shipped("visa-base1").framing;
  const std::string header = bytes("1601020018111111222222") + std::string(11, '\0');
  REQUIRE(header.size() == 22);
  check_cut(framing, bytes("00180000") + header + "ab", {base::to_hex(header) + "|ab"});
  const std::string answer = iso8583::frame_answer(framing, header, "xyz");
  CHECK(base::to_hex(answer.substr(0, 15)) == "001900001601020019222222111111");
}

TEST_CASE("framing: length 0 keeps the line open, where the dialect has it") {
  Framing framing;
  check_cut(framing, bytes("0000") + bytes("0002") + "ab", {"keep-alive", "|ab"});
  CHECK(iso8583::keep_alive(framing) == bytes("0000"));
  framing.includes_self = true;
  check_cut(framing, bytes("0002") + bytes("0000") + bytes("0004") + "ab", {"keep-alive", "keep-alive", "|ab"});
  CHECK(iso8583::keep_alive(framing) == bytes("0002"));
  framing.keep_alive = false;
  check_cut(framing, bytes("0002"), {"fault: the frame is empty, and the dialect has no keep-alive"});
  check_cut({.length = FrameLength::ascii, .length_bytes = 4}, "0000", {"keep-alive"});
  check_cut({.length = FrameLength::etx, .length_bytes = 0}, "\x03", {"keep-alive"});
}

TEST_CASE("framing: what cannot be a frame is a fault, told before the frame is there") {
  const Framing framing{.bytes_max = 100};
  CHECK(cut(framing, bytes("0065"), 2) ==
        std::vector<std::string>{"fault: the frame is larger than the dialect's framing.max"});
  CHECK(cut({.length = FrameLength::binary, .length_bytes = 4}, bytes("ffffffff"), 4).front().starts_with("fault"));
  CHECK(cut({.length = FrameLength::etx, .length_bytes = 0, .bytes_max = 16}, std::string(17, 'm'), 17)
            .front()
            .starts_with("fault"));
  CHECK(cut({.length = FrameLength::ascii, .length_bytes = 4}, "00x2", 4).front().starts_with("fault"));
  CHECK(cut({.length = FrameLength::bcd}, bytes("000a"), 2).front().starts_with("fault"));
  CHECK(cut({.length = FrameLength::hex, .length_bytes = 4}, "00G2", 4).front().starts_with("fault"));
  CHECK(cut({.includes_self = true}, bytes("0001"), 2).front().starts_with("fault"));
  CHECK(cut({.header = FrameHeader::tpdu}, bytes("000460000102"), 6) ==
        std::vector<std::string>{"fault: the frame ends before its header does"});
  CHECK(cut({.header = FrameHeader::visanet}, bytes("0002") + bytes("1600"), 4).front().starts_with("fault"));
  CHECK(cut({.header = FrameHeader::visanet}, bytes("0002") + bytes("0000"), 4).front().starts_with("fault"));
}

TEST_CASE("framing: a message longer than its length can say is not framed") {
  CHECK(iso8583::frame({.length = FrameLength::ascii, .length_bytes = 4}, {}, std::string(10'000, 'm')).empty());
  CHECK(iso8583::frame({.length = FrameLength::bcd}, {}, std::string(10'000, 'm')).empty());
}

TEST_CASE("framing: the framed vectors give the message that the collection says") {
  std::size_t framed = 0;
  for (const test::IsoVector& vector : test::iso_vectors()) {
    if (vector.framed == vector.body) continue;
    if (vector.dialect != "pos-bcd-tpdu" && vector.dialect != "visa-base1" && vector.dialect != "mastercard-ebcdic")
      continue;
    CAPTURE(vector.name);
    FrameCutter cutter(test::dialect_of(vector).framing);
    cutter.append(vector.framed);
    const auto frame = cutter.next();
    REQUIRE(frame.has_value());
    REQUIRE(frame->has_value());
    CHECK(base::to_hex((*frame)->message) == base::to_hex(vector.body));
    const std::string header((*frame)->header);
    CHECK(iso8583::frame(test::dialect_of(vector).framing, header, vector.body) == vector.framed);
    ++framed;
  }
  CHECK(framed >= 9);
}
