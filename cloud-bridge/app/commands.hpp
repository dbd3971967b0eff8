// The commands that are not `run`. Each returns the exit status.
#pragma once

#include <optional>
#include <string>

#include "cloud-bridge/app/cli.hpp"
#include "cloud-bridge/config/config.hpp"

namespace app {

// The configuration has been read, and was fine.
[[nodiscard]] int check(const config::Config& config);
[[nodiscard]] int tail(const Arguments& arguments, const config::Config& config);
// Prints the running bridge's status; exit_failed when it cannot be reached or is not healthy.
[[nodiscard]] int print_status(const config::Config& config);
// Makes and checks the topics of a Kafka stream.
[[nodiscard]] int topics(const Arguments& arguments, const config::Config& config);
[[nodiscard]] int release(const Arguments& arguments, const config::Config& config);

}  // namespace app
