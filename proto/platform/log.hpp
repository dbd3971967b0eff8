// Logging to stderr, as text or JSON lines. The only door to spdlog.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace platform::log {

enum class Level { error, warn, info, debug };
enum class Format { text, json };

// Call once, before the first line; again to change level or format (SIGHUP).
void configure(Level level, Format format);
void write(Level level, std::string_view line);

template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::warn, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace platform::log
