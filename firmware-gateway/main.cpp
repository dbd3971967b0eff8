// tillstream-gateway: command line in, exit status out.
#include <fmt/format.h>

#include <cstdio>

#include "firmware-gateway/app/command_line.hpp"
#include "firmware-gateway/app/program.hpp"
#include "proto/platform/system.hpp"

namespace {

int check(const config::Reading& reading) {
  for (const auto& warning : reading.warnings) fmt::print(stderr, "warning: {}\n", warning);
  fmt::print("ok\n");
  return app::exit_done;
}

int perform(const app::Command& command, const config::Reading& reading) {
  switch (command.action) {
    case app::Action::run:
      return app::run(command.config, *reading.config);
    case app::Action::check:
      return check(reading);
    case app::Action::status:
      return app::status(*reading.config);
    case app::Action::journal_verify:
      return app::journal_verify(*reading.config);
    case app::Action::journal_salvage:
      return app::journal_salvage(*reading.config);
    case app::Action::journal_export:
      return app::journal_export(*reading.config);
    case app::Action::iso8583_decode:
    case app::Action::iso8583_dialects:
    case app::Action::iso8583_check:
      break;
  }
  return app::exit_failed;
}

int perform_iso8583(const app::Command& command) {
  if (command.action == app::Action::iso8583_decode) return app::iso8583_decode(command);
  if (command.action == app::Action::iso8583_check) return app::iso8583_check(command);
  return app::iso8583_dialects();
}

// An output that could not be written is a failure of what was done.
int finished(int status) {
  if (status != app::exit_done || platform::output_written()) return status;
  fmt::print(stderr, "tillstream-gateway: the output could not be written\n");
  return app::exit_failed;
}

}  // namespace

int main(int argc, char** argv) {
  const auto parsed = app::parse_command_line(argc, argv);
  if (const auto* message = std::get_if<app::Message>(&parsed)) {
    std::fputs(message->text.c_str(), message->exit_status == 0 ? stdout : stderr);
    return message->exit_status;
  }
  const auto& command = std::get<app::Command>(parsed);
  if (app::is_for_iso8583(command.action)) return finished(perform_iso8583(command));
  const auto reading = config::load(command.config, app::config_needs());
  for (const auto& error : reading.errors) fmt::print(stderr, "{}\n", error.text());
  if (!reading.config) return app::exit_config;
  return finished(perform(command, reading));
}
