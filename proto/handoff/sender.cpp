// The sender's conversation: greeting, answers, forks and acks. What it sends and when is in sending.cpp.
#include "proto/handoff/sender.hpp"

#include <algorithm>
#include <utility>

#include "proto/base/assert.hpp"

namespace handoff {
namespace {

namespace v1 = tillstream::v1;

Seq seq_at(const EpochStart& epoch, Row row) { return row < epoch.first_row ? Seq(0) : Seq(row - epoch.first_row + 1); }

std::vector<std::pair<std::string, std::string>> details_of(const EpochStart& start) {
  std::vector<std::pair<std::string, std::string>> details{{"epoch", base::to_hex(start.epoch.view())}};
  if (start.supersedes) {
    details.emplace_back("supersedes_epoch", base::to_hex(start.supersedes->epoch.view()));
    details.emplace_back("supersedes_seq", std::to_string(start.supersedes->seq.value()));
  }
  if (start.lost) {
    details.emplace_back("lost_reason", start.lost->reason);
    details.emplace_back("lost_first_seq", std::to_string(start.lost->first.value()));
    details.emplace_back("lost_last_seq", std::to_string(start.lost->last.value()));
  }
  if (start.repeats_through >= start.first_row) {
    details.emplace_back("repeats_through_seq", std::to_string(seq_at(start, start.repeats_through).value()));
  }
  return details;
}

// [H-92] What the stream has and the journal does not hold, as far as that is known.
std::vector<std::pair<std::string, std::string>> lacking_of(const EpochStart& start) {
  std::vector<std::pair<std::string, std::string>> details{{"reason", "journal_behind_stream"},
                                                           {"window_seconds", "0"}};
  if (!start.supersedes) return details;
  details.emplace_back("epoch", base::to_hex(start.supersedes->epoch.view()));
  const bool in_superseded = start.lacks_from <= start.supersedes->seq;
  if (in_superseded) {
    details.emplace_back("first_seq", std::to_string(start.lacks_from->value()));
    details.emplace_back("last_seq", std::to_string(start.supersedes->seq.value()));
  }
  // What it lacks begins with that epoch, or before: nobody says how long before.
  if (!in_superseded || start.lacks_from == Seq(1)) details.emplace_back("earlier_epochs", "possible");
  return details;
}

}  // namespace

Sender::Sender(const base::Hasher& hasher, base::Random& random, SenderSettings settings)
    : hasher_(hasher), random_(random), settings_(std::move(settings)), retransmission_(random) {}

Seq Sender::seq_of(Row row) const { return seq_at(epoch_, row); }

// --- the journal ---------------------------------------------------------------------------------

void Sender::on_opened(JournalState state, base::Instant now) {
  ASSERT(state.base.row <= state.acked.row && state.oldest == state.base.row.next());
  epoch_ = state.epoch;
  segments_ = Segments(std::move(state.segments));
  opening_ = state.opening;
  next_ = state.next;
  base_ = state.base;
  acked_ = state.acked;
  // Nothing of an epoch that was not accepted has been acked: a mark beyond its start is of an older one.  [H-43]
  if (!epoch_.accepted && acked_.row >= epoch_.first_row) acked_ = base_;
  acked_ever_ = acked_.row;
  forget_requests();
  attempts_.clear();
  former_.clear();
  for (const Answered& one : state.answered) remember(one.epoch);
  sent_ = sent_high_ = acked_.row;
  window_.reset(acked_);
  state_ = SenderState::offline;
  if (connected_) greet(now);
}

// What the old journal object was asked, or was about to be.
void Sender::forget_requests() {
  reading_ = false;
  read_after_.reset();
  storing_.clear();
  std::erase_if(out_, [](const SenderOutput& output) {
    return std::holds_alternative<StoreEpoch>(output) || std::holds_alternative<Acked>(output);
  });
}

void Sender::on_closed(base::Instant /*now*/) {
  state_ = SenderState::closed;
  forget_requests();
  hello_at_.reset();
  retransmit_at_.reset();
  heartbeat_at_.reset();
}

void Sender::on_appended(Row first, std::span<const base::Bytes> records, base::Instant now) {
  if (state_ == SenderState::closed || records.empty()) return;
  ASSERT(first == next_);
  if (!backlog()) watchdog_since_ = now;
  segments_.begin_run(opening_, first);
  next_ = first + records.size();
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (window_.last().next() != first + i || window_full()) return;
    const Mark after = advance(hasher_, segments_, epoch_, window_.last_mark(), records[i]);
    window_.push(records[i], after);
  }
}

