// A batch over HTTP: one event a line, one result a line.
//
// Lines end with LF or CR LF; the last one may end with the text. An empty line is a line: it gets its own 400, so that
// results and lines keep the same numbers. A line that is too large or wrong concerns that line alone; a batch that is
// too large (4 MiB, 1,000 lines) or has no line is refused whole, and nothing of it is stored.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "firmware-gateway/redact/card_guard.hpp"
#include "firmware-gateway/terminal/answer.hpp"
#include "firmware-gateway/terminal/http.hpp"
#include "proto/base/result.hpp"

namespace terminal {

inline constexpr std::size_t batch_bytes_max = 4 * 1024 * 1024;
inline constexpr std::size_t batch_lines_max = 1000;

using BatchLines = std::vector<base::Result<redact::Draft, Refusal>>;

[[nodiscard]] base::Result<BatchLines, Refusal> read_batch(std::string_view body);

// Gathers the answers of a batch's lines, which come in any order.
class BatchAnswer {
 public:
  explicit BatchAnswer(std::size_t lines) : lines_(lines), missing_(lines) {}

  // Each line is answered once.
  void set(std::size_t line, const Answer& answer);
  [[nodiscard]] bool complete() const { return missing_ == 0; }
  // 200, application/x-ndjson. Only when complete.
  [[nodiscard]] HttpAnswer to_http() const;

 private:
  std::vector<std::string> lines_;
  std::size_t missing_;
};

}  // namespace terminal
