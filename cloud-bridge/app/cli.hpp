// The command line of tillstream-bridge.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cloud-bridge/stream/topic_plan.hpp"

namespace app {

// Exit statuses, the same in all our programs.
inline constexpr int exit_done = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_wrong_use = 2;
inline constexpr int exit_bad_config = 78;

enum class Command : std::uint8_t { run, check, tail, status, release, topics, token_key };

struct TokenKeyArguments {
  std::string master;      // a file, 0600
  std::string gateway_id;  // whose key
  std::uint32_t version = 1;
  std::string out;  // a file that is not there yet
};

struct Arguments {
  Command command = Command::run;
  std::string config;
  std::string from = "0";           // tail: a position of the stream; 0 is the beginning of each
  bool follow = false;              // tail
  std::string gateway_id;           // release
  bool create = false;              // topics: make what is missing, then check; else check only
  bool check_only = false;          // topics: said for its own sake
  bool accept_repeats = false;      // topics --create: a new progress topic also beside events
  stream::TopicCounts counts = {};  // topics --create
  TokenKeyArguments token_key;
};

struct ParsedArguments {
  std::optional<Arguments> arguments;  // none: the text was all, leave with `exit_status`
  int exit_status = exit_done;
};

// Prints help and errors itself.
[[nodiscard]] ParsedArguments parse_arguments(int argc, char** argv);

}  // namespace app
