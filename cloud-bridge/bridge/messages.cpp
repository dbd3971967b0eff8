// ShardGroup's way of one message: from the topic to the open transaction.
#include <algorithm>
#include <utility>

#include "cloud-bridge/bridge/shard_group.hpp"
#include "cloud-bridge/stream/dead_letter.hpp"
#include "cloud-bridge/stream/notice.hpp"
#include "cloud-bridge/stream/record.hpp"

namespace bridge {

namespace {

namespace v1 = tillstream::v1;

template <class... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};

}  // namespace

void ShardGroup::on_message(std::string_view topic, base::BytesView payload, base::Now now) {
  if (stopping_) return;
  ++counters_.messages;
  counters_.message_bytes += payload.size();
  if (!owned_) {
    ++counters_.unowned;
    return;
  }
  backoff_.reset();
  const Message message{topic, payload};
  auto read = intake::read(topic, payload, hasher_);
  std::visit(Overloaded{[&](intake::Said& what) { said(std::move(what), message, now); },
                        [&](const intake::Refused& why) { refused(why, message, now); }},
             read);
}

void ShardGroup::refused(const intake::Refused& refused, const Message& message, base::Now now) {
  ++counters_.refused[static_cast<std::size_t>(refused.refusal)];
  poison(refused.gateway_id, message, intake::word(refused.refusal), now);
}

void ShardGroup::said(intake::Said said, const Message& message, base::Now now) {
  if (!owns(said.shard)) {
    ++counters_.unowned;
    return;
  }
  count_kind(said.up);
  progress::Gateway* gateway = ledger_.at(said.gateway_id);
  if (gateway == nullptr) {
    ++counters_.gateways_refused;
    return;
  }
  gateway->last_heard_at = now.utc;
  if (said.up.has_batch() && !admit(*gateway, said.up, now)) return;
  const handoff::ReceiverCounters before = gateway->receiver.counters();
  gateway->receiver.set_credit(credit());
  gateway->receiver.on_up(std::move(said.up), now);
  const handoff::ReceiverCounters& after = gateway->receiver.counters();
  counters_.repeats += after.rows_repeated - before.rows_repeated;
  counters_.epoch_switches += after.switches - before.switches;
  drain(*gateway, &message, now);
}

void ShardGroup::count_kind(const v1::Up& up) {
  switch (up.message_case()) {
    case v1::Up::kHello:
      ++counters_.hellos;
      break;
    case v1::Up::kBatch:
      ++counters_.batches;
      break;
    case v1::Up::kHeartbeat:
      ++counters_.heartbeats;
      break;
    case v1::Up::MESSAGE_NOT_SET:
      break;
  }
}

// Whether there is room for the batch.
bool ShardGroup::admit(progress::Gateway& gateway, const v1::Up& up, base::Now now) {
  note_active(gateway, now.instant);
  counters_.received += static_cast<std::uint64_t>(up.batch().records().record_size());
  if (!blocked() && budget_.fits(intake::bytes_of(up.batch().records()))) return true;
  ++counters_.over_budget;
  return false;
}

void ShardGroup::drain(progress::Gateway& gateway, const Message* message, base::Now now) {
  while (auto output = gateway.receiver.poll()) {
    std::visit(
        Overloaded{[&](const handoff::Publish& what) { publish(gateway, what, now); },
                   [&](handoff::Reply& reply) { outbox_.put(gateway.receiver.gateway_id(), std::move(reply.ack)); },
                   [&](handoff::Heard& heard) {
                     gateway.heartbeat = std::move(heard.heartbeat);
                     gateway.settle_pending();
                     rows_.note(gateway, ledger_.size(), now.instant);
                   },
                   [&](const handoff::Refuse& what) { refuse(gateway, what.reason, message, now); }},
        *output);
  }
}

void ShardGroup::refuse(progress::Gateway& gateway, handoff::RefusalReason reason, const Message* message,
                        base::Now now) {
  using Reason = handoff::RefusalReason;
  switch (reason) {
    case Reason::gateway_mismatch:
    case Reason::malformed:
      ++counters_.refused[static_cast<std::size_t>(intake::Refusal::malformed)];
      if (message != nullptr)
        poison(gateway.receiver.gateway_id(), *message, intake::word(intake::Refusal::malformed), now);
      break;
    case Reason::foreign_epoch:
    case Reason::digest_mismatch:
      ++counters_.mismatches;
      break;
    case Reason::gap:
      ++counters_.gaps;
      break;
    case Reason::over_credit:
      ++counters_.over_budget;
      break;
    case Reason::quarantined:
      ++counters_.quarantined;
      break;
    case Reason::newer_schema:
      ++counters_.held;
      gateway.held_at = now.instant;
      break;
  }
}

// --- into the open transaction -------------------------------------------------------------------

