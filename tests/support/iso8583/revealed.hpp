// All that a message holds, for tests alone.
#pragma once

#include <map>
#include <string>

#include "firmware-gateway/terminal/iso8583/message.hpp"
#include "tests/support/redact/revealed.hpp"

namespace test {

[[nodiscard]] inline std::map<unsigned, std::string> revealed_fields(const iso8583::Message& message) {
  std::map<unsigned, std::string> fields;
  for (unsigned n = message.fields().next(0); n != 0; n = message.fields().next(n))
    fields[n] = redact::RevealedForTests::text(message.sensitive(n));
  return fields;
}

}  // namespace test
