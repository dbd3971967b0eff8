// Any bytes as a journal's record, for an export: always one line of JSON.
#include <algorithm>
#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <string>

#include "firmware-gateway/status/event_line.hpp"
#include "proto/base/assert.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::BytesView record(size == 0 ? "" : reinterpret_cast<const char*>(data), size);
  const std::string line = status::event_line({.row = 1, .epoch = "ab", .seq = 1, .committed = true}, record);
  ASSERT(line.ends_with('\n') && std::ranges::count(line, '\n') == 1);
  const auto members = boost::json::parse(line).as_object();
  ASSERT(members.at("row").as_int64() == 1);
  ASSERT(members.contains("record") || members.contains("schema_version"));
  return 0;
}
