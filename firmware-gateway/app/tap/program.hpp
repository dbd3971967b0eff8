// tillstream-tap: what its command line asks for, and what each command does.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "firmware-gateway/config/tap_config.hpp"

namespace tap_app {

inline constexpr int exit_done = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_wrong_use = 2;
inline constexpr int exit_config = 78;

inline constexpr const char* version = TILLSTREAM_VERSION;

enum class Action : std::uint8_t { run, check, status };

struct Command {
  Action action{};
  std::string config;
};

// What to print instead, and the exit status: help (0) or wrong use (2).
struct Message {
  std::string text;
  int exit_status = 0;
};

[[nodiscard]] std::variant<Command, Message> parse_command_line(int argc, const char* const* argv);

// Each returns the exit status.
[[nodiscard]] int run(const config::TapConfig& config);
[[nodiscard]] int check(const config::TapReading& reading);
[[nodiscard]] int status(const config::TapConfig& config);

}  // namespace tap_app
