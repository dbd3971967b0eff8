#include "firmware-gateway/ingest/field_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "firmware-gateway/ingest/event_types.hpp"
#include "firmware-gateway/redact/unicode.hpp"

namespace ingest {
namespace {

using redact::Field;
using redact::Fields;
using redact::Refusal;
using Words = std::span<const std::string_view>;

constexpr std::array<std::string_view, 5> outcomes{"approved", "declined", "partial", "failed", "unknown"};
constexpr std::array<std::string_view, 4> authorizers{"online", "offline", "deferred", "voice"};
constexpr std::array<std::string_view, 6> entry_modes{"contactless", "chip",      "stripe",
                                                      "manual",      "ecommerce", "fallback"};
constexpr std::array<std::string_view, 4> cardholder_checks{"none", "pin", "signature", "device"};
constexpr std::array<std::string_view, 4> reasons{"timeout", "customer", "merchant", "malfunction"};

constexpr std::array amount_parts{Field::tip_minor, Field::cashback_minor, Field::surcharge_minor};
constexpr std::array totals{
    Field::sales_count,     Field::sales_minor,     Field::refunds_count,          Field::refunds_minor,
    Field::reversals_count, Field::reversals_minor, Field::refund_reversals_count, Field::refund_reversals_minor,
    Field::declined_count,  Field::failed_count};

// Hexadecimal digits of an application identifier: 5 to 16 bytes (ISO/IEC 7816-4).
constexpr std::size_t aid_digits_min = 10;
constexpr std::size_t aid_digits_max = 32;

std::optional<Words> words_of(Field field) {
  switch (field) {
    case Field::type:
    case Field::original_type:
      return event_types();
    case Field::outcome:
      return outcomes;
    case Field::authorized_by:
      return authorizers;
    case Field::entry_mode:
      return entry_modes;
    case Field::cvm:
      return cardholder_checks;
    case Field::reason:
      return reasons;
    default:
      return std::nullopt;
  }
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

std::optional<Refusal> check_last4(std::string_view text) {
  if (text.size() == 4 && std::ranges::all_of(text, is_digit)) return std::nullopt;
  return redact::invalid(Field::card_last4, "must be exactly four digits");
}

std::optional<Refusal> check_aid(std::string_view text) {
  const bool fits = text.size() >= aid_digits_min && text.size() <= aid_digits_max && text.size() % 2 == 0;
  if (fits && std::ranges::all_of(text, is_hex)) return std::nullopt;
  return redact::invalid(Field::emv_aid, "must be 5 to 16 bytes in hexadecimal");
}

std::optional<Refusal> check_words(Field field, std::string_view text, Words words) {
  if (std::ranges::find(words, text) != words.end()) return std::nullopt;
  return redact::invalid(field, fmt::format("must be one of: {}", fmt::join(words, " ")));
}

std::optional<Refusal> check_free_text(Field field, std::string_view text) {
  const auto characters = redact::count_characters(text);
  if (!characters) return redact::invalid(field, "is not UTF-8");
  if (*characters > text_characters_max)
    return redact::invalid(field, fmt::format("is longer than {} characters", text_characters_max));
  if (!redact::is_printable(text))
    return redact::invalid(field, "holds a control character or one that cannot be shown");
  return std::nullopt;
}

std::optional<Refusal> check_text(Field field, std::string_view text) {
  if (text.empty()) return std::nullopt;
  if (const auto words = words_of(field)) return check_words(field, text, *words);
  if (field == Field::card_last4) return check_last4(text);
  if (field == Field::emv_aid) return check_aid(text);
  // Their readers say what is wrong.
  if (field == Field::occurred_at || field == Field::currency) return std::nullopt;
  return check_free_text(field, text);
}

std::optional<Refusal> check_number(Field field, const std::optional<std::int64_t>& number) {
  const std::int64_t max = field == Field::installments ? installments_max : amount_max;
  if (!number || (*number >= 0 && *number <= max)) return std::nullopt;
  return redact::invalid(field, fmt::format("must be from 0 to {}", max));
}

std::optional<Refusal> check_attribute(std::string_view name, std::string_view value) {
  if (name.empty()) return redact::invalid(Field::attributes, "holds an empty key");
  if (name.size() > attribute_name_bytes_max)
    return redact::invalid(Field::attributes,
                           fmt::format("holds a key longer than {} bytes", attribute_name_bytes_max));
  if (value.size() > attribute_value_bytes_max)
    return redact::invalid(Field::attributes,
                           fmt::format("holds a value longer than {} bytes", attribute_value_bytes_max));
  if (!redact::is_printable(name) || !redact::is_printable(value))
    return redact::invalid(Field::attributes, "holds a control character or one that cannot be shown");
  return std::nullopt;
}

std::optional<Refusal> check_attributes(const Fields& fields) {
  if (fields.attributes.size() > attributes_max)
    return redact::invalid(Field::attributes, fmt::format("holds more than {} keys", attributes_max));
  for (const auto& [name, value] : fields.attributes)
    if (auto refusal = check_attribute(name, value)) return refusal;
  return std::nullopt;
}

bool is_incomplete(const Fields& fields, Field field) {
  return std::ranges::find(fields.incomplete, name_of(field)) != fields.incomplete.end();
}

std::optional<Refusal> check_present(const Fields& fields) {
  for (const Field field : {Field::type, Field::terminal_id, Field::terminal_ref, Field::occurred_at})
    if (fields.text(field).empty()) return redact::invalid(field, "is required");
  if (!moves_money(fields.text(Field::type))) return std::nullopt;
  if (!fields.number(Field::amount_minor) && !is_incomplete(fields, Field::amount_minor))
    return redact::invalid(Field::amount_minor, "is required for this type");
  if (fields.text(Field::outcome).empty()) return redact::invalid(Field::outcome, "is required for this type");
  return std::nullopt;
}

// amount_minor is the total: its parts are inside.
std::optional<Refusal> check_parts(const Fields& fields) {
  if (fields.text(Field::outcome) != "approved" || !fields.number(Field::amount_minor)) return std::nullopt;
  std::int64_t rest = *fields.number(Field::amount_minor);
  for (const Field part : amount_parts) {
    rest -= fields.number(part).value_or(0);
    if (rest < 0)
      return redact::invalid(part,
                             "does not fit into amount_minor, which is the total with tip, cash-back and surcharge");
  }
  return std::nullopt;
}

std::optional<Refusal> check_values(const Fields& fields) {
  for (std::size_t i = 0; i < redact::text_count; ++i)
    if (auto refusal = check_text(redact::text_at(i), fields.texts[i])) return refusal;
  for (std::size_t i = 0; i < redact::number_count; ++i)
    if (auto refusal = check_number(redact::number_at(i), fields.numbers[i])) return refusal;
  return check_attributes(fields);
}

std::optional<Refusal> check_totals(const Fields& fields) {
  if (fields.text(Field::type) == "batch_total") return std::nullopt;
  for (const Field total : totals)
    if (fields.number(total)) return redact::invalid(total, "is for batch_total only");
  return std::nullopt;
}

void leave_out(Fields& fields, Field field) {
  if (!is_incomplete(fields, field)) fields.incomplete.emplace_back(name_of(field));
}

// Emptied, it is refused as missing.
void drop_texts(Fields& fields) {
  for (std::size_t i = 0; i < redact::text_count; ++i) {
    if (!check_text(redact::text_at(i), fields.texts[i])) continue;
    fields.texts[i].clear();
    leave_out(fields, redact::text_at(i));
  }
}

void drop_numbers(Fields& fields) {
  for (std::size_t i = 0; i < redact::number_count; ++i) {
    if (!check_number(redact::number_at(i), fields.numbers[i])) continue;
    fields.numbers[i].reset();
    leave_out(fields, redact::number_at(i));
  }
  if (!check_parts(fields)) return;
  for (const Field part : amount_parts) {
    if (std::exchange(fields.number(part), std::nullopt)) leave_out(fields, part);
  }
}

void drop_attributes(Fields& fields) {
  const auto before = fields.attributes.size();
  std::erase_if(fields.attributes,
                [](const auto& entry) { return check_attribute(entry.first, entry.second).has_value(); });
  while (fields.attributes.size() > attributes_max) fields.attributes.erase(std::prev(fields.attributes.end()));
  if (fields.attributes.size() < before) leave_out(fields, Field::attributes);
}

}  // namespace

Fields without_the_unstorable(Fields fields) {
  drop_texts(fields);
  drop_numbers(fields);
  drop_attributes(fields);
  if (!moves_money(fields.text(Field::type))) return fields;
  if (!fields.number(Field::amount_minor)) leave_out(fields, Field::amount_minor);
  if (fields.text(Field::outcome).empty()) {
    fields.text(Field::outcome) = "unknown";
    leave_out(fields, Field::outcome);
  }
  return fields;
}

std::optional<Refusal> check_fields(const Fields& fields) {
  if (auto refusal = check_values(fields)) return refusal;
  if (auto refusal = check_present(fields)) return refusal;
  if (auto refusal = check_totals(fields)) return refusal;
  return check_parts(fields);
}

}  // namespace ingest
