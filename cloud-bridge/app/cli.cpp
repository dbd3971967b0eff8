#include "cloud-bridge/app/cli.hpp"

#include <CLI/CLI.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <iostream>
#include <limits>
#include <string_view>

#include "cloud-bridge/app/version.hpp"
#include "proto/base/text.hpp"

namespace app {

namespace {

void add_config(CLI::App& verb, Arguments& arguments) {
  verb.add_option("--config", arguments.config, "the configuration, bridge.toml")->required()->type_name("FILE");
}

constexpr std::array<std::string_view, 5> words = {"run", "check", "tail", "status", "release"};
constexpr std::array<std::string_view, 5> flags = {"--config", "--from", "--follow", "--help", "--version"};

// A flag that nobody knows is always told the nearest one: they are few. A word only when it is near.
std::string_view known_near(std::string_view word) {
  return word.starts_with('-') ? base::closest(word, flags) : base::nearest(word, words);
}

// "did you mean …": for the first word on the line that is near a known one.
std::string suggestion(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = std::string_view(argv[i]).substr(0, std::string_view(argv[i]).find('='));
    if (std::ranges::find(words, word) != words.end() || std::ranges::find(flags, word) != flags.end()) {
      if (word == "--config" || word == "--from") ++i;
      continue;
    }
    const std::string_view near = known_near(word);
    if (!near.empty()) return fmt::format("'{}' is not known, did you mean '{}'?", word, near);
  }
  return {};
}

}  // namespace

ParsedArguments parse_arguments(int argc, char** argv) {
  Arguments arguments;
  CLI::App cli("Takes events off MQTT and appends them to the central stream, once each, in order.",
               "tillstream-bridge");
  cli.set_version_flag("--version", std::string(version));
  cli.require_subcommand(1);
  cli.footer(
      "Exit status: 0 done, 1 failed, 2 wrong use, 78 configuration refused.\n"
      "SIGTERM ends the bridge after the running transaction; SIGHUP re-reads configuration and certificates.");
  CLI::App* run = cli.add_subcommand("run", "run the bridge");
  CLI::App* check = cli.add_subcommand("check", "check the configuration only");
  CLI::App* tail = cli.add_subcommand("tail", "print the stream's events as JSON lines, whether or not a bridge runs");
  CLI::App* status =
      cli.add_subcommand("status", "print the running bridge's status as JSON; fails when it is not healthy");
  CLI::App* release = cli.add_subcommand("release", "end the quarantine of a gateway id, once only one box uses it");
  for (CLI::App* verb : {run, check, tail, status, release}) add_config(*verb, arguments);
  tail->add_option("--from", arguments.from, "begin at this position (default 0: the beginning)")
      ->check(CLI::Range(std::int64_t{0}, std::numeric_limits<std::int64_t>::max()))
      ->type_name("POSITION");
  tail->add_flag("--follow", arguments.follow, "wait for more at the end");
  release->add_option("ID", arguments.gateway_id, "the gateway id")->required();
  try {
    cli.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status_of_cli = cli.exit(error);
    if (status_of_cli == 0) return {std::nullopt, exit_done};
    if (const std::string hint = suggestion(argc, argv); !hint.empty()) std::cerr << hint << '\n';
    return {std::nullopt, exit_wrong_use};
  }
  if (check->parsed()) arguments.command = Command::check;
  if (tail->parsed()) arguments.command = Command::tail;
  if (status->parsed()) arguments.command = Command::status;
  if (release->parsed()) arguments.command = Command::release;
  return {arguments, exit_done};
}

}  // namespace app
