// What a Sensitive holds, for tests alone.
#pragma once

#include <string_view>

#include "firmware-gateway/redact/sensitive.hpp"

namespace redact {

struct RevealedForTests {
  [[nodiscard]] static std::string_view text(const Sensitive& field) { return field.text_; }
};

}  // namespace redact
