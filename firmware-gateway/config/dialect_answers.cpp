#include "firmware-gateway/config/dialect_answers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "firmware-gateway/terminal/iso8583/dialect.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/mti.hpp"

namespace config {
namespace {

using iso8583::CannotStore;

// "3 4 7 11"; nothing when a word is no number.
std::optional<std::vector<unsigned>> numbers_of(std::string_view text) {
  std::vector<unsigned> numbers;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (word.empty()) continue;
    unsigned number = 0;
    const auto [end, failed] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (failed != std::errc{} || end != word.data() + word.size()) return std::nullopt;
    numbers.push_back(number);
  }
  return numbers;
}

std::optional<std::string> list_problem(std::string_view text) {
  constexpr const char* allowed = R"(allowed: numbers of fields with blanks between them, as "3 4 11 41")";
  const auto numbers = numbers_of(text);
  if (!numbers) return fmt::format("is no list of fields; {}", allowed);
  for (const unsigned number : *numbers) {
    if (!iso8583::may_echo(number))
      return fmt::format("has {}, which is no field, or holds card data and never goes back; {}", number, allowed);
  }
  return std::nullopt;
}

bool is_response(std::string_view text) {
  const auto mti = iso8583::read_mti(text);
  return mti && mti->is_response();
}

void read_echo_for(platform::SettingsTable& table, iso8583::Answers& answers) {
  for (const auto& [mti, list] : table.free_texts("echo_for")) {
    if (!is_response(mti)) {
      table.error("echo_for", "has a key that is no answer's MTI; allowed: as 0430");
    } else if (const auto problem = list_problem(list)) {
      table.error("echo_for", fmt::format("{}: {}", mti, *problem));
    } else {
      answers.echo_for[mti] = *numbers_of(list);
    }
  }
}

}  // namespace

void read_answers(platform::SettingsTable table, iso8583::Answers& answers) {
  if (table.has("echo"))
    if (const auto numbers = numbers_of(table.text("echo", "", list_problem))) answers.echo = *numbers;
  read_echo_for(table, answers);
  if (table.has("cannot_store")) {
    const std::string word = table.word("cannot_store", "96", {"96", "91", "silent"});
    answers.cannot_store = word == "silent" ? CannotStore::silent
                           : word == "91"   ? CannotStore::inoperative
                                            : CannotStore::system_malfunction;
  }
  answers.request_code =
      table.text("request", answers.request_code, [](std::string_view code) -> std::optional<std::string> {
        const bool plain =
            std::ranges::all_of(code, [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
        if (plain && (code.empty() || code.size() == 2 || code.size() == 3)) return std::nullopt;
        return R"(is no response code; allowed: as "40", in 1993 as "115")";
      });
  answers.mac = table.boolean("mac", answers.mac);
}

}  // namespace config
