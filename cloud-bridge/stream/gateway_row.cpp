#include "cloud-bridge/stream/gateway_row.hpp"

#include "proto/base/json_object.hpp"
#include "proto/base/text.hpp"

namespace stream {
namespace {

using base::JsonObject;

using tillstream::v1::Heartbeat;

// A gateway's clock may say anything: what RFC 3339 cannot write is left out.
void append_time(JsonObject& json, std::string_view name, std::int64_t ms) {
  if (ms >= 0 && base::rfc3339_can_say(ms))
    json.text(name, base::to_rfc3339(base::UtcTime(std::chrono::milliseconds(ms))));
}

// A gateway that is still counting after its start says none: left out, not zero.
void append_amounts(std::string& out, JsonObject& json, const Heartbeat& heartbeat) {
  if (heartbeat.pending_events() > 0 && heartbeat.pending_amounts().empty()) return;
  json.begin_member("pending_amounts");
  out += '[';
  const char* separator = "";
  for (const auto& amount : heartbeat.pending_amounts()) {
    out += separator;
    JsonObject entry(out);
    entry.text("currency", amount.currency());
    entry.number("amount_minor", amount.amount_minor());
    entry.number("count", amount.count());
    entry.end();
    separator = ",";
  }
  out += ']';
}

void append_heartbeat(std::string& out, JsonObject& json, const Heartbeat& heartbeat) {
  json.number("pending_events", heartbeat.pending_events());
  append_amounts(out, json, heartbeat);
  if (heartbeat.has_oldest_pending_at_ms()) append_time(json, "oldest_pending_at", heartbeat.oldest_pending_at_ms());
  if (heartbeat.has_complete_until_ms() && heartbeat.clock_synced()) {
    append_time(json, "complete_until", heartbeat.complete_until_ms());
  }
  json.text("clock", heartbeat.clock_synced() ? "synced" : "unsynced");
  if (heartbeat.has_certificate_days_left()) json.number("certificate_days_left", heartbeat.certificate_days_left());
  json.text("version", heartbeat.versions().program());
}

}  // namespace

GatewayRow render_gateway_row(const GatewayState& state) {
  GatewayRow row{.gateway_id = std::string(state.gateway_id), .value = {}};
  JsonObject json(row.value);
  json.text("gateway_id", state.gateway_id);
  json.text("last_heard_at", base::to_rfc3339(state.last_heard_at));
  if (state.progress) {
    json.text("epoch", base::to_hex(state.progress->epoch.view()));
    json.number("committed_seq", state.progress->seq.value());
  }
  if (state.heartbeat != nullptr) append_heartbeat(row.value, json, *state.heartbeat);
  if (state.quarantined) json.flag("quarantined", true);
  json.end();
  return row;
}

}  // namespace stream
