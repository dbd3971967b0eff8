#include "cloud-bridge/app/cli.hpp"

#include <CLI/CLI.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <string_view>

#include "cloud-bridge/app/version.hpp"
#include "proto/base/text.hpp"

namespace app {

namespace {

void add_config(CLI::App& verb, Arguments& arguments) {
  verb.add_option("--config", arguments.config, "the configuration, bridge.toml")->required()->type_name("FILE");
}

void add_topics(CLI::App& topics, Arguments& arguments) {
  auto* create = topics.add_flag("--create", arguments.create, "make the topics that are missing, then check");
  auto* check =
      topics.add_flag("--check", arguments.check_only, "say what is wrong with them; fails when something is");
  create->excludes(check);
  topics
      .add_option("--partitions", arguments.counts.progress_partitions,
                  "of a progress topic that is made: at most so many bridges share the work, for ever")
      ->check(CLI::Range(1, 256))
      ->needs(create)
      ->capture_default_str();
  topics
      .add_flag("--accept-repeats", arguments.accept_repeats,
                "make a progress topic also beside an events topic that holds records: what the gateways still keep is "
                "published again, marked possible_repeat")
      ->needs(create);
  topics.add_option("--events-partitions", arguments.counts.events_partitions, "of an events topic that is made")
      ->check(CLI::Range(1, 10'000))
      ->needs(create)
      ->capture_default_str();
  topics.add_option("--replication", arguments.counts.replication, "replicas of each topic that is made")
      ->check(CLI::Range(1, 100))
      ->needs(create)
      ->capture_default_str();
}

constexpr std::array<std::string_view, 6> words = {"run", "check", "tail", "status", "release", "topics"};
constexpr std::array<std::string_view, 11> flags = {
    "--config",        "--from",  "--follow",      "--help",       "--version",
    "--create",        "--check", "--replication", "--partitions", "--events-partitions",
    "--accept-repeats"};
constexpr std::array<std::string_view, 5> flags_with_value = {"--config", "--from", "--replication", "--partitions",
                                                              "--events-partitions"};

// A flag that nobody knows is always told the nearest one: they are few. A word only when it is near.
std::string_view known_near(std::string_view word) {
  return word.starts_with('-') ? base::closest(word, flags) : base::nearest(word, words);
}

// "did you mean …": for the first word on the line that is near a known one.
std::string suggestion(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = std::string_view(argv[i]).substr(0, std::string_view(argv[i]).find('='));
    if (std::ranges::find(words, word) != words.end() || std::ranges::find(flags, word) != flags.end()) {
      if (std::ranges::find(flags_with_value, word) != flags_with_value.end()) ++i;
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
  CLI::App* topics = cli.add_subcommand("topics", "check the Kafka topics, or make those that are missing");
  add_topics(*topics, arguments);
  for (CLI::App* verb : {run, check, tail, status, release, topics}) add_config(*verb, arguments);
  tail->add_option("--from", arguments.from,
                   "begin at this position (default 0: the beginning); Kafka: PARTITION:OFFSET[,…]")
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
  if (topics->parsed()) arguments.command = Command::topics;
  return {arguments, exit_done};
}

}  // namespace app
