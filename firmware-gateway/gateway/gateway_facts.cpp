// What the gateway knows about itself. See gateway.hpp.
#include "firmware-gateway/gateway/gateway.hpp"
#include "proto/base/bytes.hpp"

namespace gateway {

namespace {

std::string_view word(handoff::SenderState state) {
  switch (state) {
    case handoff::SenderState::closed:
      return "closed";
    case handoff::SenderState::offline:
      return "offline";
    case handoff::SenderState::greeting:
      return "greeting";
    case handoff::SenderState::checking:
      return "checking";
    case handoff::SenderState::forking:
      return "forking";
    case handoff::SenderState::streaming:
      return "streaming";
  }
  return "";
}

std::string_view word(handoff::Held held) {
  switch (held) {
    case handoff::Held::no:
      return "";
    case handoff::Held::busy:
      return "busy";
    case handoff::Held::upgrade_bridge:
      return "upgrade_bridge";
    case handoff::Held::quarantined:
      return "quarantined";
  }
  return "";
}

status::JournalCondition condition(bool open, bool broken, bool salvaging, journal::Admission admission) {
  if (salvaging) return status::JournalCondition::salvaging;
  if (broken) return status::JournalCondition::broken;
  if (!open) return status::JournalCondition::opening;
  if (admission == journal::Admission::closed) return status::JournalCondition::full;
  return admission == journal::Admission::open ? status::JournalCondition::open : status::JournalCondition::money_only;
}

class Samples {
 public:
  void counter(std::string_view name, std::string_view help, std::uint64_t value, std::string_view label = {},
               std::string_view label_value = {}) {
    add({.name = name,
         .help = help,
         .counter = true,
         .value = static_cast<double>(value),
         .label = label,
         .label_value = label_value});
  }
  void gauge(std::string_view name, std::string_view help, double value) {
    add({.name = name, .help = help, .counter = false, .value = value});
  }
  std::vector<status::Sample> take() { return std::move(samples_); }

