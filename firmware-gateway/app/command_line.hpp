// The command line: what the user wants. The only door to CLI11.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

namespace app {

enum class Action : std::uint8_t {
  run,
  check,
  status,
  journal_verify,
  journal_salvage,
  journal_export,
  iso8583_decode,
  iso8583_dialects,
  iso8583_check,
};
// Those that need no gateway.toml.
[[nodiscard]] constexpr bool is_for_iso8583(Action action) { return action >= Action::iso8583_decode; }

struct Command {
  Action action{};
  std::string config;
  // A dialect's name or file.
  std::string dialect;
  // The message, or "-" for standard input.
  std::string hex;
  bool framed = false;
  bool json = false;
};

// What to print instead, and the exit status: help (0) or wrong use (2).
struct Message {
  std::string text;
  int exit_status = 0;
};

[[nodiscard]] std::variant<Command, Message> parse_command_line(int argc, const char* const* argv);

}  // namespace app
