// The body of POST /v1/events, from the bytes to the record.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "firmware-gateway/terminal/json_event.hpp"
#include "tests/fuzz/terminal/whole_way.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  fuzz::follow(terminal::read_json_event(std::string_view(reinterpret_cast<const char*>(bytes), size)));
  return 0;
}
