// What the sender sends, and when: Hello, Read, Batch, Heartbeat, and the timers behind them.
#include <algorithm>
#include <utility>

#include "proto/base/assert.hpp"
#include "proto/handoff/sender.hpp"

namespace handoff {
namespace {

namespace v1 = tillstream::v1;

constexpr std::uint32_t kProtocol = 1;
// What a Batch adds to its records: ids, digests, topic, framing.
constexpr std::uint64_t kBatchOverheadBytes = 1024;
constexpr std::uint64_t kRecordOverheadBytes = 8;
// Messages of the Receive Maximum that are left for Hello and Heartbeat.
constexpr std::uint64_t kMessagesReserved = 2;

template <class Value>
base::Bytes bytes_of(const Value& value) {
  return base::Bytes(value.view());
}

void set_versions(v1::Versions& versions, const SenderSettings& settings) {
  versions.set_protocol(kProtocol);
  versions.set_event_schema(settings.event_schema);
  versions.set_program(settings.program);
}

}  // namespace

std::optional<SenderOutput> Sender::poll(base::Instant now) {
  check_timers(now);
  if (!out_.empty()) {
    SenderOutput output = std::move(out_.front());
    out_.pop_front();
    return output;
  }
  if (auto output = next_hello(now)) return output;
  if (auto output = next_batch(now)) return output;
  if (auto output = next_read(now)) return output;
  return next_heartbeat(now);
}

std::optional<base::Instant> Sender::wakeup_at() const {
  std::optional<base::Instant> at;
  const auto consider = [&at](std::optional<base::Instant> candidate) {
    if (candidate && (!at || *candidate < *at)) at = candidate;
  };
  consider(hello_at_);
  consider(retransmit_at_);
  consider(heartbeat_at_);
  if (connected_) consider(paused_until_);
  if (!reading_) consider(read_after_);
  if (connected_ && state_ != SenderState::closed && backlog() && watchdog_since_)
    consider(*watchdog_since_ + settings_.ack_timeout);
  return at;
}

void Sender::check_timers(base::Instant now) {
  if (read_after_ && now >= *read_after_) read_after_.reset();
  if (state_ == SenderState::closed || !connected_) return;
  if (paused_until_ && now >= *paused_until_) paused_until_.reset();
  check_retransmission(now);
  check_watchdog(now);
}

// [H-25]
void Sender::check_watchdog(base::Instant now) {
  if (!watchdog_since_ || !backlog() || now - *watchdog_since_ < settings_.ack_timeout) return;
  watchdog_since_ = now;
  ++counters_.watchdog_reconnects;
  const bool unanswered = state_ == SenderState::greeting;
  out_.emplace_back(Reconnect{unanswered ? ReconnectReason::no_answer : ReconnectReason::no_ack_progress});
}

void Sender::check_retransmission(base::Instant now) {
  if (!retransmit_at_ || now < *retransmit_at_) return;
  retransmission_.on_timeout();
  ++counters_.retransmissions;
  rewind();
  messages_max_ = 1;
}

// [H-22] Go back: everything that is not acked is sent again.
void Sender::rewind() {
  sent_ = acked_.row;
  in_flight_.clear();
  retransmit_at_.reset();
  recovering_ = true;
}

base::Instant::duration Sender::jitter(base::Instant::duration most) {
  return base::Instant::duration(random_.below(static_cast<std::uint64_t>(most.count()) + 1));
}

// [H-22] What was refused never arrives, and neither does what follows it: go back at once, in smaller steps. A refusal
// of something larger than the new limit is one of the messages that were already under way.
void Sender::on_packet_refused(std::uint32_t packet_bytes_max, base::Instant /*now*/) {
  const std::uint32_t limit = std::max<std::uint32_t>(packet_bytes_max, 1);
  if (limits_.packet_bytes_max != 0 && limits_.packet_bytes_max <= limit) return;
  limits_.packet_bytes_max = limit;
  if (state_ == SenderState::streaming) rewind();
}

// The next wait while the bridge says that it must wait.
base::Instant::duration Sender::held_wait() {
  const auto most = std::min<base::Instant::duration>(kHeldRetryMin * (1U << std::min(pauses_++, 5U)), kHeldRetryMax);
  return most / 2 + jitter(most / 2);
}

// --- Hello ---------------------------------------------------------------------------------------

// [H-11]
std::optional<SenderOutput> Sender::next_hello(base::Instant now) {
  if (!connected_ || !hello_at_ || now < *hello_at_) return std::nullopt;
  if (state_ == SenderState::streaming) greet(now);
  const bool waits = held_ != Held::no;
  const base::Instant::duration least = waits ? kHeldRetryMin : kHelloRetryMin;
  const base::Instant::duration limit = waits ? kHeldRetryMax : kHelloRetryMax;
  const auto most = std::min(least * (1U << std::min(hellos_unanswered_++, 8U)), limit);
  hello_at_ = now + most / 2 + jitter(most / 2);
  ++counters_.hellos;
  return Send{hello(), std::nullopt};
}

v1::Up Sender::up() const {
  v1::Up up;
  up.set_gateway_id(settings_.gateway_id);
  return up;
}

v1::Up Sender::hello() const {
  v1::Up message = up();
  v1::Hello& hello = *message.mutable_hello();
  hello.set_epoch(bytes_of(epoch_.epoch));
  // [H-50] One that begins behind rows of this journal, and follows nothing and loses nothing, was made without an
  // answer: by a salvage.
  const bool salvaged = epoch_.first_row > Row(1) && !epoch_.supersedes && !epoch_.lost;
  hello.set_new_epoch(!epoch_.accepted && !salvaged);
  if (!epoch_.accepted && epoch_.supersedes) set_place(*hello.mutable_supersedes(), *epoch_.supersedes);
  if (!epoch_.accepted && epoch_.lost) {
    hello.mutable_lost()->set_reason(epoch_.lost->reason);
    hello.mutable_lost()->set_first_seq(epoch_.lost->first.value());
    hello.mutable_lost()->set_last_seq(epoch_.lost->last.value());
  }
  hello.set_acked_seq(seq_of(acked_.row).value());
  const bool acked_here = epoch_.accepted && acked_.row >= epoch_.first_row;
  hello.set_acked_digest(bytes_of(acked_here ? acked_.epoch_digest : chain_start(hasher_, epoch_.epoch)));
  hello.set_next_seq(next_ < epoch_.first_row ? 1 : next_ - epoch_.first_row + 1);
  hello.set_nonce(*nonce_);
  hello.set_run(bytes_of(opening_));
  set_versions(*hello.mutable_versions(), settings_);
  return message;
}

// --- Read ----------------------------------------------------------------------------------------

bool Sender::window_full() const {
  return window_.size() >= settings_.window_events || window_.bytes() >= settings_.window_bytes;
}

std::optional<SenderOutput> Sender::next_read(base::Instant /*now*/) {
  if (reading_ || read_after_) return std::nullopt;
  if (state_ == SenderState::checking && pass_) {
    reading_ = true;
    const std::uint64_t rows = std::min(settings_.batch_events, pass_->target - pass_->at.row);
    return Read{pass_->at.row.next(), rows, settings_.window_bytes};
  }
  // Only what may be sent soon is read, and not row by row: when little is left unsent, and a quarter of the window is
  // free.
  const std::uint64_t unsent = window_.last() - sent_;
  const bool roomy = window_.size() <= settings_.window_events - settings_.window_events / 4 &&
                     window_.bytes() <= settings_.window_bytes - settings_.window_bytes / 4;
  const bool wanted = state_ == SenderState::streaming && window_.last().next() < next_ && credit_ > 0 &&
                      !paused_until_ && unsent < settings_.batch_events && (roomy || unsent == 0) && !window_full();
  if (!wanted) return std::nullopt;
  reading_ = true;
  const std::uint64_t rows = std::min(settings_.window_events - window_.size(), settings_.batch_events * 2);
  return Read{window_.last().next(), rows, settings_.window_bytes - window_.bytes()};
}

// --- Batch ---------------------------------------------------------------------------------------

// [H-20] Whether `bytes` more may be under way.
bool Sender::has_room(std::uint64_t bytes) const {
  if (sent_ == acked_.row) return true;
  const std::uint64_t limit = std::min(settings_.window_bytes, credit_);
  return window_.bytes_to(sent_) + bytes <= limit;
}

// How many rows the next batch takes: all that may go now, of one run, and either all possible repeats or none.
std::uint64_t Sender::rows_to_send() const {
  const std::uint64_t in_flight = sent_ - acked_.row;
  const Row first = sent_.next();
  if (!window_.holds(first) || in_flight >= settings_.window_events) return 0;
  const std::uint64_t packet = limits_.packet_bytes_max;
  const std::uint64_t packet_room = packet > kBatchOverheadBytes ? packet - kBatchOverheadBytes : 0;
  const std::uint64_t bytes_max = packet == 0 ? settings_.batch_bytes : std::min(settings_.batch_bytes, packet_room);
  const std::uint64_t limit =
      std::min({settings_.batch_events, settings_.window_events - in_flight, window_.last() - sent_});
  const bool repeats = first <= epoch_.repeats_through;
  const std::uint64_t alike = repeats ? std::min(limit, epoch_.repeats_through - sent_) : limit;
  const std::uint64_t rows_max = segments_.run_length_from(first, alike);
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  std::uint64_t framed = 0;
  while (rows < rows_max) {
    const std::uint64_t size = window_.at(first + rows).record.size();
    const bool fits = framed + size + kRecordOverheadBytes <= bytes_max && has_room(bytes + size);
    if (!fits && (rows > 0 || in_flight > 0 || !has_room(0))) break;
    ++rows;
    bytes += size;
    framed += size + kRecordOverheadBytes;
  }
  return rows;
}

std::optional<SenderOutput> Sender::next_batch(base::Instant now) {
  if (state_ != SenderState::streaming || paused_until_) return std::nullopt;
  if (credit_ == 0) {  // [H-21] ask again for credit, with back-off
    if (backlog() && !hello_at_) hello_at_ = now + held_wait();
    return std::nullopt;
  }
  hello_at_.reset();
  const std::uint64_t allowed =
      limits_.receive_maximum > kMessagesReserved + 1 ? limits_.receive_maximum - kMessagesReserved : 1;
  if (in_flight_.size() >= std::min(allowed, messages_max_)) return std::nullopt;
  const std::uint64_t rows = rows_to_send();
  if (rows == 0) return std::nullopt;
  Send send{batch(rows), sent_ + rows};
  const Row last = *send.through;
  in_flight_.push_back({last, now, sent_ >= sent_high_});
  sent_ = last;
  sent_high_ = std::max(sent_high_, last);
  if (!retransmit_at_) retransmit_at_ = now + retransmission_.draw();
  ++counters_.batches;
  counters_.rows_sent += rows;
  return send;
}

v1::Up Sender::batch(std::uint64_t rows) const {
  const Row first = sent_.next();
  const Segment& segment = segments_.of(first);
  const RunIndex index = segments_.index_of(first);
  const Mark before = *window_.mark_at(sent_);
  v1::Up message = up();
  v1::Batch& batch = *message.mutable_batch();
  batch.set_epoch(bytes_of(epoch_.epoch));
  batch.set_first_seq(seq_of(first).value());
  batch.set_digest_before(
      bytes_of(first == epoch_.first_row ? chain_start(hasher_, epoch_.epoch) : before.epoch_digest));
  batch.set_run(bytes_of(segment.run));
  batch.set_run_index(index.value());
  if (!segment.digest_void) {
    batch.set_run_digest_before(bytes_of(index == RunIndex(0) ? chain_start(hasher_, segment.run) : before.run_digest));
  }
  batch.set_possible_repeat(segment.possible_repeat || first <= epoch_.repeats_through);
  batch.set_renamed(segment.possible_repeat);
  batch.set_schema_version(settings_.event_schema);
  v1::Records& records = *batch.mutable_records();
  records.mutable_record()->Reserve(static_cast<int>(rows));
  for (std::uint64_t i = 0; i < rows; ++i) records.add_record(window_.at(first + i).record);
  return message;
}

// --- Heartbeat -----------------------------------------------------------------------------------

bool Sender::heartbeat_due(base::Instant now) const {
  return state_ == SenderState::streaming && heartbeat_at_ && now >= *heartbeat_at_;
}

std::optional<SenderOutput> Sender::next_heartbeat(base::Instant now) {
  if (!heartbeat_due(now)) return std::nullopt;
  heartbeat_at_ = now + settings_.heartbeat_interval;
  v1::Up message = up();
  v1::Heartbeat& heartbeat = *message.mutable_heartbeat();
  heartbeat.set_epoch(bytes_of(epoch_.epoch));
  heartbeat.set_committed_seq(seq_of(acked_.row).value());
  heartbeat.set_pending_events(pending());
  const auto ms = [](base::UtcTime time) { return time.time_since_epoch().count(); };
  if (facts_.oldest_pending_at) heartbeat.set_oldest_pending_at_ms(ms(*facts_.oldest_pending_at));
  if (facts_.complete_until && facts_.clock_synced) heartbeat.set_complete_until_ms(ms(*facts_.complete_until));
  for (const v1::PendingAmount& amount : facts_.pending_amounts) *heartbeat.add_pending_amounts() = amount;
  heartbeat.set_clock_synced(facts_.clock_synced);
  if (facts_.certificate_days_left) heartbeat.set_certificate_days_left(*facts_.certificate_days_left);
  set_versions(*heartbeat.mutable_versions(), settings_);
  heartbeat.set_revision(++heartbeat_revision_);
  heartbeat.set_run(bytes_of(opening_));
  return Send{std::move(message), std::nullopt};
}

}  // namespace handoff
