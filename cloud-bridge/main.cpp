// tillstream-bridge: takes events off MQTT and appends them to the central stream. Wiring only.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <thread>

#include "cloud-bridge/app/cli.hpp"
#include "cloud-bridge/app/commands.hpp"
#include "cloud-bridge/app/process.hpp"
#include "cloud-bridge/app/settings.hpp"
#include "cloud-bridge/app/token_key.hpp"
#include "cloud-bridge/config/config.hpp"
#include "proto/platform/log.hpp"
#include "proto/platform/system.hpp"

namespace {

// What is left to do once the run loop has ended is to let go of the broker and of the disk. If either does not answer,
// we leave all the same: the running transaction is committed, or was never acked.
constexpr std::chrono::milliseconds let_go_time{1'500};

void leave_at_last(int status) {
  std::thread([status] {
    std::this_thread::sleep_for(let_go_time);
    platform::log::warn("leaving without the broker's answer");
    std::_Exit(status);
  }).detach();
}

int run(const app::Arguments& arguments, const config::Config& config) {
  app::configure_log(config);
  for (const std::string& warning : config.warnings) platform::log::warn("{}", warning);
  if (const std::string problem = platform::harden_process(); !problem.empty()) platform::log::warn("{}", problem);
  app::Process process(config, arguments.config);
  if (const auto started = process.start(); !started) {
    platform::log::error("{}", started.error());
    return app::exit_failed;
  }
  const int status = process.run();
  leave_at_last(status);
  return status;
}

int dispatch(const app::Arguments& arguments, const config::Config& config) {
  switch (arguments.command) {
    case app::Command::run:
      return run(arguments, config);
    case app::Command::check:
      return app::check(config);
    case app::Command::tail:
      return app::tail(arguments, config);
    case app::Command::status:
      return app::print_status(config);
    case app::Command::topics:
      return app::topics(arguments, config);
    case app::Command::release:
      return app::release(arguments, config);
    case app::Command::token_key:
      break;
  }
  return app::exit_wrong_use;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const app::ParsedArguments parsed = app::parse_arguments(argc, argv);
    if (!parsed.arguments) return parsed.exit_status;
    if (parsed.arguments->command == app::Command::token_key) return app::derive_token_key(parsed.arguments->token_key);
    const auto config = config::load(parsed.arguments->config, app::find_property_problems);
    if (config) {
      const int status = dispatch(*parsed.arguments, *config);
      if (status != app::exit_done || platform::output_written()) return status;
      fmt::print(stderr, "tillstream-bridge: the output could not be written\n");
      return app::exit_failed;
    }
    for (const auto& error : config.error()) fmt::print(stderr, "{}\n", error.text());
    return app::exit_bad_config;
  } catch (const std::exception& exception) {
    fmt::print(stderr, "tillstream-bridge: {}\n", exception.what());
    return app::exit_failed;
  }
}
