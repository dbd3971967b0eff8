#include "proto/platform/cli.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <string_view>
#include <vector>

#include "proto/base/text.hpp"

namespace platform {

namespace {

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

// " of journal", nothing for the program itself.
std::string whose(const CLI::App& app) {
  return app.get_parent() == nullptr ? std::string() : fmt::format(" of {}", app.get_name());
}

std::string allowed_commands(const CLI::App& app) {
  std::string names;
  for (const CLI::App* command : commands_of(app)) names += (names.empty() ? "" : ", ") + command->get_name();
  return names;
}

std::string no_command(const CLI::App& app, std::string_view word) {
  std::vector<std::string_view> known;
  for (const CLI::App* command : commands_of(app)) known.emplace_back(command->get_name());
  const std::string_view near = base::nearest(word, known);
  return fmt::format("'{}' is no command{}; allowed: {}{}", word, whose(app), allowed_commands(app),
                     near.empty() ? "" : fmt::format("; did you mean '{}'?", near));
}

std::string missing_command(const CLI::App& app, std::string_view before) {
  return fmt::format("a command{} is missing{}; allowed: {}", whose(app), before, allowed_commands(app));
}

// An option that a command does not know is always told the nearest one: they are few. Before a command it may be the
// command's.
std::string no_option(const CLI::App& app, std::string_view word) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  const std::vector<std::string_view> known(names.begin(), names.end());
  if (!commands_of(app).empty() && base::nearest(word, known).empty())
    return missing_command(app, fmt::format(" before '{}'", word));
  return fmt::format("'{}' is no option{}; did you mean '{}'?", word, whose(app), base::closest(word, known));
}

}  // namespace

std::string unknown_word(const CLI::App& cli, int argc, const char* const* argv) {
  const CLI::App* app = &cli;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word.size() > 1 && word.starts_with('-')) {
      const std::string_view name = word.substr(0, word.find('='));
      const CLI::Option* const option = app->get_option_no_throw(std::string(name));
      if (option == nullptr) return no_option(*app, name);
      if (name == word && option->get_items_expected_max() > 0) ++i;
      continue;
    }
    if (commands_of(*app).empty()) continue;
    const CLI::App* next = nullptr;
    for (const CLI::App* command : commands_of(*app))
      if (command->get_name() == word) next = command;
    if (next == nullptr) return no_command(*app, word);
    app = next;
  }
  if (commands_of(*app).empty()) return {};
  return missing_command(*app, "");
}

}  // namespace platform