 private:
  void add(const status::Sample& sample) { samples_.push_back(sample); }
  std::vector<status::Sample> samples_;
};

constexpr std::string_view events_help = "Events submitted by terminals, by what became of them";
constexpr std::string_view acks_help = "Acknowledgements of the bridge, by what they were worth";

void add_intake(Samples& samples, const ingest::Ingest& ingest) {
  const ingest::IngestCounts& counts = ingest.counts();
  samples.counter("events_submitted_total", "Events submitted by terminals", counts.submitted);
  const auto outcome = [&](std::string_view word, std::uint64_t value) {
    samples.counter("events_total", events_help, value, "outcome", word);
  };
  outcome("stored", counts.stored);
  outcome("repeated", counts.repeated);
  outcome("invalid", counts.invalid);
  outcome("unknown_terminal", counts.unknown_terminal);
  outcome("conflict_refused", counts.conflicts_refused);
  outcome("conflict_stored", counts.conflicts_stored);
  outcome("busy", counts.busy);
  outcome("storage", counts.storage_failed);
  samples.counter("references_reused_total", "Events whose reference was used before, long ago",
                  counts.references_reused);
  samples.gauge("events_waiting", "Events that wait for their append", static_cast<double>(ingest.waiting_events()));
}

void add_handoff(Samples& samples, const handoff::Sender& sender) {
  const handoff::SenderCounters& counts = sender.counters();
  samples.counter("hellos_total", "Hellos sent", counts.hellos);
  samples.counter("batches_total", "Batches sent", counts.batches);
  samples.counter("events_sent_total", "Events sent, with repeats", counts.rows_sent);
  samples.counter("retransmissions_total", "Times that sending went back to the last acknowledged event",
                  counts.retransmissions);
  samples.counter("acks_total", acks_help, counts.acks, "worth", "taken");
  samples.counter("acks_total", acks_help, counts.acks_refused, "worth", "refused");
  samples.counter("acks_total", acks_help, counts.acks_late, "worth", "late");
  samples.counter("epochs_forked_total", "Epochs begun because the stream was not where the journal left it",
                  counts.forks);
  samples.counter("watchdog_reconnects_total", "Connections given up for lack of acknowledgements",
                  counts.watchdog_reconnects);
}

void add_uplink(Samples& samples, const uplink::Uplink& uplink) {
  const uplink::Counters& counts = uplink.counters();
  samples.gauge("uplink_connected", "Whether the broker's connection stands", uplink.online() ? 1 : 0);
  samples.counter("uplink_attempts_total", "Attempts to connect to the broker", counts.attempts);
  samples.counter("uplink_connections_total", "Connections to the broker that succeeded", counts.connections);
  samples.counter("uplink_connect_timeouts_total", "Attempts given up because they hung", counts.connect_timeouts);
  samples.counter("publishes_total", "MQTT messages published", counts.publishes);
  samples.counter("publishes_refused_total", "MQTT messages that the broker refused", counts.publishes_refused);
}

void add_journal(Samples& samples, const journal::Usage& usage) {
  samples.gauge("journal_bytes", "Bytes of the quota in use", static_cast<double>(usage.bytes));
  samples.gauge("journal_quota_bytes", "The quota", static_cast<double>(usage.quota_bytes));
  samples.gauge("journal_free_disk_bytes", "Room on the disk", static_cast<double>(usage.free_disk_bytes));
  samples.gauge("journal_rows", "Events in the journal, acknowledged ones included", static_cast<double>(usage.rows));
  samples.counter("journal_bytes_written_total", "Bytes handed to the disk since the journal was opened",
                  usage.bytes_written_total);
}

}  // namespace

status::Facts Gateway::facts(base::Now now) const {
  status::Facts facts{.gateway_id = settings_.gateway_id, .version = settings_.version, .now = now.utc};
  facts.started_at = started_at_;
  facts.stopping = stopping_;
  if (journal_open_) {
    facts.epoch = base::to_hex(sender_.epoch().epoch.view());
    facts.next_seq = sender_.seq_of(sender_.next()).value();
    facts.committed_seq = sender_.seq_of(sender_.acked()).value();
    facts.pending_events = sender_.pending();
    if (ledger_.exact()) facts.pending_amounts = ledger_.amounts();
  }
  facts.oldest_pending = oldest_pending(now);
  facts.uplink = {.connected = uplink_.online(),
                  .since = uplink_.since(),
                  .last_error = uplink_.last_error(),
                  .handoff = std::string(word(sender_.state())),
                  .held = std::string(word(sender_.held())),
                  .blocked = blocked_};
  facts.journal = {.condition = condition(journal_open_, journal_broken_, journal_salvaging_, usage_.admission),
                   .failure = journal_failure_,
                   .bytes = usage_.bytes,
                   .quota_bytes = usage_.quota_bytes,
                   .free_disk_bytes = usage_.free_disk_bytes,
                   .rows = usage_.rows};
  facts.clock_synced = clock_synced_;
  facts.certificate_days_left = certificate_days_left_;

  Samples samples;
  add_intake(samples, ingest_);
  add_handoff(samples, sender_);
  add_uplink(samples, uplink_);
  add_journal(samples, usage_);
  samples.counter("journal_failures_total", "Times that the journal failed and was opened anew", journal_failures_);
  samples.counter("rows_trimmed_total", "Acknowledged events removed from the journal", rows_trimmed_);
  samples.counter("down_messages_unreadable_total", "Messages from the broker that are none of the handoff",
                  down_unreadable_);
  samples.counter("outbox_dropped_total", "Messages dropped because the broker took none; they are sent again",
                  outbox_dropped_);
  samples.counter("notices_dropped_total", "Notices dropped because too many waited", notices_.dropped());
  std::uint64_t masked = 0;
  for (std::size_t i = 0; i < masked_before_.size(); ++i) masked += masked_before_[i] + guard_->masked()[i];
  samples.counter("card_data_masked_total", "Card data found where none belongs, and masked", masked);
  facts.samples = samples.take();
  facts.timings = {{.name = "submit_answer_seconds",
                    .help = "From the submission of an event to its answer",
                    .histogram = answer_times_},
                   {.name = "append_seconds",
                    .help = "From handing a group of events to the journal until it is on disk",
                    .histogram = append_times_},
                   {.name = "send_ack_seconds",
                    .help = "From the first sending of a batch to the bridge's acknowledgement, on one connection",
                    .histogram = ack_times_}};
  return facts;
}

}  // namespace gateway
