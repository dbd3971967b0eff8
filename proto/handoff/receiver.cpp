#include "proto/handoff/receiver.hpp"

#include <algorithm>
#include <utility>

#include "proto/base/assert.hpp"

namespace handoff {
namespace {

namespace v1 = tillstream::v1;

constexpr std::uint32_t kProtocol = 1;

base::Digest chain_over(const base::Hasher& hasher, base::Digest digest, const v1::Records& records, std::uint64_t from,
                        std::uint64_t to) {
  for (std::uint64_t i = from; i < to; ++i) digest = chain(hasher, digest, records.record(static_cast<int>(i)));
  return digest;
}

std::uint64_t bytes_of(const v1::Records& records) {
  std::uint64_t bytes = 0;
  for (const auto& record : records.record()) bytes += record.size();
  return bytes;
}

}  // namespace

Receiver::Receiver(const base::Hasher& hasher, std::string gateway_id, ReceiverSettings settings,
                   std::optional<Progress> stored)
    : hasher_(hasher),
      gateway_id_(std::move(gateway_id)),
      settings_(std::move(settings)),
      committed_(std::move(stored)),
      tentative_(committed_) {}

void Receiver::on_up(v1::Up up, base::Now now) {
  if (up.gateway_id() != gateway_id_) return refuse(RefusalReason::gateway_mismatch);
  switch (up.message_case()) {
    case v1::Up::kHello:
      return on_hello(up.hello(), now);
    case v1::Up::kBatch:
      return on_batch(std::move(*up.mutable_batch()), now);
    case v1::Up::kHeartbeat:
      return on_heartbeat(std::move(*up.mutable_heartbeat()));
    case v1::Up::MESSAGE_NOT_SET:
      break;
  }
  refuse(RefusalReason::malformed);
}

void Receiver::on_committed(Ticket through) {
  ASSERT(through <= last_ticket_);
  bool news = false;
  while (!issued_.empty() && issued_.front().ticket <= through) {
    committed_ = std::move(issued_.front().progress);
    uncommitted_bytes_ -= issued_.front().bytes;
    issued_.pop_front();
    news = true;
  }
  if (!news) return;
  release_answer();
  if (!quarantined() && !ack_due_) ack_due_ = v1::Ack::PROGRESS;
}

void Receiver::on_reset(std::optional<Progress> stored) {
  committed_ = std::move(stored);
  tentative_ = committed_;
  issued_.clear();
  uncommitted_bytes_ = 0;
  answer_.reset();
  ack_due_.reset();
  std::erase_if(out_, [](const ReceiverOutput& output) { return !std::holds_alternative<Refuse>(output); });
}

void Receiver::set_credit(std::uint64_t bytes) {
  const bool opens = credit_ == 0 && bytes > 0;
  credit_ = bytes;
  if (opens && committed_ && !quarantined() && !ack_due_) ack_due_ = v1::Ack::PROGRESS;
}

void Receiver::end_quarantine(base::Now /*now*/) {
  if (!quarantined()) return;
  tentative_->quarantined_at.reset();
  tentative_->quarantine_run = {};
  tentative_->quarantine_run_since = {};
  tentative_->switched_at.clear();
  Publish publish;
  publish.notices.push_back(Notice::quarantine_ended);
  issue(std::move(publish), 0);
}

std::optional<ReceiverOutput> Receiver::poll() {
  if (out_.empty() && ack_due_) {
    const bool withheld = *ack_due_ == v1::Ack::QUARANTINED;  // [H-71]
    out_.emplace_back(Reply{ack_of(withheld ? std::nullopt : committed_, *ack_due_)});
    ack_due_.reset();
  }
  if (out_.empty()) return std::nullopt;
  ReceiverOutput output = std::move(out_.front());
  out_.pop_front();
  return output;
}

// --- Hello ---------------------------------------------------------------------------------------

void Receiver::on_hello(const v1::Hello& hello, base::Now now) {
  const bool whole = base::from_bytes<Epoch>(hello.epoch()) && base::from_bytes<Run>(hello.run()) &&
                     (!hello.has_supersedes() || from_wire(hello.supersedes()));
  if (!whole) return refuse(RefusalReason::malformed);
  if (quarantined()) return on_hello_in_quarantine(hello, now);
  take_hello(hello, now);
}

void Receiver::take_hello(const v1::Hello& hello, base::Now now) {
  if (tentative_ && hello.epoch() == tentative_->place.epoch.view()) return answer(hello, v1::Ack::PROGRESS);
  const auto supersedes = hello.has_supersedes() ? from_wire(hello.supersedes()) : std::nullopt;
  const auto stored = tentative_ ? std::optional(tentative_->place) : std::nullopt;
  if (hello.new_epoch() && supersedes == stored) {  // [H-60] [H-61]
    switch_epoch(hello, now);
    return answer(hello, quarantined() ? v1::Ack::QUARANTINED : v1::Ack::PROGRESS);
  }
  out_.emplace_back(Refuse{RefusalReason::foreign_epoch});
  answer(hello, v1::Ack::MISMATCH);
}

void Receiver::switch_epoch(const v1::Hello& hello, base::Now now) {
  const Epoch epoch = *base::from_bytes<Epoch>(hello.epoch());
  Publish publish;
  if (hello.has_lost()) {
    const Lost lost{hello.lost().reason(), Seq(hello.lost().first_seq()), Seq(hello.lost().last_seq())};
    publish.loss = Loss{lost, tentative_ ? std::optional(tentative_->place) : std::nullopt};
  }
  if (tentative_) note_switch(publish, now);
  if (!tentative_) tentative_ = Progress{.gateway_id = gateway_id_};
  tentative_->place = Place{epoch, Seq(0), chain_start(hasher_, epoch)};
  if (tentative_->quarantined_at) {
    tentative_->quarantine_run = *base::from_bytes<Run>(hello.run());
    tentative_->quarantine_run_since = now.utc;
  }
  ++counters_.switches;
  issue(std::move(publish), 0);
}

// [H-70] Remembers the switch; the third within the window quarantines the id.
void Receiver::note_switch(Publish& publish, base::Now now) {
  auto& times = tentative_->switched_at;
  std::erase_if(times, [&](base::UtcTime at) { return at <= now.utc - kQuarantineWindow || at > now.utc; });
  times.push_back(now.utc);
  if (times.size() < kSwitchesMax) return;
  tentative_->quarantined_at = now.utc;
  publish.notices.push_back(Notice::gateway_cloned);
}

// [H-71] … [H-73] Withholds progress, and watches whether only one run is left.
void Receiver::on_hello_in_quarantine(const v1::Hello& hello, base::Now now) {
  const Run run = *base::from_bytes<Run>(hello.run());
  Progress& progress = *tentative_;
  const bool same = progress.quarantine_run == run && progress.quarantine_run_since <= now.utc;
  if (same && now.utc - progress.quarantine_run_since >= kQuarantineCalm) {
    end_quarantine(now);
    return take_hello(hello, now);
  }
  if (!same) {
    progress.quarantine_run = run;
    progress.quarantine_run_since = now.utc;
    issue(Publish{}, 0);
  }
  out_.emplace_back(Refuse{RefusalReason::quarantined});
  answer(hello, v1::Ack::QUARANTINED);
}

// [H-53] An answer speaks of tentative progress, so it waits until that is committed.
void Receiver::answer(const v1::Hello& hello, v1::Ack::Reason reason) {
  v1::Ack ack = ack_of(reason == v1::Ack::QUARANTINED ? std::nullopt : tentative_, reason);
  ack.set_nonce(hello.nonce());
  if (tentative_ && reason != v1::Ack::QUARANTINED) *ack.mutable_progress() = to_wire(*tentative_);
  ack.mutable_versions()->set_protocol(kProtocol);
  ack.mutable_versions()->set_event_schema(settings_.event_schema);
  ack.mutable_versions()->set_program(settings_.program);
  answer_ = Answer{issued_.empty() ? Ticket(0) : last_ticket_, std::move(ack)};
  release_answer();
}

void Receiver::release_answer() {
  const bool waiting = answer_ && !issued_.empty() && issued_.front().ticket <= answer_->after;
  if (!answer_ || waiting) return;
  answer_->ack.set_credit_bytes(credit_);
  if (credit_ == 0 && answer_->ack.reason() == v1::Ack::PROGRESS) answer_->ack.set_reason(v1::Ack::BUSY);
  out_.emplace_back(Reply{std::move(answer_->ack)});
  answer_.reset();
}

// --- Batch ---------------------------------------------------------------------------------------

void Receiver::on_batch(v1::Batch batch, base::Now /*now*/) {
  const auto epoch = base::from_bytes<Epoch>(batch.epoch());
  auto digest = base::from_bytes<base::Digest>(batch.digest_before());
  const auto count = static_cast<std::uint64_t>(batch.records().record_size());
  const bool run_ok = base::from_bytes<Run>(batch.run()).has_value() &&
                      (batch.run_digest_before().empty() || base::from_bytes<base::Digest>(batch.run_digest_before()));
  constexpr std::uint64_t seq_max = 1ULL << 62U;
  if (!epoch || !digest || !run_ok || count == 0 || batch.first_seq() == 0 || batch.first_seq() > seq_max ||
      batch.run_index() > seq_max) {
    return refuse(RefusalReason::malformed);
  }
  if (quarantined()) return refuse(RefusalReason::quarantined, v1::Ack::QUARANTINED);
  if (!tentative_ || tentative_->place.epoch != *epoch) return refuse(RefusalReason::foreign_epoch, v1::Ack::MISMATCH);
  if (batch.schema_version() > settings_.event_schema) {
    return refuse(RefusalReason::newer_schema, v1::Ack::UPGRADE_BRIDGE);  // [H-58]
  }
  const Place& place = tentative_->place;
  if (batch.first_seq() > place.seq.value() + 1) return refuse(RefusalReason::gap, v1::Ack::PROGRESS);
  const std::uint64_t skipped = std::min(count, place.seq.value() + 1 - batch.first_seq());
  counters_.rows_repeated += skipped;
  if (skipped == count) return reply_place(v1::Ack::PROGRESS);  // [H-54]
  if (chain_over(hasher_, *digest, batch.records(), 0, skipped) != place.digest) {
    return refuse(RefusalReason::digest_mismatch, v1::Ack::MISMATCH);  // [H-56]
  }
  publish_rows(std::move(batch), skipped);
}

// The rows from `skipped` on are new, if their run says so, too.
void Receiver::publish_rows(v1::Batch batch, std::uint64_t skipped) {
  const auto count = static_cast<std::uint64_t>(batch.records().record_size());
  RunProgress run{*base::from_bytes<Run>(batch.run()), batch.run_index() + count,
                  base::from_bytes<base::Digest>(batch.run_digest_before()), batch.renamed()};
  if (run.digest) run.digest = chain_over(hasher_, *run.digest, batch.records(), 0, skipped);
  const RunProgress* known = tentative_->find(run.run);
  const std::uint64_t run_next = batch.run_index() + skipped;
  const bool other_rows =
      known != nullptr && known->count == run_next && known->digest && run.digest && known->digest != run.digest;
  if ((known != nullptr && known->count > run_next) || other_rows) {
    return refuse(RefusalReason::digest_mismatch, v1::Ack::MISMATCH);  // [H-57]
  }
  const std::uint64_t bytes = bytes_of(batch.records());
  if (uncommitted_bytes_ > 0 && uncommitted_bytes_ + bytes > settings_.uncommitted_bytes_max) {
    return refuse(RefusalReason::over_credit);
  }
  Place& place = tentative_->place;
  Publish publish{.possible_repeat = batch.possible_repeat()};
  publish.rows.reserve(count - skipped);
  if (run.digest) run.digest = chain_over(hasher_, *run.digest, batch.records(), skipped, count);
  for (std::uint64_t i = skipped; i < count; ++i) {
    std::string& record = *batch.mutable_records()->mutable_record(static_cast<int>(i));
    place.digest = chain(hasher_, place.digest, record);
    publish.rows.push_back({++place.seq, std::move(record)});
  }
  tentative_->set_run(run);
  counters_.rows += publish.rows.size();
  issue(std::move(publish), bytes);
}

void Receiver::issue(Publish publish, std::uint64_t bytes) {
  publish.ticket = ++last_ticket_;
  publish.epoch = tentative_->place.epoch;
  publish.progress = *tentative_;
  issued_.push_back({last_ticket_, bytes, *tentative_});
  uncommitted_bytes_ += bytes;
  out_.emplace_back(std::move(publish));
}

// --- Heartbeat, answers --------------------------------------------------------------------------

// [H-80] Only what the committed progress bears out is passed on, and nothing late.
void Receiver::on_heartbeat(v1::Heartbeat heartbeat) {
  const auto run = base::from_bytes<Run>(heartbeat.run());
  if (!run) return refuse(RefusalReason::malformed);
  const bool ours = committed_ && !quarantined() && heartbeat.epoch() == committed_->place.epoch.view() &&
                    heartbeat.committed_seq() <= committed_->place.seq.value();
  if (!ours) return refuse(RefusalReason::foreign_epoch);
  if (*run == heartbeat_run_ && heartbeat.revision() <= heartbeat_revision_) return;
  heartbeat_run_ = *run;
  heartbeat_revision_ = heartbeat.revision();
  out_.emplace_back(Heard{std::move(heartbeat)});
}

void Receiver::refuse(RefusalReason reason) { out_.emplace_back(Refuse{reason}); }

void Receiver::refuse(RefusalReason reason, v1::Ack::Reason told) {
  out_.emplace_back(Refuse{reason});
  reply_place(told);
}

void Receiver::reply_place(v1::Ack::Reason reason) {
  if (!ack_due_ || *ack_due_ == v1::Ack::PROGRESS) ack_due_ = reason;
}

v1::Ack Receiver::ack_of(const std::optional<Progress>& progress, v1::Ack::Reason reason) const {
  v1::Ack ack;
  if (progress) {
    ack.set_epoch(base::Bytes(progress->place.epoch.view()));
    ack.set_seq(progress->place.seq.value());
    ack.set_digest(base::Bytes(progress->place.digest.view()));
  }
  const bool busy = reason == v1::Ack::PROGRESS && credit_ == 0;
  ack.set_reason(busy ? v1::Ack::BUSY : reason);
  ack.set_credit_bytes(credit_);
  return ack;
}

}  // namespace handoff
