#include "firmware-gateway/status/event_line.hpp"

#include "firmware-gateway/status/json.hpp"
#include "proto/base/instant.hpp"
#include "proto/base/text.hpp"
#include "proto/base/uuid.hpp"
#include "proto/wire/event.pb.h"

namespace status {

namespace {

using tillstream::v1::Event;

void add(JsonObject& json, std::string_view name, const std::string& text) {
  if (!text.empty()) json.text(name, text);
}

void add_id(JsonObject& json, std::string_view name, const std::string& bytes) {
  add(json, name, base::uuid_text(bytes));
}

void add_time(JsonObject& json, std::string_view name, std::int64_t milliseconds) {
  json.text(name, base::to_rfc3339(base::UtcTime(std::chrono::milliseconds(milliseconds))));
}

void add_money(JsonObject& json, const Event& event) {
  if (event.has_amount_minor()) json.number("amount_minor", event.amount_minor());
  add(json, "currency", event.currency());
  if (event.has_currency_exponent()) json.number("currency_exponent", event.currency_exponent());
  if (event.has_requested_minor()) json.number("requested_minor", event.requested_minor());
  if (event.has_tip_minor()) json.number("tip_minor", event.tip_minor());
  if (event.has_cashback_minor()) json.number("cashback_minor", event.cashback_minor());
  if (event.has_surcharge_minor()) json.number("surcharge_minor", event.surcharge_minor());
  if (event.has_effect_minor()) json.number("effect_minor", event.effect_minor());
  if (event.has_installments()) json.number("installments", event.installments());
}

void add_texts(JsonObject& json, const Event& event) {
  add(json, "merchant_id", event.merchant_id());
  add(json, "merchant_name", event.merchant_name());
  add(json, "merchant_city", event.merchant_city());
  add(json, "mcc", event.mcc());
  add(json, "till_id", event.till_id());
  add(json, "operator_id", event.operator_id());
  add(json, "batch_no", event.batch_no());
  add(json, "outcome", event.outcome());
  add(json, "authorized_by", event.authorized_by());
  add(json, "card_last4", event.card_last4());
  add(json, "card_brand", event.card_brand());
  add(json, "card_token", event.card_token());
  add(json, "card_token_key", event.card_token_key());
  add(json, "card_par", event.card_par());
  add(json, "entry_mode", event.entry_mode());
  add(json, "cvm", event.cvm());
  add(json, "emv_aid", event.emv_aid());
  add(json, "response_code", event.response_code());
  add(json, "auth_code", event.auth_code());
  add(json, "rrn", event.rrn());
  add(json, "stan", event.stan());
  add(json, "original_ref", event.original_ref());
  add(json, "original_terminal_id", event.original_terminal_id());
  add(json, "original_type", event.original_type());
  add(json, "reason", event.reason());
  add(json, "business_date", event.business_date());
  add(json, "business_key", event.business_key());
  add(json, "notice", event.notice());
}

void add_lists(JsonObject& json, const Event& event) {
  if (!event.attributes().empty()) {
    JsonObject attributes;
    for (const auto& [name, value] : event.attributes()) attributes.text(name, value);
    json.raw("attributes", attributes.str());
  }
  for (const auto& [name, value] : event.details()) json.text("detail_" + name, value);
  if (event.incomplete().empty()) return;
  JsonArray incomplete;
  for (const auto& name : event.incomplete()) incomplete.add(json_text(name));
  json.raw("incomplete", incomplete.str());
}

}  // namespace

std::string event_line(const LinePlace& place, base::BytesView record) {
  JsonObject json;
  json.number("row", place.row)
      .text("epoch", place.epoch)
      .number("seq", place.seq)
      .boolean("committed", place.committed);
  Event event;
  if (!event.ParseFromArray(record.data(), static_cast<int>(record.size()))) {
    return json.text("record", base::to_hex(record)).str() + "\n";
  }
  add_id(json, "event_id", event.event_id());
  json.number("schema_version", event.schema_version());
  add(json, "type", event.type());
  add(json, "source", event.source());
  add(json, "terminal_id", event.terminal_id());
  add(json, "terminal_ref", event.terminal_ref());
  add_time(json, "occurred_at", event.occurred_at_ms());
  json.number("utc_offset_minutes", event.utc_offset_minutes());
  add_time(json, "received_at", event.received_at_ms());
  json.text("clock", event.clock_synced() ? "synced" : "unsynced");
  add_money(json, event);
  add_texts(json, event);
  add_id(json, "original_event_id", event.original_event_id());
  add_id(json, "conflict_with", event.conflict_with());
  add_lists(json, event);
  return json.str() + "\n";
}

}  // namespace status
