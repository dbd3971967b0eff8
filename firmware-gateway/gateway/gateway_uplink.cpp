// Between the sender and the link. See gateway.hpp.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "firmware-gateway/gateway/gateway.hpp"
#include "proto/wire/codec.hpp"

namespace gateway {

namespace {

using namespace std::chrono_literals;

// Marks ride along with appends; only an idle journal needs a write of their own, and not often: an old mark costs a
// little work after a crash, each write costs flash.
constexpr auto flush_after = 30s;

std::string_view text_of(handoff::AlarmKind kind) {
  switch (kind) {
    case handoff::AlarmKind::ack_refused:
      return "an acknowledgement that cannot be right was refused";
    case handoff::AlarmKind::epoch_forked:
      return "the stream is not where this journal left it: a new epoch begins";
    case handoff::AlarmKind::stream_rolled_back:
      return "the stream has lost events that it had acknowledged: they are sent again";
    case handoff::AlarmKind::image_restored:
      return "the stream is ahead of this journal: an old disk image was restored, or another box uses this id";
    case handoff::AlarmKind::quarantined:
      return "two live boxes use this gateway id, or two bridges with streams of their own work on the broker: "
             "nothing is taken until only one is left";
    case handoff::AlarmKind::upgrade_bridge:
      return "the bridge does not know the schema of these events: upgrade the bridge";
  }
  return "";
}

}  // namespace

void Gateway::on_link(uplink::LinkEvent event, base::Now now) {
  if (const auto* message = std::get_if<uplink::Received>(&event)) {
    if (uplink_.current(*message)) on_received(*message, now);
    return;
  }
  const uplink::Change change = uplink_.on_link(event, now);
  if (const auto* online = std::get_if<uplink::WentOnline>(&change)) went_online(*online, now);
  if (const auto* offline = std::get_if<uplink::WentOffline>(&change)) went_offline(*offline, now);
  if (const auto* refused = std::get_if<uplink::TooLarge>(&change)) on_too_large(*refused, now);
}

void Gateway::went_online(const uplink::WentOnline& online, base::Now now) {
  log(Severity::note, "uplink: connected");
  outbox_.clear();
  packet_bytes_max_ = online.packet_bytes_max;
  sender_.on_connected(
      {.receive_maximum = settings_.uplink.publishes_in_flight_max, .packet_bytes_max = online.packet_bytes_max},
      now.instant);
}

void Gateway::went_offline(const uplink::WentOffline& offline, base::Now now) {
  // One line a failure, not one an attempt: a link that is down for a day would fill the flash with it.
  if (!offline.repeated && !stopping_) log(Severity::warning, "uplink: " + uplink_.last_error());
  outbox_.clear();
  unacked_.clear();
  lone_bytes_.reset();
  sender_.on_disconnected(now.instant);
}

// A broker that named its limit is asked for nothing beyond it, but for an event that alone is larger. One that named
// none tells its limit by refusing: then half of what it refused is tried.
void Gateway::on_too_large(const uplink::TooLarge& refused, base::Now now) {
  const bool known = packet_bytes_max_ != 0 && refused.bytes >= packet_bytes_max_;
  if (!known) sender_.on_packet_refused(static_cast<std::uint32_t>(refused.bytes / 2), now.instant);
  if (lone_bytes_ != refused.bytes) return;
  std::string why = fmt::format(
      "the oldest pending event, {} bytes as a message, is larger than the broker takes{}; it and "
      "all behind it wait: raise the broker's limit (mosquitto: max_packet_size, message_size_limit)",
      refused.bytes, packet_bytes_max_ == 0 ? "" : fmt::format(" ({})", packet_bytes_max_));
  if (why == blocked_) return;
  blocked_ = std::move(why);
  log(Severity::error, "uplink: " + blocked_);
}

// What is sent again keeps the time of its first sending.
void Gateway::on_sent(Row through, base::Now now) {
  if (unacked_.empty() || unacked_.back().first < through) unacked_.emplace_back(through, now.instant);
  ask(Asker::housekeeping, RememberSent{.through = through, .at = now.utc});
}

void Gateway::on_received(const uplink::Received& message, base::Now now) {
  const auto down = wire::decode_down(message.payload);
  if (!down) {
    ++down_unreadable_;
    return;
  }
  // Who may write where is the broker's to enforce; here, that each message came by its own topic.
  if (down->has_ack() && message.topic == down_topic_) {
    sender_.on_ack(down->ack(), now.instant);
  } else if (down->has_owner() && message.topic == owner_topic_) {
    sender_.on_owner(down->owner(), now.instant);
  } else {
    ++down_unreadable_;
  }
}

void Gateway::obey(handoff::Send send, base::Now now) {
  if (send.through) on_sent(*send.through, now);
  if (outbox_.size() == outbox_max) {
    outbox_.pop_front();
    ++outbox_dropped_;
  }
  const bool oldest = send.through && sender_.acked().next() == *send.through;
  outbox_.push_back({.attempt = 0, .topic = up_topic_, .payload = wire::encode(std::move(send.up))});
  if (oldest) lone_bytes_ = outbox_.back().payload.size();
}

void Gateway::obey(const handoff::Read& read, base::Now /*now*/) {
  ask(Asker::sender, ReadRows{.from = read.from, .max_rows = read.max_rows, .max_bytes = read.max_bytes});
}

// Asked for by store_next_epoch(), after the notices of the same step.
void Gateway::obey(const handoff::StoreEpoch& store, base::Now /*now*/) {
  epochs_.push_back({.start = store.start, .run = store.run});
}

void Gateway::obey(const handoff::Acked& acked, base::Now now) {
  uplink_.on_ack_progress();
  ledger_.on_acked(acked.mark.row);
  lone_bytes_.reset();
  blocked_.clear();
  while (!unacked_.empty() && unacked_.front().first <= acked.mark.row) {
    ack_times_.observe(now.instant - unacked_.front().second);
    unacked_.pop_front();
  }
  ask(Asker::housekeeping, RememberAcked{.mark = acked.mark, .at = now.utc});
  if (!std::exchange(marks_changed_, true)) flush_at_ = now.instant + flush_after;
  // A journal that refuses events opens as soon as there is something to forget.
  if (usage_.admission != journal::Admission::open) trim_at_ = std::min(trim_at_, now.instant);
  backlog_since_ = sender_.pending() > 0 ? std::optional(now.instant) : std::nullopt;
}

void Gateway::obey(const handoff::Reconnect& reconnect, base::Now /*now*/) {
  uplink_.give_up(reconnect.why == handoff::ReconnectReason::no_answer
                      ? "the bridge does not answer: no bridge for this gateway?"
                      : "no progress: nothing was acknowledged in time");
}

void Gateway::obey(const handoff::AppendNotice& appended, base::Now now) {
  ingest::NoticeDetails details;
  for (const auto& [name, value] : appended.details) details.emplace(name, value);
  notice(appended.name, details, now);
}

void Gateway::obey(const handoff::Alarm& alarm, base::Now /*now*/) {
  log(Severity::error, fmt::format("handoff: {}{}", text_of(alarm.kind),
                                   alarm.suppressed > 0 ? fmt::format(" ({} more since)", alarm.suppressed) : ""));
}

void Gateway::tell_facts(base::Now now) {
  handoff::HeartbeatFacts facts;
  if (const auto oldest = ledger_.oldest()) facts.oldest_pending_at = oldest->at;
  facts.complete_until = complete_until(now);
  // While it is still counting none at all is the honest answer.
  const auto amounts = ledger_.exact() ? ledger_.amounts() : std::vector<status::PendingAmount>();
  for (const auto& amount : amounts) {
    auto& pending = facts.pending_amounts.emplace_back();
    pending.set_currency(amount.currency);
    pending.set_amount_minor(amount.amount_minor);
    pending.set_count(amount.count);
  }
  facts.clock_synced = clock_synced_;
  facts.certificate_days_left = certificate_days_left_;
  sender_.on_facts(std::move(facts));
}

// Every event received before it is in the stream: the lowest receive time of what is in intake or pending, else now.
std::optional<base::UtcTime> Gateway::complete_until(base::Now now) const {
  if (!clock_synced_ || !journal_open_ || !ledger_.exact()) return std::nullopt;
  base::UtcTime until = std::min(now.utc, ledger_.lowest_received().value_or(now.utc));
  for (const auto& [ticket, received] : in_intake_) until = std::min(until, received.utc);
  return until;
}

// By the event's own time where both clocks were right, and never less than what this process has seen itself.
std::optional<std::chrono::seconds> Gateway::oldest_pending(base::Now now) const {
  if (!journal_open_ || sender_.pending() == 0) return std::nullopt;
  std::chrono::seconds age{0};
  if (backlog_since_) age = std::chrono::duration_cast<std::chrono::seconds>(now.instant - *backlog_since_);
  const auto oldest = ledger_.oldest();
  if (oldest && oldest->clock_synced && clock_synced_) {
    age = std::max(age, std::chrono::duration_cast<std::chrono::seconds>(now.utc - oldest->at));
  }
  return age;
}

}  // namespace gateway
