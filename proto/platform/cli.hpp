// What a command line got wrong, in words that name what there is. The rules are in the CLI::App itself.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace platform {

// Of the first word or flag that the commands before it do not know, or of a command that is missing:
//   "'chek' is no command; allowed: run, check, status; did you mean 'check'?"
//   "'--foo' is no option of run; did you mean '--help'?"
// Empty: the words are all known, and what is wrong is something else.
[[nodiscard]] std::string unknown_word(const CLI::App& cli, int argc, const char* const* argv);

}  // namespace platform
