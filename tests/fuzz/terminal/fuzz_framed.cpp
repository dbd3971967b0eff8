// The framed protocol, from the bytes to the record: cut into frames in two ways, which must agree; nothing may crash,
// and what the guard lets through holds no card number.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "firmware-gateway/terminal/framed.hpp"
#include "proto/base/assert.hpp"
#include "tests/fuzz/terminal/whole_way.hpp"

namespace {

std::vector<std::string> frames(std::string_view bytes, std::size_t step) {
  terminal::FrameReader reader;
  std::vector<std::string> all;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    reader.add(bytes.substr(at, step));
    for (auto next = reader.next(); const auto* frame = std::get_if<terminal::FrameReader::Frame>(&next);
         next = reader.next())
      all.emplace_back(frame->payload);
  }
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const auto whole = frames(text, size == 0 ? 1 : size);
  ASSERT(whole == frames(text, 3));
  for (const std::string& frame : whole) fuzz::follow(terminal::read_submit(frame));
  fuzz::follow(terminal::read_submit(text));
  return 0;
}
