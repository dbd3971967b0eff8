#include <CLI/CLI.hpp>

#include <fmt/format.h>

#include <string_view>

#include "firmware-gateway/app/command_line.hpp"
#include "firmware-gateway/app/program.hpp"
#include "proto/platform/cli.hpp"

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
    const std::string unknown = platform::unknown_word(cli, argc, argv);
    return Message{.text = fmt::format("tillstream-gateway: {}\nSee tillstream-gateway --help.\n",
                                       unknown.empty() ? error.what() : unknown),
                   .exit_status = 2};
  }
  return command;
}

}  // namespace app
