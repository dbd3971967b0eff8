#include "cloud-bridge/stream/offsets.hpp"

#include <charconv>
#include <system_error>

namespace stream {
namespace {

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size() && text.front() != '-';
}

bool add(Offsets& offsets, std::string_view part) {
  const std::size_t colon = part.find(':');
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  return colon != std::string_view::npos && read_number(part.substr(0, colon), partition) &&
         read_number(part.substr(colon + 1), offset) && offsets.emplace(partition, offset).second;
}

}  // namespace

std::optional<Offsets> parse_offsets(std::string_view text) {
  Offsets offsets;
  if (text.empty() || text == "0") return offsets;
  for (;;) {
    const std::size_t comma = text.find(',');
    if (!add(offsets, text.substr(0, comma))) return std::nullopt;
    if (comma == std::string_view::npos) return offsets;
    text.remove_prefix(comma + 1);
  }
}

std::string to_text(const Offsets& offsets) {
  std::string text;
  for (const auto& [partition, offset] : offsets) {
    if (!text.empty()) text += ',';
    text += std::to_string(partition) + ':' + std::to_string(offset);
  }
  return text.empty() ? "0" : text;
}

}  // namespace stream
