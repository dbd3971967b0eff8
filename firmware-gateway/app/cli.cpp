#include <CLI/CLI.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "firmware-gateway/app/command_line.hpp"
#include "firmware-gateway/app/program.hpp"
#include "proto/base/text.hpp"

namespace app {

namespace {

constexpr std::string_view footer =
    "Exit status: 0 done; 1 failed; 2 wrong use; 78 configuration refused (stderr says file, line, key, what is wrong, "
    "what is "
    "allowed).\n"
    "Signals: SIGTERM and SIGINT end it within 5 s, the running transaction finished; SIGHUP reads the configuration, "
    "keys and\n"
    "certificates again (a bad one is refused and the old one kept).\n\n"
    "Ports (each in gateway.toml; port 0: any free one, see status):\n"
    "  terminals.http    POST /v1/events, POST /v1/events/batch\n"
    "  terminals.framed  4-byte length + protobuf (proto/wire/framed.proto)\n"
    "  admin             / /healthz /readyz /metrics /v1/status, GET /v1/events?terminal_id=&terminal_ref=,\n"
    "                    POST /v1/journal/verify, POST /v1/journal/export\n\n"
    "Keys beside those of the manual: card.token_key_name (default: derived from the key), "
    "card.previous_token_key_file "
    "and its name\n"
    "(while keys are rotated), admin.token_file (0600; asked for as \"Authorization: Bearer …\", needed off loopback).";

constexpr std::array<std::string_view, 10> words = {"run",     "check",  "status",  "journal", "verify",
                                                    "salvage", "export", "iso8583", "decode",  "dialects"};

constexpr std::array<std::string_view, 5> flags = {"--config", "--help", "--dialect", "--json", "--framed"};
// Before any command.
constexpr std::array<std::string_view, 2> first_flags = {"--help", "--version"};

// A flag that nobody knows is always told the nearest one: they are few. A word only when it is near.
std::string_view known_near(std::string_view word, bool first) {
  if (!word.starts_with('-')) return base::nearest(word, words);
  return base::closest(word, first ? std::span<const std::string_view>(first_flags) : flags);
}

// "did you mean …": for the first word on the line that nobody knows.
std::string suggestion(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = std::string_view(argv[i]).substr(0, std::string_view(argv[i]).find('='));
    const bool known = std::ranges::find(words, word) != words.end() || std::ranges::find(flags, word) != flags.end();
    if (known) {
      if (word == "--config" || word == "--dialect") ++i;
      continue;
    }
    const std::string_view near = known_near(word, i == 1);
    if (!near.empty()) return fmt::format("; '{}' is not known, did you mean '{}'?", word, near);
  }
  return {};
}

void add_iso8583(CLI::App& cli, Command& command) {
  CLI::App* const iso8583 = cli.add_subcommand("iso8583", "try out how ISO 8583 messages are read");
  iso8583->require_subcommand(1);
  CLI::App* const decode = iso8583->add_subcommand("decode", "explain a message field by field, card data masked");
  decode->add_option("--dialect", command.dialect, "a dialect's name (see iso8583 dialects) or file")
      ->required()
      ->type_name("NAME|FILE");
  decode->add_flag("--json", command.json, R"(print {"mti": "0200", "fields": {"4": "000000001000"}})");
  decode->add_flag("--framed", command.framed,
                   "the bytes begin with the dialect's frame (default: found out, the bare message tried first)");
  decode->add_option("hex", command.hex, "the message in hex, blanks allowed; - reads it from standard input")
      ->required()
      ->type_name("HEX");
  decode->callback([&command] { command.action = Action::iso8583_decode; });
  CLI::App* const dialects = iso8583->add_subcommand("dialects", "list the dialects that come with the program");
  dialects->callback([&command] { command.action = Action::iso8583_dialects; });
  CLI::App* const check = iso8583->add_subcommand("check", "check a dialect; prints ok");
  check->add_option("dialect", command.dialect, "the dialect")->required()->type_name("FILE");
  check->callback([&command] { command.action = Action::iso8583_check; });
}

}  // namespace

std::variant<Command, Message> parse_command_line(int argc, const char* const* argv) {
  CLI::App cli(
      "The gateway of Tillstream: takes events from terminals, keeps them on disk, and sends them to the central "
      "stream.",
      "tillstream-gateway");
  cli.footer(std::string(footer));
  cli.set_version_flag("--version", std::string(version));
  cli.require_subcommand(1);
  Command command;
  const auto add = [&](CLI::App& parent, const char* name, const char* help, Action action) {
    CLI::App* const sub = parent.add_subcommand(name, help);
    sub->add_option("--config", command.config, "the configuration, gateway.toml")->required()->type_name("FILE");
    sub->callback([&command, action] { command.action = action; });
  };
  add(cli, "run", "run the gateway until SIGTERM", Action::run);
  add(cli, "check", "check the configuration only; prints ok, and warnings", Action::check);
  add(cli, "status", "print the status of the running gateway as JSON", Action::status);
  CLI::App* const journal = cli.add_subcommand("journal", "look after the journal");
  journal->require_subcommand(1);
  add(*journal, "verify", "read every row and report damage; changes nothing", Action::journal_verify);
  add(*journal, "salvage", "set the journal aside and make a new one of what can be read (gateway stopped)",
      Action::journal_salvage);
  add(*journal, "export", "print every event as a line of JSON, oldest first", Action::journal_export);
  add_iso8583(cli, command);
  try {
    cli.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    // The help of the command that was asked about.
    const CLI::App* asked = &cli;
    while (!asked->get_subcommands().empty()) asked = asked->get_subcommands().front();
    return Message{.text = asked->help(), .exit_status = 0};
  } catch (const CLI::CallForVersion& asked) {
    return Message{.text = fmt::format("{}\n", asked.what()), .exit_status = 0};
  } catch (const CLI::ParseError& error) {
    return Message{.text = fmt::format("tillstream-gateway: {}{}\nSee tillstream-gateway --help.\n", error.what(),
                                       suggestion(argc, argv)),
                   .exit_status = 2};
  }
  return command;
}

}  // namespace app
