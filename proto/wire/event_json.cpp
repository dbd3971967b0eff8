#include "proto/wire/event_json.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "proto/base/instant.hpp"
#include "proto/base/text.hpp"
#include "proto/base/uuid.hpp"

namespace wire {
namespace {

using base::append_json_string;
using base::JsonObject;
using tillstream::v1::Event;

// Every event has both its times. 0 is one, too: a terminal whose clock lost its battery begins in 1970. Empty for what
// RFC 3339 cannot say: only a damaged record holds that.
std::string time_text(std::int64_t ms) {
  return base::rfc3339_can_say(ms) ? base::to_rfc3339(base::UtcTime(std::chrono::milliseconds(ms))) : std::string();
}

template <class Map>
auto sorted(const Map& map) {
  std::vector<const typename Map::value_type*> entries;
  entries.reserve(map.size());
  for (const auto& entry : map) entries.push_back(&entry);
  std::sort(entries.begin(), entries.end(), [](const auto* a, const auto* b) { return a->first < b->first; });
  return entries;
}

void append_identity(JsonObject& json, const Event& event) {
  json.number("schema_version", event.schema_version());
  json.text("event_id", base::uuid_text(event.event_id()));
  json.text("type", event.type());
  json.text("gateway_id", event.gateway_id());
  json.text("epoch", event.epoch());
  if (event.has_seq()) json.number("seq", event.seq());
  json.text("terminal_id", event.terminal_id());
  json.text("terminal_ref", event.terminal_ref());
  json.text("business_key", event.business_key());
  json.text("source", event.source());
}

void append_times(JsonObject& json, const Event& event) {
  json.text("occurred_at", time_text(event.occurred_at_ms()));
  json.number("utc_offset_minutes", event.utc_offset_minutes());
  json.text("business_date", event.business_date());
  json.text("received_at", time_text(event.received_at_ms()));
  if (event.source() != kBridgeSource) json.text("clock", event.clock_synced() ? "synced" : "unsynced");
  if (event.has_published_at_ms()) json.text("published_at", time_text(event.published_at_ms()));
}

void append_merchant(JsonObject& json, const Event& event) {
  json.text("merchant_id", event.merchant_id());
  json.text("merchant_name", event.merchant_name());
  json.text("merchant_city", event.merchant_city());
  json.text("mcc", event.mcc());
  json.text("till_id", event.till_id());
  json.text("operator_id", event.operator_id());
  json.text("batch_no", event.batch_no());
}

void append_amounts(JsonObject& json, const Event& event) {
  if (event.has_amount_minor()) json.number("amount_minor", event.amount_minor());
  json.text("currency", event.currency());
  if (event.has_currency_exponent()) json.number("currency_exponent", event.currency_exponent());
  if (event.has_requested_minor()) json.number("requested_minor", event.requested_minor());
  if (event.has_tip_minor()) json.number("tip_minor", event.tip_minor());
  if (event.has_cashback_minor()) json.number("cashback_minor", event.cashback_minor());
  if (event.has_surcharge_minor()) json.number("surcharge_minor", event.surcharge_minor());
  if (event.has_effect_minor()) json.number("effect_minor", event.effect_minor());
}

void append_totals(JsonObject& json, const Event& event) {
  if (event.has_sales_count()) json.number("sales_count", event.sales_count());
  if (event.has_sales_minor()) json.number("sales_minor", event.sales_minor());
  if (event.has_refunds_count()) json.number("refunds_count", event.refunds_count());
  if (event.has_refunds_minor()) json.number("refunds_minor", event.refunds_minor());
  if (event.has_reversals_count()) json.number("reversals_count", event.reversals_count());
  if (event.has_reversals_minor()) json.number("reversals_minor", event.reversals_minor());
  if (event.has_refund_reversals_count()) json.number("refund_reversals_count", event.refund_reversals_count());
  if (event.has_refund_reversals_minor()) json.number("refund_reversals_minor", event.refund_reversals_minor());
  if (event.has_declined_count()) json.number("declined_count", event.declined_count());
  if (event.has_failed_count()) json.number("failed_count", event.failed_count());
}

void append_settlement(JsonObject& json, const Event& event) {
  if (event.has_net_minor()) json.number("net_minor", event.net_minor());
  if (event.has_recorded_sales_count()) json.number("recorded_sales_count", event.recorded_sales_count());
  if (event.has_recorded_sales_minor()) json.number("recorded_sales_minor", event.recorded_sales_minor());
  if (event.has_recorded_refunds_count()) json.number("recorded_refunds_count", event.recorded_refunds_count());
  if (event.has_recorded_refunds_minor()) json.number("recorded_refunds_minor", event.recorded_refunds_minor());
  if (event.has_recorded_reversals_count()) json.number("recorded_reversals_count", event.recorded_reversals_count());
  if (event.has_recorded_reversals_minor()) json.number("recorded_reversals_minor", event.recorded_reversals_minor());
  if (event.has_recorded_refund_reversals_count())
    json.number("recorded_refund_reversals_count", event.recorded_refund_reversals_count());
  if (event.has_recorded_refund_reversals_minor())
    json.number("recorded_refund_reversals_minor", event.recorded_refund_reversals_minor());
  if (event.has_difference_minor()) json.number("difference_minor", event.difference_minor());
  if (event.has_in_balance()) json.flag("in_balance", event.in_balance());
  if (event.has_batch_closed()) json.flag("batch_closed", event.batch_closed());
}

void append_payment(JsonObject& json, const Event& event) {
  json.text("outcome", event.outcome());
  json.text("authorized_by", event.authorized_by());
  json.text("card_last4", event.card_last4());
  json.text("card_brand", event.card_brand());
  json.text("card_token", event.card_token());
  json.text("card_token_key", event.card_token_key());
  json.text("card_token_previous", event.card_token_previous());
  json.text("card_token_previous_key", event.card_token_previous_key());
  json.text("card_par", event.card_par());
  json.text("entry_mode", event.entry_mode());
  json.text("cvm", event.cvm());
  json.text("emv_aid", event.emv_aid());
  if (event.has_installments()) json.number("installments", event.installments());
  json.text("response_code", event.response_code());
  json.text("auth_code", event.auth_code());
  json.text("rrn", event.rrn());
  json.text("stan", event.stan());
}

void append_original(JsonObject& json, const Event& event) {
  json.text("original_ref", event.original_ref());
  json.text("original_terminal_id", event.original_terminal_id());
  json.text("original_type", event.original_type());
  json.text("original_event_id", base::uuid_text(event.original_event_id()));
  json.text("reason", event.reason());
}

void append_attributes(JsonObject& json, const Event& event) {
  if (event.attributes().empty()) return;
  std::string& out = json.begin_member("attributes");
  out += '{';
  const char* separator = "";
  for (const auto* entry : sorted(event.attributes())) {
    out += separator;
    append_json_string(out, entry->first);
    out += ':';
    append_json_string(out, entry->second);
    separator = ",";
  }
  out += '}';
}

void append_incomplete(JsonObject& json, const Event& event) {
  if (event.incomplete().empty()) return;
  std::string& out = json.begin_member("incomplete");
  out += '[';
  const char* separator = "";
  for (const std::string& name : event.incomplete()) {
    out += separator;
    append_json_string(out, name);
    separator = ",";
  }
  out += ']';
}

void append_notice(JsonObject& json, const Event& event) {
  json.text("notice", event.notice());
  for (const auto* entry : sorted(event.details())) {
    if (entry->second.empty()) continue;
    append_json_string(json.begin_escaped_member("detail_" + entry->first), entry->second);
  }
}

}  // namespace

void append_event(JsonObject& json, const Event& event) {
  append_identity(json, event);
  append_times(json, event);
  append_merchant(json, event);
  append_amounts(json, event);
  append_totals(json, event);
  append_settlement(json, event);
  append_payment(json, event);
  append_original(json, event);
  append_attributes(json, event);
  append_incomplete(json, event);
  json.text("conflict_with", base::uuid_text(event.conflict_with()));
  if (event.possible_repeat()) json.flag("possible_repeat", true);
  append_notice(json, event);
}

}  // namespace wire
