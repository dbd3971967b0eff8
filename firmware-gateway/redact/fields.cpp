#include "firmware-gateway/redact/fields.hpp"

#include <algorithm>

#include "proto/base/assert.hpp"
#include "proto/base/text.hpp"

namespace redact {
namespace {

// Names longer than any field's own are compared no further: the distance costs the product of the lengths.
constexpr std::size_t name_bytes_max = 64;

constexpr std::array<FieldRule, field_count> rules{{
    {"type"},
    {"terminal_id", Kind::text, Scan::identity},
    {"terminal_ref", Kind::text, Scan::identity},
    {"occurred_at"},
    {"merchant_id", Kind::text, Scan::identity},
    {"merchant_name", Kind::text, Scan::free},
    {"merchant_city", Kind::text, Scan::free},
    {"mcc", Kind::text, Scan::free},
    {"till_id", Kind::text, Scan::free},
    {"operator_id", Kind::text, Scan::free},
    {"batch_no", Kind::text, Scan::identity},
    {"currency"},
    {"outcome"},
    {"authorized_by"},
    {"card_last4"},
    {"card_brand", Kind::text, Scan::free},
    {"card_token", Kind::text, Scan::drop},
    {"card_token_key", Kind::text, Scan::free},
    {"card_par", Kind::text, Scan::drop},
    {"entry_mode"},
    {"cvm"},
    {"emv_aid", Kind::text, Scan::drop},
    {"response_code", Kind::text, Scan::free},
    {"auth_code", Kind::text, Scan::free},
    {"rrn", Kind::text, Scan::free},
    {"stan", Kind::text, Scan::free},
    {"original_ref", Kind::text, Scan::identity},
    {"original_terminal_id", Kind::text, Scan::identity},
    {"original_type"},
    {"reason"},
    {"amount_minor", Kind::integer},
    {"requested_minor", Kind::integer},
    {"tip_minor", Kind::integer},
    {"cashback_minor", Kind::integer},
    {"surcharge_minor", Kind::integer},
    {"installments", Kind::integer},
    {"sales_count", Kind::integer},
    {"sales_minor", Kind::integer},
    {"refunds_count", Kind::integer},
    {"refunds_minor", Kind::integer},
    {"reversals_count", Kind::integer},
    {"reversals_minor", Kind::integer},
    {"refund_reversals_count", Kind::integer},
    {"refund_reversals_minor", Kind::integer},
    {"declined_count", Kind::integer},
    {"failed_count", Kind::integer},
    {"card_number", Kind::card_number},
    {"attributes", Kind::attributes},
}};

constexpr auto names = [] {
  std::array<std::string_view, field_count> list;
  std::ranges::transform(rules, list.begin(), &FieldRule::name);
  return list;
}();

std::optional<Field> at(const std::string_view* name) {
  if (name == names.end()) return std::nullopt;
  return static_cast<Field>(name - names.begin());
}

}  // namespace

const FieldRule& rule_of(Field field) { return rules.at(static_cast<std::size_t>(field)); }

std::string_view name_of(Field field) { return rule_of(field).name; }

std::optional<Field> find_field(std::string_view name) { return at(std::ranges::find(names, name)); }

std::optional<Field> nearest_field(std::string_view name) {
  if (name.size() > name_bytes_max) return std::nullopt;
  std::string lower(name);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  // amount: amount_minor
  const auto* const longer =
      std::ranges::find_if(names, [&](std::string_view known) { return known.starts_with(lower + '_'); });
  return longer != names.end() ? at(longer) : find_field(base::nearest(lower, names));
}

std::span<const std::string_view> field_names() { return names; }

std::string_view word(Source source) {
  switch (source) {
    case Source::http:
      return "http";
    case Source::framed:
      return "framed";
    case Source::iso8583:
      return "iso8583";
    case Source::nexo:
      return "nexo";
  }
  ASSERT(false);
}

}  // namespace redact
