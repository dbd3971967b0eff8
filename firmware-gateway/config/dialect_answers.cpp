#include "firmware-gateway/config/dialect_answers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "firmware-gateway/terminal/iso8583/dialect.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/mti.hpp"

namespace config {
namespace {

using iso8583::CannotStore;
using iso8583::TotalOf;

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

std::optional<std::string> code_problem(std::string_view code) {
  const bool plain = std::ranges::all_of(code, [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
  if (plain && (code.empty() || code.size() == 2 || code.size() == 3)) return std::nullopt;
  return R"(is no response code; allowed: as "40", in 1993 as "115")";
}

constexpr std::array pair_words{std::pair("sales", TotalOf::sales), std::pair("refunds", TotalOf::refunds),
                                std::pair("reversals", TotalOf::reversals),
                                std::pair("refund_reversals", TotalOf::refund_reversals),
                                std::pair("-", TotalOf::nothing)};

// "sales refunds"; nothing when a word is none of them, or comes twice.
std::optional<std::vector<TotalOf>> pairs_of(std::string_view text) {
  std::vector<TotalOf> pairs;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (word.empty()) continue;
    const auto known =
        std::ranges::find(pair_words, word, [](const auto& pair) { return std::string_view(pair.first); });
    if (known == pair_words.end()) return std::nullopt;
    if (known->second != TotalOf::nothing && std::ranges::find(pairs, known->second) != pairs.end())
      return std::nullopt;
    pairs.push_back(known->second);
  }
  return pairs;
}

std::optional<std::string> pairs_problem(std::string_view text) {
  const auto pairs = pairs_of(text);
  if (pairs && !pairs->empty()) return std::nullopt;
  return R"(is no list of pairs; allowed: sales, refunds, reversals, refund_reversals, each once, and - for one that is not read)";
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
  answers.request_code = table.text("request", answers.request_code, code_problem);
  answers.out_of_balance = table.text("out_of_balance", answers.out_of_balance, code_problem);
  answers.mac = table.boolean("mac", answers.mac);
}

void read_totals(platform::SettingsTable table, iso8583::TotalsForm& totals) {
  if (table.has("field")) totals.field = static_cast<unsigned>(table.integer("field", 63, {2, iso8583::field_max}));
  if (table.has("pairs"))
    if (const auto pairs = pairs_of(table.text("pairs", "", pairs_problem))) totals.pairs = *pairs;
}

}  // namespace config
