// TapConfig: tap.toml as checked structs.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "firmware-gateway/config/dialect_file.hpp"
#include "firmware-gateway/config/tables.hpp"
#include "firmware-gateway/terminal/iso8583/dialect.hpp"
#include "proto/platform/settings.hpp"

namespace config {

struct TapLine {
  struct HostTls {
    std::string ca;
    std::string certificate;
    std::string key;
  };
  std::string name;
  std::string listen;
  // A name or an address.
  std::string host;
  std::uint16_t port = 0;
  std::string dialect_name;
  std::shared_ptr<const iso8583::Dialect> dialect;
  std::chrono::milliseconds host_timeout{0};
  // Of tap::compared_names.
  std::vector<std::string> host_sets;
  std::size_t max_connections = 0;
  // Both or neither.
  std::optional<Tls> tls;
  std::optional<HostTls> host_tls;
};

struct TapConfig {
  std::vector<TapLine> lines;
  std::string socket;
  std::size_t memory_bytes = 0;
  std::string admin;
  std::chrono::milliseconds unhealthy_after{0};
  Log log;
};

struct TapReading {
  std::optional<TapConfig> config;
  std::vector<platform::SettingsError> errors;
  std::vector<std::string> warnings;
};

// By a shipped dialect's name, or a file's: load_dialect().
using FindDialect = std::function<DialectReading(const std::string&)>;

[[nodiscard]] TapReading load_tap(const std::string& path, const FindDialect& dialect);
// The same from text; `file` is for messages.
[[nodiscard]] TapReading parse_tap(std::string_view text, const std::string& file, const FindDialect& dialect);

}  // namespace config