void Sender::on_rows(Row first, std::vector<base::Bytes> records, base::Instant now) {
  reading_ = false;
  if (records.empty()) read_after_ = now + kHelloRetryMin;
  if (state_ == SenderState::checking && pass_) return on_pass_rows(first, records, now);
  if (state_ != SenderState::streaming) return;
  if (first != window_.last().next()) return;
  for (base::Bytes& record : records) {
    if (window_full() || window_.last().next() == next_) return;
    const Mark after = advance(hasher_, segments_, epoch_, window_.last_mark(), record);
    window_.push(std::move(record), after);
  }
}

void Sender::on_pass_rows(Row first, std::span<const base::Bytes> records, base::Instant now) {
  // Not the rows that come next: they were trimmed meanwhile, and the pass starts over from the new base.
  if (!records.empty() && first != pass_->at.row.next()) return judge_answer(now);
  for (const base::Bytes& record : records) {
    if (pass_->at.row == pass_->target) break;
    pass_->at = advance(hasher_, segments_, epoch_, pass_->at, record);
  }
  if (pass_->at.row == pass_->target) judge_answer(now);
}

void Sender::on_trimmed(Row oldest, const Mark& base, base::Instant /*now*/) {
  if (state_ == SenderState::closed) return;
  ASSERT(oldest == base.row.next());
  base_ = base;
  segments_.forget_before(oldest);
}

void Sender::on_epoch_stored(base::Instant now) {
  if (storing_.empty()) return;  // asked for before the journal was opened anew
  const StoreEpoch stored = std::move(storing_.front());
  storing_.pop_front();
  epoch_ = stored.start;
  if (stored.run) {
    segments_.reidentify(*stored.run);
    opening_ = stored.run->run;
  }
  if (state_ == SenderState::forking && storing_.empty()) finish_fork(now);
}

// --- the connection ------------------------------------------------------------------------------

void Sender::on_connected(ConnectionLimits limits, base::Instant now) {
  connected_ = true;
  limits_ = limits;
  watchdog_since_ = now;
  held_ = Held::no;
  hellos_unanswered_ = 0;
  if (state_ != SenderState::closed && state_ != SenderState::forking) greet(now);
}

void Sender::on_disconnected(base::Instant /*now*/) {
  connected_ = false;
  hello_at_.reset();
  nonce_.reset();
  retransmit_at_.reset();
  heartbeat_at_.reset();
  watchdog_since_.reset();
  if (state_ != SenderState::closed && state_ != SenderState::forking) state_ = SenderState::offline;
}

void Sender::on_owner(const v1::Owner& owner, base::Instant now) {
  if (owner_nonce_ == owner.nonce()) return;
  owner_nonce_ = owner.nonce();
  if (!connected_ || state_ == SenderState::closed || state_ == SenderState::forking) return;
  greet(now + jitter(settings_.owner_jitter_max));  // [H-12]
}

void Sender::on_facts(HeartbeatFacts facts) { facts_ = std::move(facts); }

// Nothing but Hello from here on, until its answer.
void Sender::greet(base::Instant due) {
  state_ = SenderState::greeting;
  nonce_ = random_.next();
  hello_at_ = due;
  hellos_unanswered_ = 0;
  pass_.reset();
  retransmit_at_.reset();
  paused_until_.reset();
  heartbeat_at_.reset();
}

void Sender::on_ack(const v1::Ack& ack, base::Instant now) {
  ++counters_.acks;
  const bool answers = ack.has_nonce();
  if (state_ == SenderState::greeting && answers && nonce_ == ack.nonce()) return on_answer(ack, now);
  if (state_ != SenderState::streaming || answers) {  // [H-13] late, or of a conversation that is over
    ++counters_.acks_late;
    return;
  }
  on_plain_ack(ack, now);
}

// --- the answer to a Hello -----------------------------------------------------------------------

void Sender::on_answer(const v1::Ack& ack, base::Instant now) {
  if (ack.reason() == v1::Ack::QUARANTINED) return on_quarantined(now);
  std::optional<Progress> stored;
  if (ack.has_progress()) {
    stored = from_wire(ack.progress());
    if (!stored) return refuse_ack(now);
  }
  nonce_.reset();  // [H-13] a second answer to the same Hello is late
  hello_at_.reset();
  hellos_unanswered_ = 0;
  watchdog_since_ = now;
  take_credit(ack, now);
  answer_ = std::move(stored);
  proved_.clear();
  state_ = SenderState::checking;
  judge_answer(now);
}

