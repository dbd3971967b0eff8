#include <CLI/CLI.hpp>

#include <fmt/format.h>

#include <string_view>

#include "firmware-gateway/app/tap/program.hpp"
#include "proto/platform/cli.hpp"

namespace tap_app {
namespace {

constexpr std::string_view footer =
    "Exit status: 0 done; 1 failed; 2 wrong use; 78 configuration refused (stderr says file, line, key, what is wrong, "
    "what is allowed).\n"
    "Signals: SIGTERM and SIGINT end it; SIGHUP reads the certificates again, for connections to come.\n"
    "Admin port: /healthz /readyz /metrics /v1/status";

}  // namespace

std::variant<Command, Message> parse_command_line(int argc, const char* const* argv) {
  CLI::App cli(
      "The tap of Tillstream: relays between card terminals and their host, byte by byte, and gives the gateway a copy "
      "of what was transacted.",
      "tillstream-tap");
  cli.footer(std::string(footer));
  cli.set_version_flag("--version", std::string(version));
  cli.require_subcommand(1);
  Command command;
  const auto add = [&](const char* name, const char* help, Action action) {
    CLI::App* const sub = cli.add_subcommand(name, help);
    sub->add_option("--config", command.config, "the configuration, tap.toml")->required()->type_name("FILE");
    sub->callback([&command, action] { command.action = action; });
  };
  add("run", "relay until SIGTERM", Action::run);
  add("check", "check the configuration only; prints ok, and warnings", Action::check);
  add("status", "print the status of the running tap as JSON", Action::status);
  try {
    cli.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const CLI::App* asked = &cli;
    while (!asked->get_subcommands().empty()) asked = asked->get_subcommands().front();
    return Message{.text = asked->help(), .exit_status = exit_done};
  } catch (const CLI::CallForVersion& asked) {
    return Message{.text = fmt::format("{}\n", asked.what()), .exit_status = exit_done};
  } catch (const CLI::ParseError& error) {
    const std::string unknown = platform::unknown_word(cli, argc, argv);
    return Message{.text = fmt::format("tillstream-tap: {}\nSee tillstream-tap --help.\n",
                                       unknown.empty() ? error.what() : unknown),
                   .exit_status = exit_wrong_use};
  }
  return command;
}

}  // namespace tap_app
