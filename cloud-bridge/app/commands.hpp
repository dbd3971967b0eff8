// The commands that are not `run`. Each returns the exit status.
#pragma once

#include <optional>
#include <string>

#include "cloud-bridge/app/cli.hpp"
#include "cloud-bridge/config/config.hpp"

namespace app {

// Why a stream cannot be made from this configuration, whatever is there to connect to: a property that librdkafka does
// not know, a file that it cannot read.
[[nodiscard]] std::optional<std::string> find_stream_problem(const config::Config& config);
// What the configuration's own check leaves: the token's content, and the above.
[[nodiscard]] int check(const config::Config& config);
[[nodiscard]] int tail(const Arguments& arguments, const config::Config& config);
// Prints the running bridge's status; exit_failed when it cannot be reached or is not healthy.
[[nodiscard]] int print_status(const config::Config& config);
// Makes and checks the topics of a Kafka stream.
[[nodiscard]] int topics(const Arguments& arguments, const config::Config& config);
[[nodiscard]] int release(const Arguments& arguments, const config::Config& config);

}  // namespace app
