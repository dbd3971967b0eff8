#include "firmware-gateway/status/report.hpp"

#include <fmt/format.h>

#include <iterator>

#include "firmware-gateway/status/json.hpp"
#include "proto/base/text.hpp"

namespace status {

namespace {

constexpr std::string_view prefix = "tillstream_gateway_";

std::string json_number(const std::optional<std::uint64_t>& value) { return value ? std::to_string(*value) : "null"; }

std::string amounts_json(const std::vector<PendingAmount>& pending) {
  JsonArray amounts;
  for (const PendingAmount& amount : pending) {
    amounts.add(JsonObject()
                    .text("currency", amount.currency)
                    .number("amount_minor", amount.amount_minor)
                    .number("count", amount.count)
                    .str());
  }
  return amounts.str();
}

std::string uplink_json(const UplinkFacts& uplink) {
  JsonObject json;
  json.boolean("connected", uplink.connected).text("since", base::to_rfc3339(uplink.since));
  json.text("last_error", uplink.last_error).text("handoff", uplink.handoff);
  if (!uplink.held.empty()) json.text("held", uplink.held);
  if (!uplink.blocked.empty()) json.text("blocked", uplink.blocked);
  return json.str();
}

std::string journal_json(const JournalFacts& journal) {
  JsonObject json;
  json.number("bytes", journal.bytes).number("quota_bytes", journal.quota_bytes);
  json.number("free_disk_bytes", journal.free_disk_bytes).number("rows", journal.rows);
  json.text("state", word(journal.condition));
  if (!journal.failure.empty()) json.text("failure", journal.failure);
  return json.str();
}

std::string listeners_json(const Facts& facts) {
  JsonObject json;
  for (const Listener& listener : facts.listeners) json.text(listener.name, listener.address);
  return json.str();
}

void add_sample(std::string& text, const Sample& sample) {
  text.append(prefix).append(sample.name);
  if (!sample.label.empty())
    fmt::format_to(std::back_inserter(text), "{{{}=\"{}\"}}", sample.label, sample.label_value);
  fmt::format_to(std::back_inserter(text), " {}\n", sample.value);
}

void add_family(std::string& text, std::string_view name, std::string_view help, std::string_view type) {
  fmt::format_to(std::back_inserter(text), "# HELP {0}{1} {2}\n# TYPE {0}{1} {3}\n", prefix, name, help, type);
}

void add_timing(std::string& text, const Timing& timing) {
  add_family(text, timing.name, timing.help, "histogram");
  const Histogram& histogram = timing.histogram;
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < Histogram::bounds.size(); ++i) {
    below += histogram.buckets().at(i);
    fmt::format_to(std::back_inserter(text), "{}{}_bucket{{le=\"{}\"}} {}\n", prefix, timing.name,
                   Histogram::bounds.at(i), below);
  }
  fmt::format_to(std::back_inserter(text), "{0}{1}_bucket{{le=\"+Inf\"}} {2}\n{0}{1}_sum {3}\n{0}{1}_count {2}\n",
                 prefix, timing.name, histogram.count(), histogram.sum_seconds());
}

std::optional<std::uint64_t> oldest_pending_seconds(const Facts& facts) {
  if (!facts.pending_events) return std::nullopt;
  return facts.oldest_pending ? static_cast<std::uint64_t>(facts.oldest_pending->count()) : 0;
}

Sample gauge(std::string_view name, std::string_view help, double value) {
  return {.name = name, .help = help, .counter = false, .value = value};
}

std::vector<Sample> own_samples(const Facts& facts) {
  std::vector<Sample> samples;
  const auto known = [&samples](std::string_view name, std::string_view help,
                                const std::optional<std::uint64_t>& value) {
    if (value) samples.push_back(gauge(name, help, static_cast<double>(*value)));
  };
  known("pending_events", "Events not yet in the stream", facts.pending_events);
  known("oldest_pending_seconds", "Age of the oldest event not yet in the stream", oldest_pending_seconds(facts));
  known("committed_seq", "Last event of this epoch that is in the stream", facts.committed_seq);
  known("next_seq", "Place of the next event in this epoch", facts.next_seq);
  samples.push_back(gauge("uplink_blocked", "Whether an event that the broker will not take holds up all behind it",
                          facts.uplink.blocked.empty() ? 0 : 1));
  samples.push_back(gauge("clock_synced", "Whether the clock is synchronised", facts.clock_synced ? 1 : 0));
  samples.push_back(gauge("journal_open", "Whether the journal takes events",
                          facts.journal.condition == JournalCondition::open ? 1 : 0));
  if (facts.certificate_days_left) {
    samples.push_back(
        gauge("certificate_days_left", "Days until the gateway's certificate expires", *facts.certificate_days_left));
  }
  return samples;
}

}  // namespace

