#include "firmware-gateway/redact/sensitive_name.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace redact {
namespace {

// Wherever they stand in a name, its letters and digits taken together.
constexpr std::array<std::string_view, 37> telling_parts{"cvv",
                                                         "cvc1",
                                                         "cvc2",
                                                         "cvc3",
                                                         "cvx2",
                                                         "cvd2",
                                                         "cvn2",
                                                         "cav2",
                                                         "securitycode",
                                                         "seccode",
                                                         "cardcode",
                                                         "verificationcode",
                                                         "verificationvalue",
                                                         "verificationnumber",
                                                         "cardverification",
                                                         "pinblock",
                                                         "pindata",
                                                         "pincode",
                                                         "encryptedpin",
                                                         "pinverification",
                                                         "track1",
                                                         "track2",
                                                         "track3",
                                                         "trackdata",
                                                         "trackequivalent",
                                                         "magstripe",
                                                         "magneticstripe",
                                                         "magstrip",
                                                         "discretionarydata",
                                                         "cardnumber",
                                                         "kartennummer",
                                                         "sicherheitscode",
                                                         "sicherheitsnummer",
                                                         "kartenpruef",
                                                         "kartenprüf",
                                                         "pruefziffer",
                                                         "prüfziffer"};

// Only as a word of their own: parts of other words they may well be.
constexpr std::array<std::string_view, 11> telling_words{"cvc", "cav", "csc", "cid",   "cvd",   "cvn",
                                                         "pvv", "pin", "pan", "track", "tracks"};

// ISO 8583 fields and EMV tags that hold a card number, a track, a PIN or security-related data.
constexpr std::array<std::string_view, 9> field_words{"de",       "df",          "f",   "field",  "bit",
                                                      "isofield", "dataelement", "iso", "element"};
constexpr std::array<std::string_view, 6> field_numbers{"2", "35", "36", "45", "52", "53"};
constexpr std::array<std::string_view, 3> tag_words{"emv", "tag", "emvtag"};
constexpr std::array<std::string_view, 8> tags{"56", "57", "5a", "99", "9f1f", "9f20", "9f6b", "df8115"};

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool belongs(char c) { return is_lower(c) || is_upper(c) || is_digit(c) || static_cast<unsigned char>(c) >= 0x80; }
char lower(char c) { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; }

// "cvvCode", "CVV-code" and "cvv code" have the words cvv and code.
std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words(1);
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool hump = i > 0 && is_upper(name[i]) && is_lower(name[i - 1]);
    if ((hump || !belongs(name[i])) && !words.back().empty()) words.emplace_back();
    if (belongs(name[i])) words.back() += lower(name[i]);
  }
  return words;
}

template <std::size_t size>
bool is_one_of(const std::array<std::string_view, size>& list, std::string_view text) {
  return std::ranges::find(list, text) != list.end();
}

// "de52", "de_52", "iso_field_035", "emv 9F20".
template <std::size_t words, std::size_t numbers>
bool is_numbered(const std::array<std::string_view, words>& prefixes,
                 const std::array<std::string_view, numbers>& values, std::string_view joined) {
  for (const std::string_view prefix : prefixes) {
    if (!joined.starts_with(prefix)) continue;
    std::string_view rest = joined.substr(prefix.size());
    while (rest.starts_with('0')) rest.remove_prefix(1);
    if (is_one_of(values, rest)) return true;
  }
  return false;
}

}  // namespace

bool names_sensitive_data(std::string_view name) {
  const std::vector<std::string> words = words_of(name);
  std::string joined;
  for (const std::string& word : words) joined += word;
  const auto holds = [&joined](std::string_view part) { return joined.find(part) != std::string::npos; };
  if (std::ranges::any_of(telling_parts, holds)) return true;
  if (std::ranges::any_of(words, [](const std::string& word) { return is_one_of(telling_words, word); })) return true;
  return is_numbered(field_words, field_numbers, joined) || is_numbered(tag_words, tags, joined);
}

}  // namespace redact
