#include "firmware-gateway/terminal/nexo/reference.hpp"

#include "firmware-gateway/redact/scan.hpp"
#include "firmware-gateway/redact/secret.hpp"
#include "firmware-gateway/redact/unicode.hpp"
#include "proto/base/bytes.hpp"

namespace terminal::nexo {
namespace {

constexpr std::size_t reference_characters_max = 64;
constexpr std::size_t hash_characters = 26;
constexpr std::size_t readable_characters_max = 24;

std::string joined(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts) {
    if (part.empty()) continue;
    if (!text.empty()) text += '/';
    text += part;
  }
  return text;
}

bool fits(std::string_view text) {
  return redact::is_printable(text) && redact::count_characters(text) <= reference_characters_max;
}

// ASCII only, so that no character is cut.
std::string readable_beginning(std::string_view text) {
  std::string beginning;
  for (const char c : text.substr(0, readable_characters_max))
    if (c > ' ' && c < '~') beginning += c;
  return beginning;
}

}  // namespace

std::string reference_of(std::initializer_list<std::string_view> parts, const base::Hasher& hasher) {
  std::string text = joined(parts);
  if (fits(text)) return text;
  redact::mask_card_data(text, [](std::string_view /*found*/) { return std::string("[card data]"); });
  std::string reference = readable_beginning(text.substr(0, text.find('/')));
  reference += '~';
  reference += base::to_base32(hasher.sha256({text}).view()).substr(0, hash_characters);
  redact::wipe(text);
  return reference;
}

}  // namespace terminal::nexo
