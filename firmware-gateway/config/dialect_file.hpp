// Dialects of ISO 8583 from TOML (terminal/iso8583/README.md describes the language): whole and checked, or errors that
// say file, line, key, what is wrong and what is allowed.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "firmware-gateway/terminal/iso8583/dialect.hpp"
#include "proto/platform/settings.hpp"

namespace config {

struct DialectReading {
  // None when there are errors.
  std::optional<iso8583::Dialect> dialect;
  std::vector<platform::SettingsError> errors;
};

// `file` is for messages, and where other files that it extends are looked for.
[[nodiscard]] DialectReading parse_dialect(std::string_view toml, const std::string& file);

// One of those that come with the program by its name, or else a file. A name that is neither (no '/', no ".toml") is
// told the names there are.
[[nodiscard]] DialectReading load_dialect(const std::string& name_or_file);

}  // namespace config
