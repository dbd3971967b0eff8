#include "firmware-gateway/terminal/nexo/additional_response.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>

#include "firmware-gateway/redact/secret.hpp"
#include "firmware-gateway/redact/unicode.hpp"
#include "firmware-gateway/terminal/json_reader.hpp"

namespace terminal::nexo {
namespace {

using Names = std::span<const std::string_view>;

constexpr std::array<std::string_view, 16> response_names{
    "AID",     "authCode",       "cardSummary",  "currency",     "fundingSource", "issuerCountry",    "message",
    "offline", "paymentMethod",  "posEntryMode", "pspReference", "refusalReason", "refusalReasonRaw", "store",
    "tid",     "transactionType"};
constexpr std::array<std::string_view, 5> detail_names{"message", "newstate", "oldstate", "reason", "reason_id"};

// What an attribute's value may have; longer ones are no reasons but something else.
constexpr std::size_t value_bytes_max = 512;
constexpr std::size_t json_depth_max = 8;

void keep(Pairs& pairs, Names names, std::string_view name, std::string_view value) {
  const auto known = std::ranges::find(names, name);
  if (known == names.end() || value.empty() || value.size() > value_bytes_max || !redact::is_printable(value)) return;
  pairs.try_emplace(*known, value);
}

// --- name=value&name=value

std::optional<char> hex_byte(std::string_view digits) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (digits.size() != 2 || error != std::errc() || end != digits.data() + 2) return std::nullopt;
  return static_cast<char>(value);
}

redact::Secret undo_url(std::string_view text) {
  redact::Secret plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i] == '+' ? ' ' : text[i];
    if (const auto byte = c == '%' ? hex_byte(text.substr(i + 1, 2)) : std::nullopt) {
      c = *byte;
      i += 2;
    }
    plain.append({&c, 1});
  }
  return plain;
}

Pairs read_pairs(std::string_view text, Names names) {
  Pairs pairs;
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(pair.size() + 1, text.size()));
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || pair.size() > 4 * value_bytes_max) continue;
    keep(pairs, names, undo_url(pair.substr(0, equals)).view(), undo_url(pair.substr(equals + 1)).view());
  }
  return pairs;
}

// --- base64 of {"additionalData":{…},"store":…}

std::optional<unsigned> sextet(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<unsigned>(c - 'A');
  if (c >= 'a' && c <= 'z') return static_cast<unsigned>(c - 'a') + 26;
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0') + 52;
  if (c == '+' || c == '-') return 62;
  if (c == '/' || c == '_') return 63;
  return std::nullopt;
}

// Nothing when it is no base64.
std::optional<redact::Secret> undo_base64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  redact::Secret plain;
  unsigned bits = 0;
  unsigned held = 0;
  for (const char c : text) {
    const auto six = sextet(c);
    if (!six) return std::nullopt;
    bits = ((bits << 6U) | *six) & 0xFFFFU;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    const char byte = static_cast<char>((bits >> held) & 0xFFU);
    plain.append({&byte, 1});
  }
  return plain;
}

// Texts, numbers and flags of the known names, at whatever depth.
class Members final : public JsonListener {
 public:
  Members(Pairs& pairs, Names names) : pairs_(pairs), names_(names) {}

  void on_object_begin() override { name_.clear(); }
  void on_object_end() override {}
  void on_array_begin() override { name_.clear(); }
  void on_array_end() override {}
  void on_key(std::string_view name) override {
    name_.clear();
    name_.append(name);
  }
  void on_text(std::string_view text) override { take(text); }
  void on_number(std::string_view literal) override { take(literal); }
  void on_flag(bool value) override { take(value ? "true" : "false"); }
  void on_null() override { name_.clear(); }

 private:
  void take(std::string_view value) {
    keep(pairs_, names_, name_.view(), value);
    name_.clear();
  }

  Pairs& pairs_;
  Names names_;
  redact::Secret name_;
};

std::optional<Pairs> read_base64_json(std::string_view text, Names names) {
  const auto plain = undo_base64(text);
  if (!plain || !plain->view().starts_with('{')) return std::nullopt;
  Pairs pairs;
  Members members(pairs, names);
  // As far as it can be read: these pairs only add to an event that stands without them.
  static_cast<void>(read_json(plain->view(), json_depth_max, members));
  return pairs;
}

Pairs read(std::string_view text, Names names) {
  if (auto pairs = read_base64_json(text, names)) return std::move(*pairs);
  return read_pairs(text, names);
}

}  // namespace

Pairs read_additional_response(std::string_view text) { return read(text, response_names); }

Pairs read_event_details(std::string_view text) { return read(text, detail_names); }

}  // namespace terminal::nexo
