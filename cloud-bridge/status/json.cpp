#include <boost/json.hpp>

#include "cloud-bridge/status/snapshot.hpp"
#include "proto/base/text.hpp"

namespace status {

namespace {

namespace json = boost::json;

double seconds(std::chrono::milliseconds time) { return static_cast<double>(time.count()) / 1000.0; }

void put_time(json::object& object, std::string_view name, const std::optional<base::UtcTime>& time) {
  if (time) object[name] = base::to_rfc3339(*time);
}

template <class T>
void put(json::object& object, std::string_view name, const std::optional<T>& value) {
  if (value) object[name] = *value;
}

void put_text(json::object& object, std::string_view name, const std::string& text) {
  if (!text.empty()) object[name] = text;
}

json::array json_of(const std::vector<Reason>& reasons) {
  json::array array;
  for (const Reason& reason : reasons)
    array.push_back(json::object{{"code", reason.code}, {"message", reason.message}});
  return array;
}

json::array json_of(const std::vector<std::string>& texts) {
  json::array array;
  for (const std::string& text : texts) array.emplace_back(text);
  return array;
}

json::object json_of(const BrokerState& broker) {
  json::object object{{"url", broker.url}, {"connected", broker.connected}};
  put_time(object, "since", broker.connected_since);
  if (broker.offline_for && !broker.connected) object["offline_seconds"] = seconds(*broker.offline_for);
  put_text(object, "last_error", broker.last_error);
  object["messages_waiting"] = broker.messages_waiting;
  object["bytes_waiting"] = broker.bytes_waiting;
  object["messages_dropped_total"] = broker.messages_dropped;
  object["acks_dropped_total"] = broker.publishes_dropped;
  return object;
}

json::object json_of_stream(const Snapshot& snapshot) {
  const stream::Status& state = snapshot.stream;
  json::object object{{"kind", snapshot.stream_kind}};
  put_text(object, "path", snapshot.stream_path);
  object["up"] = state.up;
  put_text(object, "blocked", state.blocked);
  put_text(object, "last_error", state.last_error);
  put_time(object, "last_error_at", state.last_error_at);
  if (state.last_position) object["last_position"] = state.last_position->value();
  object["bytes"] = state.bytes;
  object["bytes_max"] = state.bytes_max;
  object["wal_bytes"] = state.wal_bytes;
  object["wal_bytes_max"] = state.wal_bytes_max;
  object["dead_letters"] = state.dead_letters;
  return object;
}

json::object json_of(const PartitionState& partition) {
  json::object object{{"partition", partition.partition}, {"owned", partition.owned}, {"shards", partition.shards}};
  if (!partition.owned) put_text(object, "lost_reason", partition.lost_reason);
  object["gathered_events"] = partition.gathered_events;
  object["committing_events"] = partition.committing_events;
  if (partition.waiting_for) object["waiting_seconds"] = seconds(*partition.waiting_for);
  return object;
}

json::object json_of(const GatewayState& gateway) {
  json::object object{{"gateway_id", gateway.gateway_id}, {"epoch", gateway.epoch}};
  object["committed_seq"] = gateway.committed_seq;
  put_time(object, "last_heard_at", gateway.last_heard_at);
  put(object, "pending_events", gateway.pending_events);
  put_time(object, "oldest_pending_at", gateway.oldest_pending_at);
  put_time(object, "complete_until", gateway.complete_until);
  if (gateway.clock_synced) object["clock"] = *gateway.clock_synced ? "synced" : "unsynced";
  put(object, "certificate_days_left", gateway.certificate_days_left);
  put_text(object, "version", gateway.version);
  object["quarantined"] = gateway.quarantined;
  object["held"] = gateway.held;
  return object;
}

template <class State>
json::array json_of_all(const std::vector<State>& states) {
  json::array array;
  for (const State& state : states) array.push_back(json_of(state));
  return array;
}

json::object json_of_counters(const bridge::Counters& counters) {
  return json::object{{"received_events", counters.received},
                      {"published_events", counters.published},
                      {"committed_records", counters.committed},
                      {"repeated_events", counters.repeats},
                      {"gaps", counters.gaps},
                      {"dead_letters", counters.dead_letters},
                      {"transactions", counters.transactions},
                      {"acks", counters.acks},
                      {"over_budget", counters.over_budget},
                      {"takeovers", counters.takeovers}};
}

}  // namespace

std::string to_json(const Snapshot& snapshot, const Limits& limits) {
  const std::vector<Reason> reasons = ill_health(snapshot, limits);
  json::object root{{"bridge_id", snapshot.bridge_id}, {"version", snapshot.version}};
  root["at"] = base::to_rfc3339(snapshot.at);
  root["uptime_seconds"] = seconds(snapshot.uptime);
  root["healthy"] = reasons.empty();
  root["reasons"] = json_of(reasons);
  root["alarms"] = json_of(alarms(snapshot));
  root["broker"] = json_of(snapshot.broker);
  root["stream"] = json_of_stream(snapshot);
  root["partitions"] = json_of_all(snapshot.partitions);
  if (snapshot.partitions_total > 0) root["partitions_total"] = snapshot.partitions_total;
  root["budget"] = json::object{{"bytes_max", snapshot.budget_bytes},
                                {"bytes_used", snapshot.budget_bytes_used},
                                {"credit_bytes", snapshot.credit_bytes},
                                {"active_gateways", snapshot.active_gateways}};
  root["readers"] = snapshot.readers;
  root["counters"] = json_of_counters(snapshot.counters);
  root["gateways_total"] = snapshot.gateways_total;
  root["quarantined"] = json_of(snapshot.quarantined);
  root["quarantined_total"] = snapshot.quarantined_total;
  root["held"] = json_of(snapshot.held);
  root["held_total"] = snapshot.held_total;
  root["gateways"] = json_of_all(snapshot.gateways);
  return json::serialize(root);
}

std::string health_json(const std::vector<Reason>& reasons) {
  return json::serialize(json::object{{"status", reasons.empty() ? "ok" : "unhealthy"}, {"reasons", json_of(reasons)}});
}

}  // namespace status
