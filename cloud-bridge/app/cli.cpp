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

void add_token_key(CLI::App& cli, TokenKeyArguments& arguments) {
  CLI::App* const token_key = cli.add_subcommand("token-key", "keys that gateways make card tokens with");
  token_key->require_subcommand(1);
  CLI::App* const derive =
      token_key->add_subcommand("derive", "make one gateway's key from the master key of all; prints the key's name");
  derive->add_option("--master", arguments.master, "the master key, at least 32 bytes, mode 0600")
      ->required()
      ->type_name("FILE");
  derive->add_option("--gateway", arguments.gateway_id, "the gateway's id")->required()->type_name("ID");
  derive->add_option("--key-version", arguments.version, "1, and one more at each rotation")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  derive->add_option("--out", arguments.out, "where to write the key; never over a file")
      ->required()
      ->type_name("FILE");
}

constexpr std::array<std::string_view, 8> words = {"run",     "check",  "tail",      "status",
                                                   "release", "topics", "token-key", "derive"};
constexpr std::array<std::string_view, 15> flags = {
    "--config", "--from",    "--follow",      "--help",       "--version",
    "--create", "--check",   "--replication", "--partitions", "--events-partitions",
    "--master", "--gateway", "--key-version", "--out",        "--accept-repeats"};
constexpr std::array<std::string_view, 9> flags_with_value = {
    "--config", "--from",    "--replication", "--partitions", "--events-partitions",
    "--master", "--gateway", "--key-version", "--out"};

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
  add_token_key(cli, arguments.token_key);
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
  if (cli.got_subcommand("token-key")) arguments.command = Command::token_key;
  return {arguments, exit_done};
}

}  // namespace app
