// Logging to stderr, as text or JSON lines. The only door to spdlog. Usable from any thread.
//
//   text  2026-11-24T21:23:51.042Z info  listening on 127.0.0.1:8801
//   json  {"time":"2026-11-24T21:23:51.042Z","level":"info","message":"listening on 127.0.0.1:8801"}
//
// When stderr is systemd's journal, text lines carry "<6>"-like priorities instead of time and level: the journal has
// its own. A message is always one line: control characters in it are escaped, so that foreign text cannot forge a
// line.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace platform::log {

enum class Level { error, warn, info, debug };
enum class Format { text, json };

// "error", "warn", "info", "debug"; for the setting and for the line.
[[nodiscard]] std::string_view to_word(Level level);

// Call once, before the first line; again to change level or format (SIGHUP). Without it: info, text.
void configure(Level level, Format format);
[[nodiscard]] bool enabled(Level level) noexcept;
void write(Level level, std::string_view line);
// As write(), but thinned out by key (see LineLimiter); a line that passes says how many were held back.
void write_limited(std::string_view key, Level level, std::string_view line);

template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::error)) write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::warn)) write(Level::warn, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::info)) write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::debug)) write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}

// For lines that an outage would repeat: limited("uplink.connect", Level::warn, "cannot connect to {}: {}", …). The key
// is a constant of the place in the code, never foreign text.
template <class... Args>
void limited(std::string_view key, Level level, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(level)) write_limited(key, level, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace platform::log
