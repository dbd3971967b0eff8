#include "proto/platform/log_line.hpp"

#include <array>
#include <cstdint>

namespace platform::log {
namespace {

bool is_continuation(char c) { return (static_cast<std::uint8_t>(c) & 0xC0U) == 0x80U; }

// Bytes of the UTF-8 sequence at the start of `text`: 1 to 4, or 0 when it is none (overlong forms and surrogates are
// none).
std::size_t utf8_length(std::string_view text) {
  const auto lead = static_cast<std::uint8_t>(text.front());
  if (lead < 0x80U) return 1;
  const std::size_t length = lead >= 0xC2U && lead <= 0xDFU   ? 2
                             : (lead & 0xF0U) == 0xE0U        ? 3
                             : lead >= 0xF0U && lead <= 0xF4U ? 4
                                                              : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (!is_continuation(text[i])) return 0;
  }
  const auto second = static_cast<std::uint8_t>(text[1]);
  const bool wrong = (lead == 0xE0U && second < 0xA0U) || (lead == 0xEDU && second > 0x9FU) ||
                     (lead == 0xF0U && second < 0x90U) || (lead == 0xF4U && second > 0x8FU);
  return wrong ? 0 : length;
}

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
    const std::size_t length = utf8_length(message);
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
