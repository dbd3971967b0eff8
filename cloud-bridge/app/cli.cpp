#include "cloud-bridge/app/cli.hpp"

#include <CLI/CLI.hpp>

#include <fmt/format.h>

#include <cstdio>
#include <string_view>

#include "cloud-bridge/app/version.hpp"
#include "proto/handoff/topics.hpp"
#include "proto/platform/cli.hpp"

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

// As the configuration says gateway.id.
std::string gateway_id_problem(const std::string& id) {
  if (handoff::gateway_id_allowed(id)) return {};
  return fmt::format(R"(is "{}"; allowed: 1 to 63 of a-z, 0-9 and -, but not "all")", id);
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
  release->add_option("ID", arguments.gateway_id, "the gateway id")->required()->check(gateway_id_problem);
  add_token_key(cli, arguments.token_key);
  try {
    cli.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version are no errors.
    if (error.get_exit_code() == 0) return {std::nullopt, cli.exit(error)};
    const std::string unknown = platform::unknown_word(cli, argc, argv);
    fmt::print(stderr, "tillstream-bridge: {}\nSee tillstream-bridge --help.\n",
               unknown.empty() ? error.what() : unknown);
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
