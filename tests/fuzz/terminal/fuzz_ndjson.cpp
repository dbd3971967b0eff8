// The body of POST /v1/events/batch: as many results as lines.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "firmware-gateway/terminal/ndjson.hpp"
#include "proto/base/assert.hpp"
#include "tests/fuzz/terminal/whole_way.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(bytes), size);
  auto lines = terminal::read_batch(body);
  if (!lines) return 0;
  const auto ends = static_cast<std::size_t>(std::ranges::count(body, '\n'));
  ASSERT(lines->size() == ends + (body.ends_with('\n') ? 0 : 1));
  terminal::BatchAnswer answer(lines->size());
  for (std::size_t i = 0; i < lines->size(); ++i) answer.set(i, fuzz::follow(std::move((*lines)[i])));
  ASSERT(answer.complete());
  const auto http = answer.to_http();
  ASSERT(static_cast<std::size_t>(std::ranges::count(http.body, '\n')) == lines->size());
  return 0;
}
