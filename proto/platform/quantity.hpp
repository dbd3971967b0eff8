// Sizes ("512MiB") and durations ("30s") as people write them. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace platform {

// Digits and one of KiB, MiB, GiB; nothing for anything else and for what 64 bits cannot hold.
[[nodiscard]] std::optional<std::uint64_t> parse_bytes(std::string_view text);
// Digits and one of ms, s, min, h, d.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// In the largest unit without a remainder: 1536 KiB is "1536KiB", 2048 KiB is "2MiB"; below or between KiB in "bytes".
[[nodiscard]] std::string to_text(std::uint64_t bytes);
[[nodiscard]] std::string to_text(std::chrono::milliseconds duration);

}  // namespace platform
