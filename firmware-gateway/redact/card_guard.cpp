#include "firmware-gateway/redact/card_guard.hpp"

#include <algorithm>
#include <array>

#include "firmware-gateway/redact/scan.hpp"
#include "firmware-gateway/redact/sensitive_name.hpp"
#include "proto/base/assert.hpp"
#include "proto/base/bytes.hpp"

namespace redact {
namespace {

constexpr std::string_view fixed_mark = "[card data]";
// In identities: as long as the shortest card number, so that a text never grows beyond its limit.
constexpr std::size_t identity_mark_hash = 7;
constexpr std::size_t token_bytes = 16;

std::string mark_fixed(std::string_view /*found*/) { return std::string(fixed_mark); }

// Refused; or, where the event has happened and nobody will send it differently, left out.
std::optional<Refusal> unreadable(Fields& fields, Field field, std::string message) {
  if (fields.on_conflict == OnConflict::refuse) return invalid(field, std::move(message));
  fields.incomplete.emplace_back(name_of(field));
  return std::nullopt;
}

std::string free_name(const std::map<std::string, std::string>& taken, const std::string& name) {
  if (!taken.contains(name)) return name;
  for (unsigned n = 2;; ++n)
    if (std::string other = name + std::to_string(n); !taken.contains(other)) return other;
}

}  // namespace

Draft::~Draft() {
  for (std::string& text : fields.texts) wipe(text);
  while (!fields.attributes.empty()) {
    auto node = fields.attributes.extract(fields.attributes.begin());
    wipe(node.key());
    wipe(node.mapped());
  }
}

CardGuard::CardGuard(GuardSettings settings, const base::Hasher& hasher)
    : settings_(std::move(settings)), hasher_(hasher) {
  ASSERT(settings_.mark_key.size() >= token_bytes);
}

base::Result<Cleared, Refusal> CardGuard::clear(Draft draft, Channel channel) {
  if (auto refusal = reduce_card(draft, channel)) return base::fail(std::move(*refusal));
  scan_texts(draft.fields);
  scan_attributes(draft.fields);
  return Cleared(std::move(draft.fields));
}

bool CardGuard::accepts_clear(Channel channel) const {
  if (channel.tls) return true;
  switch (settings_.accept_card_numbers) {
    case AcceptCardNumbers::never:
      return false;
    case AcceptCardNumbers::loopback:
      return channel.peer_is_loopback;
    case AcceptCardNumbers::always:
      return true;
  }
  ASSERT(false);
}

std::optional<Refusal> CardGuard::reduce_card(Draft& draft, Channel channel) {
  if (draft.card_number.empty()) return std::nullopt;
  if (is_clear(draft.card_number.view()) && !accepts_clear(channel))
    return Refusal{Reason::card_number_refused,
                   name_of(Field::card_number),
                   "no clear card number is accepted on this line: use TLS, or send it masked",
                   {}};
  const auto card = read_card_number(draft.card_number.view());
  draft.card_number.clear();
  if (!card)
    return unreadable(draft.fields, Field::card_number,
                      "must be a card number of 12 to 19 digits with a right check digit, or a masked one");
  std::string& last4 = draft.fields.text(Field::card_last4);
  if (!last4.empty() && !card->last4.empty() && last4 != card->last4)
    return unreadable(draft.fields, Field::card_last4, "is not the end of card_number");
  if (last4.empty()) last4 = card->last4;
  // The terminal knows which of a card's brands was used; the number is only a guess.
  if (draft.fields.text(Field::card_brand).empty()) draft.fields.text(Field::card_brand) = card->brand;
  if (!card->pan.empty()) set_tokens(draft.fields, card->pan);
  return std::nullopt;
}

void CardGuard::set_tokens(Fields& fields, const Secret& pan) const {
  const auto& [current, previous] = settings_.token_keys;
  if (!current) return;
  fields.text(Field::card_token) = token_of(pan, *current);
  fields.text(Field::card_token_key) = current->name;
  if (previous) fields.previous_token = KeyedToken{.token = token_of(pan, *previous), .key = previous->name};
}

std::string CardGuard::token_of(const Secret& pan, const TokenKey& key) const {
  const base::Digest full = hasher_.hmac_sha256(key.view(), pan.view());
  return base::to_base32(full.view().substr(0, token_bytes));
}

void CardGuard::scan_texts(Fields& fields) {
  for (std::size_t i = 0; i < text_count; ++i) scan_text(fields, text_at(i));
}

void CardGuard::scan_text(Fields& fields, Field field) {
  std::string& text = fields.text(field);
  switch (rule_of(field).scan) {
    case Scan::closed:
      return;
    case Scan::free:
      return count(field, mask_card_data(text, mark_fixed));
    case Scan::identity:
      return count(field, mask_card_data(text, [this](std::string_view found) { return identity_mark(found); }));
    case Scan::drop:
      if (find_card_data(text).empty()) return;
      wipe(text);
      return count(field, 1);
  }
}

void CardGuard::scan_attributes(Fields& fields) {
  std::map<std::string, std::string> clean;
  while (!fields.attributes.empty()) {
    auto node = fields.attributes.extract(fields.attributes.begin());
    std::string name = node.key();
    std::string value = std::move(node.mapped());
    count(Field::attributes, mask_card_data(name, mark_fixed));
    if (names_sensitive_data(name)) {
      wipe(value);
      value = fixed_mark;
      count(Field::attributes, 1);
    }
    count(Field::attributes, mask_card_data(value, mark_fixed));
    wipe(node.key());
    clean.emplace(free_name(clean, name), std::move(value));
  }
  fields.attributes = std::move(clean);
}

std::string CardGuard::clear_identity(std::string text) const {
  mask_card_data(text, [this](std::string_view found) { return identity_mark(found); });
  return text;
}

std::string CardGuard::identity_mark(std::string_view found) const {
  const base::Digest digest = hasher_.hmac_sha256(settings_.mark_key.view(), found);
  std::string mark(identity_mark_begin);
  mark += base::to_base32(digest.view()).substr(0, identity_mark_hash);
  mark += ']';
  return mark;
}

}  // namespace redact
