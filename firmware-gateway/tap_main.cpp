// tillstream-tap: command line in, exit status out.
#include <fmt/format.h>

#include <cstdio>

#include "firmware-gateway/app/tap/program.hpp"
#include "proto/platform/system.hpp"

namespace {

int perform(tap_app::Action action, const config::TapReading& reading) {
  switch (action) {
    case tap_app::Action::run:
      return tap_app::run(*reading.config);
    case tap_app::Action::check:
      return tap_app::check(reading);
    case tap_app::Action::status:
      return tap_app::status(*reading.config);
  }
  return tap_app::exit_failed;
}

}  // namespace

int main(int argc, char** argv) {
  const auto parsed = tap_app::parse_command_line(argc, argv);
  if (const auto* message = std::get_if<tap_app::Message>(&parsed)) {
    std::fputs(message->text.c_str(), message->exit_status == 0 ? stdout : stderr);
    return message->exit_status;
  }
  const auto& command = std::get<tap_app::Command>(parsed);
  const auto reading = config::load_tap(command.config, &config::load_dialect);
  for (const auto& error : reading.errors) fmt::print(stderr, "{}\n", error.text());
  if (!reading.config) return tap_app::exit_config;
  const int status = perform(command.action, reading);
  if (status != tap_app::exit_done || platform::output_written()) return status;
  fmt::print(stderr, "tillstream-tap: the output could not be written\n");
  return tap_app::exit_failed;
}
