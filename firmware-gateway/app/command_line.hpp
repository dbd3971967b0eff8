// The command line: what the user wants. The only door to CLI11.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

namespace app {

enum class Action : std::uint8_t { run, check, status, journal_verify, journal_salvage, journal_export };

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

}  // namespace app