// [H-74] The id is withheld: go on storing, and say Hello now and then, so that the bridge sees who is still there.
void Sender::on_quarantined(base::Instant now) {
  if (held_ != Held::quarantined) hellos_unanswered_ = 0;
  held_ = Held::quarantined;
  watchdog_since_ = now;
  alarm(AlarmKind::quarantined, now);
  if (state_ != SenderState::greeting) greet(now + kHeldRetryMin);
}

JournalView Sender::view() const {
  return {.epoch = epoch_,
          .segments = segments_,
          .opening = opening_,
          .next = next_,
          .base = base_,
          .acked = acked_,
          .acked_ever = acked_ever_,
          .attempts = attempts_,
          .former = former_,
          .proved = proved_};
}

void Sender::judge_answer(base::Instant now) {
  if (pass_ && pass_->at.row == pass_->target) proved_.push_back(pass_->at);
  pass_.reset();
  Verdict verdict = judge(hasher_, answer_, view());
  while (const auto* need = std::get_if<NeedMark>(&verdict)) {
    const auto mark = window_.mark_at(need->row);
    if (!mark) {
      pass_ = Pass{view().start_for(need->row), need->row};
      return;
    }
    proved_.push_back(*mark);
    verdict = judge(hasher_, answer_, view());
  }
  if (const auto* mark = std::get_if<GoOn>(&verdict)) return go_on(mark->mark, now);
  const Fork& fork = std::get<Fork>(verdict);
  if (fork.stream_rolled_back) alarm(AlarmKind::stream_rolled_back, now);
  if (fork.image_restored) alarm(AlarmKind::image_restored, now);
  alarm(AlarmKind::epoch_forked, now);
  start_fork(fork);
}

// [H-30] The stored progress is ours: everything up to `mark` is in the stream, and nothing else.
void Sender::go_on(const Mark& mark, base::Instant now) {
  if (mark.row < acked_.row) alarm(AlarmKind::stream_rolled_back, now);
  const bool news = mark.row != acked_.row;
  if (window_.mark_at(mark.row)) {
    window_.drop_through(mark.row);
    window_.confirm_before(mark);
  } else {
    window_.reset(mark);
  }
  acked_ = mark;
  acked_ever_ = std::max(acked_ever_, mark.row);
  sent_ = mark.row;
  sent_high_ = std::max(sent_high_, sent_);
  in_flight_.clear();
  recovering_ = false;
  messages_max_ = 1;
  if (news) out_.emplace_back(Acked{mark});
  state_ = SenderState::streaming;
  heartbeat_at_ = now;
  if (!epoch_.accepted) accept_epoch();
}

// Its notices are asked for first: told twice, should the process end in between, rather than not at all.
void Sender::accept_epoch() {
  const bool refills = epoch_.repeats_through >= epoch_.first_row;
  if (epoch_.supersedes || epoch_.lost || refills)
    out_.emplace_back(AppendNotice{"journal_epoch_started", details_of(epoch_)});
  if (epoch_.lacks_from) out_.emplace_back(AppendNotice{"duplicate_window_shrunk", lacking_of(epoch_)});
  epoch_.accepted = true;
  epoch_.lacks_from.reset();
  storing_.push_back({epoch_, std::nullopt});
  out_.emplace_back(storing_.back());
}

// [H-40] … [H-44] Each attempt is an epoch of its own, on disk before its Hello.
void Sender::start_fork(const Fork& fork) {
  ++counters_.forks;
  state_ = SenderState::forking;
  floor_ = fork.floor;
  remember(epoch_.epoch);
  EpochStart start{.epoch = random_.id<Epoch>(),
                   .first_row = fork.floor.row.next(),
                   .lost = fork.lost,
                   .repeats_through = fork.repeats_through,
                   .lacks_from = fork.lacks_from};
  if (answer_) start.supersedes = answer_->place;
  std::optional<Segment> repeated;
  if (fork.possible_repeat) {
    repeated = Segment{.run = random_.id<Run>(), .first_row = start.first_row, .possible_repeat = true};
    std::erase_if(attempts_, [&](const Attempt& one) { return one.floor.row >= start.first_row; });
  }
  attempts_.push_back({start.epoch, fork.floor});
  if (attempts_.size() > kAttemptsMax) attempts_.erase(attempts_.begin());
  if (repeated || !fork.new_run) storing_.push_back({start, repeated});
  // Rows that come from now on cannot have been published: they get a run of their own.
  if (fork.new_run) storing_.push_back({start, Segment{.run = random_.id<Run>(), .first_row = next_}});
  const std::size_t added = repeated && fork.new_run ? 2 : 1;
  for (std::size_t i = storing_.size() - added; i < storing_.size(); ++i) out_.emplace_back(storing_[i]);
}

