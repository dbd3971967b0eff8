#include "cloud-bridge/stream/record.hpp"

#include <algorithm>
#include <vector>

#include "cloud-bridge/stream/json_object.hpp"
#include "cloud-bridge/stream/unknown_fields.hpp"
#include "proto/base/assert.hpp"
#include "proto/base/text.hpp"
#include "proto/base/uuid.hpp"

namespace stream {
namespace {

using base::uuid_text;
using tillstream::v1::Event;

constexpr std::size_t kUuidBytes = 16;

// 0001-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z: what RFC 3339 can say.
constexpr std::int64_t kTimeMin = -62'135'596'800'000;
constexpr std::int64_t kTimeMax = 253'402'300'799'999;
constexpr std::size_t kTypeMax = 64;

bool is_word(std::string_view type) {
  return type.size() <= kTypeMax && std::all_of(type.begin(), type.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

bool is_optional_id(std::string_view bytes) { return bytes.empty() || bytes.size() == kUuidBytes; }
bool is_time(std::int64_t ms) { return ms >= kTimeMin && ms <= kTimeMax; }

bool misses_field(const Event& event) {
  if (event.schema_version() == 0 || event.event_id().empty() || event.type().empty()) return true;
  return event.type() == "notice" ? event.notice().empty() : event.terminal_id().empty();
}

bool has_invalid_field(const Event& event) {
  return event.event_id().size() != kUuidBytes || !is_optional_id(event.original_event_id()) ||
         !is_optional_id(event.conflict_with()) || !is_word(event.type()) || !is_time(event.occurred_at_ms()) ||
         !is_time(event.received_at_ms());
}

// Every event has both its times. 0 is one, too: a terminal whose clock lost its battery begins in 1970.
std::string time_text(std::int64_t ms) { return base::to_rfc3339(base::UtcTime(std::chrono::milliseconds(ms))); }

template <class Map>
auto sorted(const Map& map) {
  std::vector<const typename Map::value_type*> entries;
  entries.reserve(map.size());
  for (const auto& entry : map) entries.push_back(&entry);
  std::sort(entries.begin(), entries.end(), [](const auto* a, const auto* b) { return a->first < b->first; });
  return entries;
}

void append_identity(JsonObject& json, const Event& event, const Record& record) {
  json.number("schema_version", event.schema_version());
  json.text("event_id", record.event_id);
  json.text("type", record.type);
  json.text("gateway_id", record.gateway_id);
  json.text("epoch", record.epoch);
  json.number("seq", record.seq);
  json.text("terminal_id", event.terminal_id());
  json.text("terminal_ref", event.terminal_ref());
  json.text("business_key", event.business_key());
  json.text("source", event.source());
}

void append_times(JsonObject& json, const Event& event, const Record& record) {
  json.text("occurred_at", record.occurred_at);
  if (!record.occurred_at.empty() || event.utc_offset_minutes() != 0)
    json.number("utc_offset_minutes", event.utc_offset_minutes());
  json.text("business_date", event.business_date());
  json.text("received_at", record.received_at);
  json.text("clock", event.clock_synced() ? "synced" : "unsynced");
  json.text("published_at", record.published_at);
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

void append_payment(JsonObject& json, const Event& event) {
  json.text("outcome", event.outcome());
  json.text("authorized_by", event.authorized_by());
  json.text("card_last4", event.card_last4());
  json.text("card_brand", event.card_brand());
  json.text("card_token", event.card_token());
  json.text("card_token_key", event.card_token_key());
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
  json.text("original_event_id", uuid_text(event.original_event_id()));
  json.text("reason", event.reason());
}

void append_attributes(std::string& out, JsonObject& json, const Event& event) {
  if (event.attributes().empty()) return;
  json.begin_member("attributes");
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

void append_incomplete(std::string& out, JsonObject& json, const Event& event) {
  if (event.incomplete().empty()) return;
  json.begin_member("incomplete");
  out += '[';
  const char* separator = "";
  for (const std::string& name : event.incomplete()) {
    out += separator;
    append_json_string(out, name);
    separator = ",";
  }
  out += ']';
}

void append_notice(std::string& out, JsonObject& json, const Event& event) {
  json.text("notice", event.notice());
  for (const auto* entry : sorted(event.details())) {
    if (entry->second.empty()) continue;
    json.begin_escaped_member("detail_" + entry->first);
    append_json_string(out, entry->second);
  }
}

void append_value(std::string& out, const Event& event, const Record& record, bool possible_repeat) {
  JsonObject json(out);
  append_identity(json, event, record);
  append_times(json, event, record);
  append_merchant(json, event);
  append_amounts(json, event);
  append_payment(json, event);
  append_original(json, event);
  append_attributes(out, json, event);
  append_incomplete(out, json, event);
  json.text("conflict_with", uuid_text(event.conflict_with()));
  if (possible_repeat) json.flag("possible_repeat", true);
  append_notice(out, json, event);
  json.end();
}

}  // namespace

std::string_view word(DecodeError error) {
  switch (error) {
    case DecodeError::newer_schema:
      return "newer_schema";
    case DecodeError::too_large:
      return "too_large";
    case DecodeError::undecodable:
      return "undecodable";
    case DecodeError::missing_field:
      return "missing_field";
    case DecodeError::invalid_field:
      return "invalid_field";
  }
  ASSERT(false);
  return {};
}

base::Result<Event, DecodeError> decode_event(base::BytesView record) {
  if (record.size() > kRecordBytesMax) return base::fail(DecodeError::too_large);
  Event event;
  if (!event.ParseFromArray(record.data(), static_cast<int>(record.size())))
    return base::fail(DecodeError::undecodable);
  if (event.schema_version() > kSchemaVersion) return base::fail(DecodeError::newer_schema);
  if (misses_field(event)) return base::fail(DecodeError::missing_field);
  if (has_invalid_field(event)) return base::fail(DecodeError::invalid_field);
  // A good event with more in it than we can show: whoever wrote it knows more than we do.
  if (has_unknown_field(record)) return base::fail(DecodeError::newer_schema);
  return event;
}

Record render_event(const Event& event, const Publication& publication) {
  Record record;
  record.event_id = uuid_text(event.event_id());
  record.gateway_id = publication.gateway_id;
  record.epoch = base::to_hex(publication.epoch.view());
  record.seq = publication.seq.value();
  record.key.reserve(publication.gateway_id.size() + 1 + event.terminal_id().size());
  record.key.append(publication.gateway_id).append("/").append(event.terminal_id());
  record.type = event.type();
  record.occurred_at = time_text(event.occurred_at_ms());
  record.received_at = time_text(event.received_at_ms());
  record.published_at = base::to_rfc3339(publication.published_at);
  record.value.reserve(1024);
  append_value(record.value, event, record, publication.possible_repeat);
  return record;
}

void append_headers_json(std::string& out, const Record& record) {
  JsonObject json(out);
  each_header(record, [&json](std::string_view name, std::string_view value) { json.text(name, value); });
  json.end();
}

}  // namespace stream
