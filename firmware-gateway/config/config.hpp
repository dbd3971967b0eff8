// Config: gateway.toml as checked structs. Everything that can be wrong is found here, before the journal is touched.
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
#include "firmware-gateway/ingest/terminals.hpp"
#include "firmware-gateway/ingest/time_zones.hpp"
#include "firmware-gateway/redact/card_guard.hpp"
#include "firmware-gateway/terminal/iso8583/dialect.hpp"
#include "proto/base/hasher.hpp"
#include "proto/platform/settings.hpp"

namespace config {

// A door for terminals that report by ISO 8583, with the gateway as their host.
struct Iso8583Door {
  std::string name;
  Listen listen;
  std::string dialect_name;
  std::shared_ptr<const iso8583::Dialect> dialect;

  // A dialect's file may have changed under its name: that is found at the next start.
  friend bool operator==(const Iso8583Door& a, const Iso8583Door& b) {
    return a.name == b.name && a.listen == b.listen && a.dialect_name == b.dialect_name;
  }
};

struct Journal {
  std::uint64_t quota = 0;
  std::uint64_t reserve = 0;
  std::chrono::seconds retention{0};

  friend bool operator==(const Journal&, const Journal&) = default;
};

struct Card {
  redact::TokenKeys token_keys;
  redact::AcceptCardNumbers accept = redact::AcceptCardNumbers::loopback;
};

struct Uplink {
  std::string host;
  std::uint16_t port = 0;
  bool tls = false;
  std::string ca;
  std::string certificate;
  std::string key;
  std::string username;
  std::string password_file;
  std::uint64_t window_events = 0;
  std::uint64_t window_bytes = 0;
  std::uint64_t batch_events = 0;
  std::chrono::milliseconds ack_timeout{0};

  friend bool operator==(const Uplink&, const Uplink&) = default;
};

struct Admin {
  Listen listen;
  // Asked for as "Authorization: Bearer …" when there is one.
  std::string token;
  std::chrono::milliseconds unhealthy_after{0};
};

struct Config {
  std::string gateway_id;
  std::string state_dir;
  Journal journal;
  std::size_t max_connections = 0;
  std::chrono::milliseconds reference_reuse{0};
  ingest::Terminals terminals;
  Listen http;
  Listen framed;
  std::vector<Iso8583Door> iso8583;
  // Where tillstream-tap brings its copies; empty: nowhere.
  std::string tap_socket;
  Card card;
  Uplink uplink;
  Admin admin;
  Log log;
};

// A configuration, or what is wrong with it. Warnings are for a technician to think about.
struct Reading {
  std::optional<Config> config;
  std::vector<platform::SettingsError> errors;
  std::vector<std::string> warnings;
};

// What reading needs to check names and keys.
struct Needs {
  const ingest::TimeZones& zones;
  const base::Hasher& hasher;
  // By a shipped dialect's name, or a file's: load_dialect().
  std::function<DialectReading(const std::string&)> dialect;
};

[[nodiscard]] Reading load(const std::string& path, const Needs& needs);
// The same from text: for tests and the fuzzer. `file` is for messages.
[[nodiscard]] Reading parse(std::string_view text, const std::string& file, const Needs& needs);

// What only a restart can change, by its keys: a SIGHUP with another value for one of these is refused.
[[nodiscard]] std::vector<std::string_view> needs_restart(const Config& before, const Config& after);

}  // namespace config
