// UUIDs as text, and the gateway's own event ids: UUIDv7 (RFC 9562).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "proto/base/bytes.hpp"
#include "proto/base/instant.hpp"
#include "proto/base/random.hpp"

namespace base {

using Uuid = Id<struct UuidTag>;

// "0192f3c4-5b6a-7c8d-9e0f-112233445566".
[[nodiscard]] std::string to_text(const Uuid& uuid);
// The same from the 16 bytes that a record holds; "" for any other length.
[[nodiscard]] std::string uuid_text(BytesView bytes);
// Reads the text form, either case.
[[nodiscard]] std::optional<Uuid> parse_uuid(std::string_view text);

// Makes UUIDv7s that grow strictly, within a millisecond and when the clock steps back, too: then the time part stands
// still and the 74 random bits count up by a random step.
class UuidClock {
 public:
  explicit UuidClock(Random& random) : random_(random) {}

  [[nodiscard]] Uuid next(UtcTime now);

 private:
  void reseed();
  // Adds a random step; false when the random bits are used up.
  [[nodiscard]] bool advance();

  Random& random_;
  std::uint64_t milliseconds_ = 0;
  std::uint16_t high_ = 0;  // 12 bits
  std::uint64_t low_ = 0;   // 62 bits
};

}  // namespace base
