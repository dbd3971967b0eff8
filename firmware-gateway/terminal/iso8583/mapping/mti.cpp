#include "firmware-gateway/terminal/iso8583/mapping/mti.hpp"

#include <algorithm>

#include "proto/base/assert.hpp"

namespace iso8583 {
namespace {

constexpr unsigned class_max = 8;
constexpr unsigned function_max = 7;

unsigned digit(char c) { return static_cast<unsigned>(c - '0'); }
char character(unsigned digit) { return static_cast<char>('0' + digit); }

}  // namespace

std::optional<Mti> read_mti(std::string_view mti) {
  if (mti.size() != 4 || !std::ranges::all_of(mti, [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
  if (digit(mti[1]) == 0 || digit(mti[1]) > class_max || digit(mti[2]) > function_max) return std::nullopt;
  return Mti{.version = static_cast<std::uint8_t>(digit(mti[0])),
             .message_class = static_cast<MessageClass>(digit(mti[1])),
             .function = static_cast<Function>(digit(mti[2])),
             .origin = static_cast<std::uint8_t>(digit(mti[3]))};
}

std::string response_mti(const Mti& mti) {
  ASSERT(!mti.is_response());
  const unsigned origin = mti.is_repeat() ? mti.origin - 1U : mti.origin;
  return {character(mti.version), character(static_cast<unsigned>(mti.message_class)),
          character(static_cast<unsigned>(mti.function) + 1U), character(origin)};
}

}  // namespace iso8583
