// The dialects that come with the program: dialects/*.toml, as text.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace iso8583 {

struct ShippedDialect {
  std::string_view name;
  std::string_view toml;
};

// In the order of their names.
[[nodiscard]] std::span<const ShippedDialect> shipped_dialects();
// The text of one; nothing when there is none of that name.
[[nodiscard]] std::optional<std::string_view> shipped_dialect(std::string_view name);

}  // namespace iso8583
