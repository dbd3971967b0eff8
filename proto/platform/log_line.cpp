#include "proto/platform/log_line.hpp"

#include <array>
#include <cstdint>

#include "proto/base/utf8.hpp"

namespace platform::log {
namespace {

bool is_control(char c) { return static_cast<std::uint8_t>(c) < 0x20U || c == 0x7F; }

std::string escaped_text(std::string_view message) {
  std::string line;
  line.reserve(message.size());
  for (const char c : message) {
    if (is_control(c)) {
      line += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(c));
    } else {
      line.push_back(c);
    }
  }
  return line;
}

void append_json(std::string& line, std::string_view sequence) {
  const char c = sequence.front();
  if (sequence.size() > 1) {
    line += sequence;
  } else if (is_control(c)) {
    line += fmt::format("\\u{:04x}", static_cast<std::uint8_t>(c));
  } else {
    if (c == '"' || c == '\\') line.push_back('\\');
    line.push_back(c);
  }
}

std::string escaped_json(std::string_view message) {
  std::string line;
  line.reserve(message.size());
  while (!message.empty()) {
    const std::size_t length = base::utf8_length(message);
    if (length == 0) {
      line += "\xEF\xBF\xBD";
      message.remove_prefix(1);
      continue;
    }
    append_json(line, message.substr(0, length));
    message.remove_prefix(length);
  }
  return line;
}

// syslog's severities.
int priority(Level level) {
  static constexpr std::array kPriorities = {3, 4, 6, 7};
  return kPriorities.at(static_cast<std::size_t>(level));
}

}  // namespace

std::string to_line(LineStyle style, Level level, std::string_view message) {
  switch (style) {
    case LineStyle::text:
      return fmt::format("{:<5} {}", to_word(level), escaped_text(message));
    case LineStyle::json:
      return fmt::format(R"("level":"{}","message":"{}")", to_word(level), escaped_json(message));
    case LineStyle::journal:
      return fmt::format("<{}>{}", priority(level), escaped_text(message));
  }
  return {};
}

}  // namespace platform::log