void Sender::remember(const Epoch& epoch) {
  std::erase(former_, epoch);
  former_.push_back(epoch);
  if (former_.size() > kFormerMax) former_.erase(former_.begin());
}

void Sender::finish_fork(base::Instant now) {
  acked_ = floor_;
  acked_.epoch_digest = chain_start(hasher_, epoch_.epoch);
  window_.reset(acked_);
  sent_ = sent_high_ = acked_.row;
  in_flight_.clear();
  proved_.clear();
  out_.emplace_back(Acked{acked_});
  state_ = SenderState::offline;
  if (connected_) greet(now);
}

// --- acks while streaming ------------------------------------------------------------------------

void Sender::on_plain_ack(const v1::Ack& ack, base::Instant now) {
  switch (ack.reason()) {
    case v1::Ack::QUARANTINED:
      return on_quarantined(now);
    case v1::Ack::MISMATCH:
      return refuse_ack(now);
    default:
      break;
  }
  const auto epoch = base::from_bytes<Epoch>(ack.epoch());
  const auto digest = base::from_bytes<base::Digest>(ack.digest());
  const std::uint64_t seq_sent = seq_of(sent_high_).value();
  if (!epoch || !digest || *epoch != epoch_.epoch || ack.seq() > seq_sent) return refuse_ack(now);  // [H-31]
  const Row row = epoch_.first_row - 1 + ack.seq();
  if (row < acked_.row) {
    ++counters_.acks_late;  // [H-13]
    return;
  }
  const auto mark = window_.mark_at(row);
  if (!mark || mark->epoch_digest != *digest) return refuse_ack(now);  // [H-31]
  take_credit(ack, now);
  if (row > acked_.row) return on_progress(*mark, now);
  on_repeated_ack(now);
}

void Sender::take_credit(const v1::Ack& ack, base::Instant now) {
  credit_ = ack.credit_bytes();
  const bool upgrade = ack.reason() == v1::Ack::UPGRADE_BRIDGE;
  const Held held = upgrade ? Held::upgrade_bridge : credit_ == 0 ? Held::busy : Held::no;
  if (held == Held::no && held_ != Held::no) pauses_ = 0;
  held_ = held;
  if (upgrade) alarm(AlarmKind::upgrade_bridge, now);
}

void Sender::on_progress(const Mark& mark, base::Instant now) {
  std::optional<InFlight> newest;
  while (!in_flight_.empty() && in_flight_.front().last <= mark.row) {
    newest = in_flight_.front();
    in_flight_.pop_front();
  }
  if (newest && newest->first_time) retransmission_.on_round_trip(now - newest->sent_at);
  retransmission_.on_progress();
  window_.drop_through(mark.row);
  acked_ = mark;
  acked_ever_ = std::max(acked_ever_, mark.row);
  sent_ = std::max(sent_, mark.row);
  recovering_ = false;
  pauses_ = 0;
  messages_max_ = std::min<std::uint64_t>(messages_max_ * 2, limits_.receive_maximum);
  watchdog_since_ = now;
  retransmit_at_.reset();
  if (!in_flight_.empty()) retransmit_at_ = now + retransmission_.draw();
  out_.emplace_back(Acked{mark});
}

// The bridge says again where it is. With rows under way something was lost, or came twice: send again at once, but
// only once until there is progress.  [H-24]
void Sender::on_repeated_ack(base::Instant now) {
  if (held_ == Held::upgrade_bridge) {
    rewind();
    watchdog_since_ = now;
    paused_until_ = now + held_wait();
    return;
  }
  if (in_flight_.empty() || recovering_) return;
  ++counters_.retransmissions;
  rewind();
}

void Sender::refuse_ack(base::Instant now) {
  ++counters_.acks_refused;
  alarm(AlarmKind::ack_refused, now);
  hello_soon(now);
}

// [H-32] At most one such Hello in kRefusedHelloInterval.
void Sender::hello_soon(base::Instant now) {
  if (state_ != SenderState::streaming || (refused_hello_after_ && now < *refused_hello_after_)) return;
  refused_hello_after_ = now + kRefusedHelloInterval;
  greet(now);
}

void Sender::alarm(AlarmKind kind, base::Instant now) {
  AlarmRecord& record = alarms_.at(static_cast<std::size_t>(kind));
  if (record.last && now - *record.last < kAlarmInterval) {
    ++record.suppressed;
    return;
  }
  out_.emplace_back(Alarm{kind, std::exchange(record.suppressed, 0)});
  record.last = now;
}

}  // namespace handoff
