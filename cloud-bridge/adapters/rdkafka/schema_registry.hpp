// The schema registry: tells it the schema of the events' values and learns the id that stands before each of them.
//
// Confluent's API, which Apicurio, Karapace and Redpanda speak, too. Subject: <events topic>-value, as sinks look for
// it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>

namespace kafka {

struct RegistrySettings {
  std::string url;  // without a slash at its end
  std::string ca;   // PEM; empty: the system's store
  std::string username;
  std::string password_file;
  std::string topic;
  std::chrono::milliseconds limit{10'000};
};

struct Registered {
  std::uint32_t schema_id = 0;
};
// It will not be otherwise by waiting: another schema stands there that ours does not follow, no right, no such API.
struct RegistryRefuses {
  std::string reason;
};
struct RegistryUnreachable {
  std::string reason;
};
using RegistryAnswer = std::variant<Registered, RegistryRefuses, RegistryUnreachable>;

// Registers event.proto, or finds it registered: the id is the same then. Blocks for up to the limit.
[[nodiscard]] RegistryAnswer register_event_schema(const RegistrySettings& settings);

}  // namespace kafka