void ShardGroup::publish(progress::Gateway& gateway, const handoff::Publish& publish, base::Now now) {
  Bundle bundle;
  bundle.gateway = &gateway;
  bundle.ticket = publish.ticket;
  bundle.records.reserve(publish.rows.size() + publish.notices.size() + 1);
  put_notices(bundle, publish, now);
  for (const handoff::PublishedRow& row : publish.rows) publish_row(bundle, publish, row, now);
  bundle.progress = handoff::to_wire(publish.progress);
  if (!publish.rows.empty()) gateway.held_at.reset();
  counters_.published += publish.rows.size();
  gather(std::move(bundle), now);
}

void ShardGroup::put_notices(Bundle& bundle, const handoff::Publish& publish, base::Now now) {
  const std::string& gateway_id = publish.progress.gateway_id;
  if (publish.loss) {
    ++counters_.events_lost_notices;
    bundle.records.push_back(stream::events_lost_notice({.gateway_id = gateway_id,
                                                         .epoch = publish.epoch,
                                                         .superseded = publish.loss->superseded,
                                                         .lost = publish.loss->lost,
                                                         .published_at = now.utc},
                                                        hasher_, settings_.format));
  }
  for (const handoff::Notice notice : publish.notices) {
    if (notice == handoff::Notice::gateway_cloned) {
      ++counters_.quarantines;
      bundle.records.push_back(
          stream::gateway_cloned_notice(gateway_id, publish.progress.place, now.utc, hasher_, settings_.format));
    } else {
      bundle.records.push_back(
          stream::render_notice({.name = "quarantine_ended",
                                 .gateway_id = gateway_id,
                                 .place = std::nullopt,
                                 .details = {{"epoch", base::to_hex(publish.epoch.view())},
                                             {"seq", std::to_string(publish.progress.place.seq.value())},
                                             {"switches", std::to_string(publish.ticket.value())}},
                                 .published_at = now.utc},
                                hasher_, settings_.format));
    }
  }
}

// A record that cannot be shown to consumers, or that the stream is too small for, leaves a notice in its place, and
// itself as a dead letter.
void ShardGroup::publish_row(Bundle& bundle, const handoff::Publish& publish, const handoff::PublishedRow& row,
                             base::Now now) {
  const stream::Publication publication{.gateway_id = publish.progress.gateway_id,
                                        .epoch = publish.epoch,
                                        .seq = row.seq,
                                        .published_at = now.utc,
                                        .possible_repeat = publish.possible_repeat};
  auto error = stream::DecodeError::too_large;
  if (auto event = stream::decode_event(row.record); !event) {
    error = event.error();
  } else if (stream::Record record = stream::render_event(std::move(*event), publication, settings_.format);
             stream::size_of(record) <= settings_.sizes.record_bytes) {
    bundle.records.push_back(std::move(record));
    return;
  }
  ++counters_.poison_records;
  bundle.records.push_back(stream::event_unreadable_notice(publication, error, row.record, hasher_, settings_.format));
  dead_letter(bundle, publication.gateway_id, "", stream::word(error), base::to_hex(publish.epoch.view()), row.record,
              now);
}

void ShardGroup::dead_letter(Bundle& bundle, std::string_view gateway_id, std::string_view topic,
                             std::string_view reason, std::string_view epoch, base::BytesView payload, base::Now now) {
  stream::DeadLetter letter = stream::dead_letter(
      {.gateway_id = gateway_id, .topic = topic, .reason = reason, .epoch = epoch, .at = now.utc, .payload = payload},
      hasher_);
  const base::Digest key = hasher_.sha256({letter.gateway_id, "/", letter.epoch, "/", letter.digest});
  if (!seen_.add(std::string(key.view()))) {
    ++counters_.dead_letters_known;
    return;
  }
  // Its digest and size tell of it all the same.
  if (stream::size_of(letter) > settings_.sizes.dead_letter_bytes) letter.payload.reset();
  bundle.dead_letters.push_back(std::move(letter));
}

// A whole message that cannot be a gateway's.
void ShardGroup::poison(std::string_view gateway_id, const Message& message, std::string_view reason, base::Now now) {
  if (!budget_.fits(std::min(message.payload.size(), stream::kDeadLetterBytesMax))) {
    ++counters_.over_budget;
    return;
  }
  Bundle bundle;
  dead_letter(bundle, gateway_id, message.topic, reason, "", message.payload, now);
  if (!bundle.dead_letters.empty()) gather(std::move(bundle), now);
}

void ShardGroup::gather(Bundle bundle, base::Now now) {
  if (!waiting_since_) waiting_since_ = now.instant;
  budget_.charge(bundle.bytes());
  gathering_.add(std::move(bundle));
}

}  // namespace bridge