std::string_view word(JournalCondition condition) {
  switch (condition) {
    case JournalCondition::opening:
      return "opening";
    case JournalCondition::open:
      return "open";
    case JournalCondition::money_only:
      return "money_only";
    case JournalCondition::full:
      return "full";
    case JournalCondition::broken:
      return "broken";
    case JournalCondition::salvaging:
      return "salvaging";
  }
  return "";
}

std::string status_json(const Facts& facts) {
  JsonObject json;
  json.text("gateway_id", facts.gateway_id).raw("epoch", facts.epoch.empty() ? "null" : json_text(facts.epoch));
  json.raw("next_seq", json_number(facts.next_seq)).raw("committed_seq", json_number(facts.committed_seq));
  json.raw("pending_events", json_number(facts.pending_events));
  json.raw("pending_amounts", facts.pending_amounts ? amounts_json(*facts.pending_amounts) : "null");
  json.raw("oldest_pending_seconds", json_number(oldest_pending_seconds(facts)));
  json.raw("uplink", uplink_json(facts.uplink)).raw("journal", journal_json(facts.journal));
  json.text("clock", facts.clock_synced ? "synced" : "unsynced");
  if (facts.certificate_days_left) {
    json.number("certificate_days_left", *facts.certificate_days_left);
  } else {
    json.raw("certificate_days_left", "null");
  }
  json.text("version", facts.version).raw("listeners", listeners_json(facts));
  json.text("time", base::to_rfc3339(facts.now)).text("started_at", base::to_rfc3339(facts.started_at));
  json.boolean("stopping", facts.stopping);
  return json.str() + "\n";
}

std::vector<std::string> unready_reasons(const Facts& facts) {
  std::vector<std::string> reasons;
  if (facts.stopping) reasons.emplace_back("stopping");
  switch (facts.journal.condition) {
    case JournalCondition::open:
    case JournalCondition::money_only:
      break;
    case JournalCondition::opening:
      reasons.push_back(facts.journal.failure.empty() ? "the journal is being opened"
                                                      : "the journal cannot be opened: " + facts.journal.failure);
      break;
    case JournalCondition::full:
      reasons.emplace_back(
          "the journal is full: no event is taken until the stream has taken more, or the disk has room");
      break;
    case JournalCondition::broken:
      reasons.push_back("the journal has failed and is being opened again: " + facts.journal.failure);
      break;
    case JournalCondition::salvaging:
      reasons.push_back("the journal is damaged, and what can be read is being saved: " + facts.journal.failure);
      break;
  }
  return reasons;
}

std::vector<std::string> unhealthy_reasons(const Facts& facts, std::chrono::milliseconds unhealthy_after) {
  std::vector<std::string> reasons = unready_reasons(facts);
  if (facts.journal.condition == JournalCondition::money_only) {
    reasons.emplace_back("the journal is nearly full: it takes only events that move money");
  }
  if (facts.oldest_pending && *facts.oldest_pending > unhealthy_after) {
    std::string reason = fmt::format("the oldest of {} pending events has waited for {} s",
                                     facts.pending_events.value_or(0), facts.oldest_pending->count());
    if (!facts.uplink.last_error.empty() && !facts.uplink.connected) reason += "; uplink: " + facts.uplink.last_error;
    reasons.push_back(std::move(reason));
  }
  if (facts.uplink.held == "quarantined" || facts.uplink.held == "upgrade_bridge") {
    reasons.push_back("the bridge takes nothing from this gateway: " + facts.uplink.held);
  }
  if (!facts.uplink.blocked.empty()) reasons.push_back("uplink: " + facts.uplink.blocked);
  if (facts.certificate_days_left && *facts.certificate_days_left < 0) {
    reasons.emplace_back("the gateway's certificate has expired");
  }
  return reasons;
}

Verdict verdict(const std::vector<std::string>& reasons) {
  JsonArray list;
  for (const std::string& reason : reasons) list.add(json_text(reason));
  JsonObject json;
  json.text("status", reasons.empty() ? "ok" : "failing").raw("reasons", list.str());
  return {.http_status = reasons.empty() ? 200U : 503U, .json = json.str() + "\n"};
}

std::string metrics_text(const Facts& facts) {
  std::vector<Sample> samples = own_samples(facts);
  samples.insert(samples.end(), facts.samples.begin(), facts.samples.end());
  std::string text;
  std::string_view family;
  for (const Sample& sample : samples) {
    // Samples of one family follow each other.
    if (sample.name != family) add_family(text, sample.name, sample.help, sample.counter ? "counter" : "gauge");
    family = sample.name;
    add_sample(text, sample);
  }
  for (const Timing& timing : facts.timings) add_timing(text, timing);
  return text;
}

}  // namespace status
