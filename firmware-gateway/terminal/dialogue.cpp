#include "firmware-gateway/terminal/dialogue.hpp"

#include "firmware-gateway/redact/unicode.hpp"
#include "proto/base/bytes.hpp"

namespace terminal {

void add_to(Shape& shape, const std::string& name, std::string_view value) {
  if (redact::is_printable(value)) {
    shape.emplace(name, value);
  } else {
    shape.emplace(name + "_hex", base::to_hex(value));
  }
}

}  // namespace terminal
