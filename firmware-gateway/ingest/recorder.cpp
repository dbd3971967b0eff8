#include "firmware-gateway/ingest/recorder.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "firmware-gateway/ingest/derivation.hpp"
#include "firmware-gateway/ingest/event_types.hpp"
#include "firmware-gateway/ingest/field_rules.hpp"
#include "firmware-gateway/ingest/written_time.hpp"
#include "firmware-gateway/redact/unicode.hpp"
#include "proto/base/currency.hpp"
#include "proto/base/timestamp.hpp"

namespace ingest {
namespace {

using redact::Field;
using redact::Fields;
using redact::Refusal;
using redact::unread_amount;
using tillstream::v1::Event;

using MaybeRefusal = std::optional<Refusal>;

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

const std::string& either(const std::string& given, const std::string& fallback) {
  return given.empty() ? fallback : given;
}

void set_texts(Event& event, const Fields& fields) {
  event.set_type(fields.text(Field::type));
  event.set_terminal_id(fields.text(Field::terminal_id));
  event.set_terminal_ref(fields.text(Field::terminal_ref));
  event.set_till_id(fields.text(Field::till_id));
  event.set_operator_id(fields.text(Field::operator_id));
  event.set_batch_no(fields.text(Field::batch_no));
  event.set_outcome(fields.text(Field::outcome));
  event.set_authorized_by(fields.text(Field::authorized_by));
  event.set_entry_mode(fields.text(Field::entry_mode));
  event.set_cvm(fields.text(Field::cvm));
  event.set_emv_aid(fields.text(Field::emv_aid));
  event.set_response_code(fields.text(Field::response_code));
  event.set_auth_code(fields.text(Field::auth_code));
  event.set_rrn(fields.text(Field::rrn));
  event.set_stan(fields.text(Field::stan));
  event.set_original_ref(fields.text(Field::original_ref));
  event.set_original_terminal_id(fields.text(Field::original_terminal_id));
  event.set_original_type(fields.text(Field::original_type));
  event.set_reason(fields.text(Field::reason));
}

void set_card(Event& event, const Fields& fields) {
  event.set_card_last4(fields.text(Field::card_last4));
  event.set_card_brand(lower_case(fields.text(Field::card_brand)));
  event.set_card_token(fields.text(Field::card_token));
  event.set_card_token_key(fields.text(Field::card_token_key));
  event.set_card_par(fields.text(Field::card_par));
  if (!fields.previous_token) return;
  event.set_card_token_previous(fields.previous_token->token);
  event.set_card_token_previous_key(fields.previous_token->key);
}

void set_merchant(Event& event, const Fields& fields, const TerminalProfile& profile) {
  event.set_merchant_id(either(fields.text(Field::merchant_id), profile.merchant_id));
  event.set_merchant_name(either(fields.text(Field::merchant_name), profile.merchant_name));
  event.set_merchant_city(either(fields.text(Field::merchant_city), profile.merchant_city));
  event.set_mcc(either(fields.text(Field::mcc), profile.mcc));
}

void set_numbers(Event& event, const Fields& fields) {
  if (const auto& number = fields.number(Field::amount_minor)) event.set_amount_minor(*number);
  if (const auto& number = fields.number(Field::requested_minor)) event.set_requested_minor(*number);
  if (const auto& number = fields.number(Field::tip_minor)) event.set_tip_minor(*number);
  if (const auto& number = fields.number(Field::cashback_minor)) event.set_cashback_minor(*number);
  if (const auto& number = fields.number(Field::surcharge_minor)) event.set_surcharge_minor(*number);
  if (const auto& number = fields.number(Field::installments))
    event.set_installments(static_cast<std::uint32_t>(*number));
}

void set_totals(Event& event, const Fields& fields) {
  if (const auto& number = fields.number(Field::sales_count)) event.set_sales_count(*number);
  if (const auto& number = fields.number(Field::sales_minor)) event.set_sales_minor(*number);
  if (const auto& number = fields.number(Field::refunds_count)) event.set_refunds_count(*number);
  if (const auto& number = fields.number(Field::refunds_minor)) event.set_refunds_minor(*number);
  if (const auto& number = fields.number(Field::reversals_count)) event.set_reversals_count(*number);
  if (const auto& number = fields.number(Field::reversals_minor)) event.set_reversals_minor(*number);
  if (const auto& number = fields.number(Field::refund_reversals_count)) event.set_refund_reversals_count(*number);
  if (const auto& number = fields.number(Field::refund_reversals_minor)) event.set_refund_reversals_minor(*number);
  if (const auto& number = fields.number(Field::declined_count)) event.set_declined_count(*number);
  if (const auto& number = fields.number(Field::failed_count)) event.set_failed_count(*number);
  if (fields.settlement && fields.settlement->net_minor) event.set_net_minor(*fields.settlement->net_minor);
}

bool has_totals(const Event& event) {
  return event.has_sales_count() || event.has_sales_minor() || event.has_refunds_count() || event.has_refunds_minor() ||
         event.has_reversals_count() || event.has_reversals_minor() || event.has_refund_reversals_count() ||
         event.has_refund_reversals_minor() || event.has_declined_count() || event.has_failed_count() ||
         event.has_net_minor();
}

bool needs_version_2(const Event& event) { return has_totals(event) || !event.card_token_previous().empty(); }

MaybeRefusal set_time(Event& event, const Fields& fields) {
  const auto time = base::parse_rfc3339(fields.text(Field::occurred_at));
  if (!time)
    return redact::invalid(Field::occurred_at,
                           "must be a time by RFC 3339 with an offset, like 2026-11-24T21:23:51+01:00");
  event.set_occurred_at_ms(time->utc.time_since_epoch().count());
  event.set_utc_offset_minutes(static_cast<std::int32_t>(time->offset.count()));
  return std::nullopt;
}

constexpr std::array amounts = {Field::amount_minor, Field::requested_minor, Field::tip_minor, Field::cashback_minor,
                                Field::surcharge_minor};

bool has_amount(const Fields& fields) {
  return std::ranges::any_of(amounts, [&](Field field) { return fields.number(field).has_value(); });
}

bool is_incomplete(const Fields& fields, Field field) {
  return std::ranges::find(fields.incomplete, name_of(field)) != fields.incomplete.end();
}

MaybeRefusal set_currency(Event& event, const Fields& fields, const TerminalProfile& profile) {
  const std::string& given = fields.text(Field::currency);
  if (is_incomplete(fields, Field::currency)) return std::nullopt;
  // A terminal whose settlement names no currency, and has no default, cannot be compared; it settles all the same.
  if (given.empty() && !has_amount(fields) && (!fields.settlement || profile.currency.empty())) return std::nullopt;
  const std::string& code = either(given, profile.currency);
  if (code.empty()) return redact::invalid(Field::currency, "is required: the terminal has no default");
  const auto currency = base::find_currency(code);
  if (!currency)
    return redact::invalid(Field::currency,
                           "must be an alphabetic or numeric code of ISO 4217 that is in use, like EUR or 978");
  event.set_currency(std::string(currency->alpha));
  event.set_currency_exponent(currency->exponent);
  return std::nullopt;
}

// What has happened in a currency that nobody knows is kept; its amount as it came, as text: it moves nothing that
// could be added up.
Fields without_unknown_currency(Fields fields, const TerminalProfile& profile) {
  constexpr std::size_t code_bytes_max = 4;
  std::string& given = fields.text(Field::currency);
  const std::string code = either(given, profile.currency);
  if (!is_incomplete(fields, Field::currency)) {
    if (base::find_currency(code) || (given.empty() && !has_amount(fields))) return fields;
    fields.incomplete.emplace_back(name_of(Field::currency));
  }
  if (const auto amount = fields.number(Field::amount_minor)) {
    const bool tells = code.size() <= code_bytes_max && redact::is_printable(code);
    fields.attributes[unread_amount] = std::to_string(*amount) + (tells && !code.empty() ? " " + code : "");
  }
  for (const Field amount : amounts)
    if (std::exchange(fields.number(amount), std::nullopt)) fields.incomplete.emplace_back(name_of(amount));
  given.clear();
  return fields;
}

void set_rest(Event& event, const Fields& fields) {
  event.set_source(std::string(word(fields.source)));
  for (const auto& [name, value] : fields.attributes) (*event.mutable_attributes())[name] = value;
  for (const std::string& name : fields.incomplete) event.add_incomplete(name);
}

void set_effect(Event& event, std::string_view original_type) {
  if (const auto effect = effect_of(event, original_type)) event.set_effect_minor(*effect);
}

// A reversal that says no amount takes back the whole of its original. One whose amount could not be read does not.
bool takes_back_all(const Event& event) {
  return event.type() == "reversal" && !event.has_amount_minor() && !event.attributes().contains(unread_amount);
}

void take_amount(Event& event, const Event& original) {
  event.set_amount_minor(original.amount_minor());
  event.set_currency(original.currency());
  event.set_currency_exponent(original.currency_exponent());
  auto& incomplete = *event.mutable_incomplete();
  for (const Field field : {Field::amount_minor, Field::currency})
    incomplete.erase(std::remove(incomplete.begin(), incomplete.end(), name_of(field)), incomplete.end());
}

// What a reversal takes back beside those before it.
std::int64_t not_taken_back(const Event& event, const Event& original, bool says_rest, std::int64_t taken_back) {
  const std::int64_t amount = event.amount_minor();
  // Of the whole, or down to a rest: the earlier ones are inside. Of a part: it comes on top of them.
  if (says_rest || amount >= original.amount_minor()) return std::max<std::int64_t>(amount - taken_back, 0);
  return std::min(amount, std::max<std::int64_t>(original.amount_minor() - taken_back, 0));
}

// Tip, cash-back and surcharge in another currency than the amount of which they are part.
Fields without_foreign_parts(Fields fields, const Event& event) {
  const auto currency = base::find_currency(fields.parts_currency);
  if (fields.parts_currency.empty() || (currency && currency->alpha == event.currency())) return fields;
  for (const Field part : {Field::tip_minor, Field::cashback_minor, Field::surcharge_minor})
    if (std::exchange(fields.number(part), std::nullopt)) fields.incomplete.emplace_back(name_of(part));
  return fields;
}

}  // namespace

// Card schemes write times that only the moment of receipt and the terminal's zone complete.
Fields Recorder::complete(Fields fields, Moment moment) const {
  if (fields.source != redact::Source::iso8583 || !fields.text(Field::occurred_at).empty()) return fields;
  const TerminalProfile* const profile = terminals_.find(fields.text(Field::terminal_id));
  const std::string_view zone = profile == nullptr ? std::string_view() : std::string_view(profile->time_zone);
  const When when = resolve(fields.written_local, fields.written_utc, zone, zones_, moment.utc);
  fields.text(Field::occurred_at) = base::to_rfc3339(when.time);
  if (when.is_receipt && !is_incomplete(fields, Field::occurred_at))
    fields.incomplete.emplace_back(name_of(Field::occurred_at));
  return fields;
}

base::Result<Event, Refusal> Recorder::record(const redact::Cleared& cleared, Moment moment) {
  Fields fields = complete(cleared.fields(), moment);
  if (fields.on_conflict == redact::OnConflict::store) fields = without_the_unstorable(std::move(fields));
  if (auto refusal = check_fields(fields)) return base::fail(std::move(*refusal));
  const TerminalProfile* const profile = terminals_.find(fields.text(Field::terminal_id));
  if (profile == nullptr)
    return base::fail(Refusal{redact::Reason::unknown_terminal,
                              name_of(Field::terminal_id),
                              "this terminal is not in the configuration",
                              {}});
  if (fields.on_conflict == redact::OnConflict::store) fields = without_unknown_currency(std::move(fields), *profile);
  Event event;
  if (auto refusal = set_time(event, fields)) return base::fail(std::move(*refusal));
  if (auto refusal = set_currency(event, fields, *profile)) return base::fail(std::move(*refusal));
  fields = without_foreign_parts(std::move(fields), event);
  set_texts(event, fields);
  set_card(event, fields);
  set_merchant(event, fields, *profile);
  set_numbers(event, fields);
  set_totals(event, fields);
  set_rest(event, fields);
  set_effect(event, event.original_type());
  event.set_schema_version(needs_version_2(event) ? second_schema_version : event_schema_version);
  event.set_event_id(std::string(event_ids_.next(moment.utc).view()));
  event.set_received_at_ms(moment.utc.time_since_epoch().count());
  event.set_clock_synced(moment.clock_synced);
  event.set_business_date(business_date(event, *profile, zones_));
  event.set_business_key(business_key(event, hasher_));
  return event;
}

void link_original(Event& event, const Event& original) {
  if (takes_back_all(event) && original.has_amount_minor()) take_amount(event, original);
  event.set_original_event_id(original.event_id());
  if (const auto effect = effect_of(event, original)) event.set_effect_minor(*effect);
}

void link_reversal(Event& event, const Event& original, std::optional<std::int64_t> rest_minor,
                   std::int64_t taken_back_minor) {
  const std::int64_t rest = rest_minor.value_or(0);
  const bool of_approved_part = event.has_amount_minor() && original.outcome() == "partial" &&
                                event.amount_minor() + rest == original.requested_minor();
  const bool says_rest_alone = rest_minor && !event.has_amount_minor();
  if ((says_rest_alone || of_approved_part) && original.has_amount_minor() && rest < original.amount_minor()) {
    take_amount(event, original);
    event.set_amount_minor(original.amount_minor() - rest);
  }
  // How much it takes back, nobody can say: not all, in any case.
  if (rest_minor && !event.has_amount_minor()) return event.set_original_event_id(original.event_id());
  link_original(event, original);
  if (!event.has_effect_minor() || event.effect_minor() == 0) return;
  const std::int64_t moved = not_taken_back(event, original, rest_minor.has_value(), taken_back_minor);
  event.set_effect_minor(event.effect_minor() < 0 ? -moved : moved);
}

void leave_open(Event& event) {
  event.set_outcome("unknown");
  if (event.has_amount_minor()) event.set_effect_minor(0);
  event.add_incomplete(std::string(name_of(Field::original_ref)));
}

}  // namespace ingest
