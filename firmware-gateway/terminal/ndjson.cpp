#include "firmware-gateway/terminal/ndjson.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "firmware-gateway/terminal/json_event.hpp"
#include "proto/base/assert.hpp"

namespace terminal {
namespace {

Refusal too_large(std::string message) { return {Reason::too_large, {}, std::move(message), {}}; }

std::string_view take_line(std::string_view& rest) {
  const std::size_t end = std::min(rest.find('\n'), rest.size());
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::size_t count_lines(std::string_view body) {
  const auto ends = static_cast<std::size_t>(std::ranges::count(body, '\n'));
  return ends + (body.empty() || body.ends_with('\n') ? 0 : 1);
}

}  // namespace

base::Result<BatchLines, Refusal> read_batch(std::string_view body) {
  if (body.size() > batch_bytes_max)
    return base::fail(too_large(fmt::format("a batch may have at most {} bytes; nothing was stored", batch_bytes_max)));
  const std::size_t count = count_lines(body);
  if (count > batch_lines_max)
    return base::fail(too_large(fmt::format("a batch may have at most {} lines; nothing was stored", batch_lines_max)));
  if (count == 0) return base::fail(redact::invalid_json("the batch has no line"));
  BatchLines lines;
  lines.reserve(count);
  while (!body.empty()) lines.push_back(read_json_event(take_line(body)));
  return lines;
}

void BatchAnswer::set(std::size_t line, const Answer& answer) {
  ASSERT(line < lines_.size() && lines_[line].empty());
  lines_[line] = to_json(answer, true);
  --missing_;
}

HttpAnswer BatchAnswer::to_http() const {
  ASSERT(complete());
  return {.status = 200,
          .content_type = "application/x-ndjson",
          .body = fmt::format("{}\n", fmt::join(lines_, "\n")),
          .headers = {}};
}

}  // namespace terminal
