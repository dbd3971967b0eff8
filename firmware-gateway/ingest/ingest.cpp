#include "firmware-gateway/ingest/ingest.hpp"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <tuple>
#include <utility>

#include "firmware-gateway/ingest/event_types.hpp"
#include "firmware-gateway/ingest/notice.hpp"
#include "firmware-gateway/ingest/settlement.hpp"
#include "proto/base/assert.hpp"

namespace ingest {
namespace {

using redact::Field;
using redact::OnConflict;
using redact::Reason;
using redact::Refusal;
using std::chrono::seconds;
using tillstream::v1::Event;

// When to try again: a line moves on within moments, room on the disk and another journal take longer.
constexpr seconds line_full_retry(1);
constexpr seconds stopping_retry(5);
constexpr seconds journal_full_retry(30);
constexpr seconds journal_closed_retry(5);
// What an event costs beside its bytes.
constexpr std::size_t waiting_overhead_bytes = 512;

Refusal storage_failed() {
  return {Reason::storage,
          {},
          "the journal failed; whether the event was stored is not known: repeat it with the same terminal_ref",
          journal_closed_retry};
}

std::optional<Event> parse(base::BytesView record) {
  Event event;
  if (!event.ParseFromArray(record.data(), static_cast<int>(record.size()))) return std::nullopt;
  return event;
}

const std::string& original_terminal(const Event& event) {
  return event.original_terminal_id().empty() ? event.terminal_id() : event.original_terminal_id();
}

// Whether a stored event is what another one names as its original.
Naming how_named(const Event& stored, const Waiting& waiting, std::chrono::milliseconds reference_reuse) {
  const Event& event = waiting.event;
  if (stored.event_id() == event.event_id()) return Naming::other;
  if (!waiting.original) {
    const bool named = stored.terminal_id() == original_terminal(event) &&
                       stored.terminal_ref() == event.original_ref() &&
                       (event.original_type().empty() || stored.type() == event.original_type());
    return named ? Naming::by_name : Naming::other;
  }
  if (stored.terminal_id() != event.terminal_id()) return Naming::other;
  const Naming naming = naming_of(*waiting.original, event, stored);
  const bool by_own_stan = waiting.original->mti.empty();
  if (naming == Naming::by_name || !(by_own_stan || waiting.original->is_this)) return naming;
  // STANs come round, often each day.
  constexpr std::chrono::milliseconds batch_max = std::chrono::hours(24);
  const bool in_batch = waiting.original->is_this && naming == Naming::by_content;
  const std::chrono::milliseconds far = in_batch ? std::max(batch_max, reference_reuse) : reference_reuse;
  const std::int64_t apart = std::abs(event.occurred_at_ms() - stored.occurred_at_ms());
  return apart > far.count() ? Naming::other : naming;
}

// Of several: the surest, then one that moved money before one that did not, then one of the same batch, as references
// come round with the batches, then the newest.
std::optional<Event> choose_original(const std::vector<Event>& stored, const Waiting& waiting,
                                     std::chrono::milliseconds reference_reuse) {
  const auto rank = [&](const Event& one) {
    return std::tuple(how_named(one, waiting, reference_reuse), moves_money(one.type()),
                      one.batch_no() == waiting.event.batch_no());
  };
  const Event* best = nullptr;
  for (const Event& one : stored) {
    if (how_named(one, waiting, reference_reuse) == Naming::other) continue;
    if (best == nullptr || rank(one) > rank(*best)) best = &one;
  }
  return best == nullptr ? std::nullopt : std::optional(*best);
}

// The stored reversals of an event: newest first, as the journal gives them.
std::vector<const Event*> reversals_of(const Event& original, const std::vector<Event>& stored) {
  std::vector<const Event*> found;
  for (const Event& one : stored) {
    if (one.type() == "reversal" && one.original_event_id() == original.event_id()) found.push_back(&one);
  }
  return found;
}

// Of a reversal that was linked to none yet: whether one of another original has its key.
bool has_anothers_key(const Event& event, const std::vector<Event>& stored) {
  return std::ranges::any_of(stored, [&](const Event& one) {
    return one.type() == "reversal" && !one.original_event_id().empty() && duplicate_key(one) == duplicate_key(event);
  });
}

}  // namespace

Ingest::Ingest(IngestSettings settings, const TimeZones& zones, const base::Hasher& hasher, base::Random& random,
               const Numbering& numbering)
    : settings_(std::move(settings)),
      recorder_(settings_.terminals, zones, hasher, random),
      numbering_(numbering),
      line_(settings_.line) {}

void Ingest::configure(Terminals terminals, std::chrono::milliseconds reference_reuse) {
  recorder_.configure(std::move(terminals));
  settings_.reference_reuse = reference_reuse;
}

void Ingest::on_journal_opened(const HashKey& hash_key, journal::Tallies tallies) {
  ASSERT(state_ == State::closed || state_ == State::idle);
  tallies_ = std::move(tallies);
  hash_key_ = hash_key;
  // Rows may have other numbers in another journal.
  for (Waiting& waiting : again_) waiting.seen_through = handoff::Row(0);
  state_ = State::idle;
}

// --- answers

void Ingest::reply(Ticket ticket, terminal::Answer answer) { replies_.push_back({ticket, std::move(answer)}); }

void Ingest::refuse(Ticket ticket, Refusal refusal) {
  switch (refusal.reason) {
    case Reason::busy:
      ++counts_.busy;
      break;
    case Reason::storage:
      ++counts_.storage_failed;
      break;
    case Reason::unknown_terminal:
      ++counts_.unknown_terminal;
      break;
    case Reason::conflicting_duplicate:
      ++counts_.conflicts_refused;
      break;
    default:
      ++counts_.invalid;
      break;
  }
  reply(ticket, std::move(refusal));
}

void Ingest::refuse_busy(const Waiting& waiting, std::string_view why, seconds retry_after) {
  refuse(waiting.ticket, {Reason::busy, {}, std::string(why) + "; nothing was stored", retry_after});
}

void Ingest::refuse_conflict(const Waiting& waiting) {
  refuse(waiting.ticket, {Reason::conflicting_duplicate, name_of(Field::terminal_ref),
                          "another event with this reference and other content is stored", seconds(0)});
}

void Ingest::reply_stored(const Waiting& waiting, handoff::Row row, const Event& event, bool duplicate) {
  ++(duplicate ? counts_.repeated : counts_.stored);
  terminal::Stored stored{.event_id = base::uuid_text(event.event_id()), .epoch = {}, .seq = 0, .duplicate = duplicate};
  if (event.has_batch_closed()) {
    stored.settled.emplace(terminal::Settled{.in_balance = std::nullopt, .closed = event.batch_closed()});
    if (event.has_in_balance()) stored.settled->in_balance = event.in_balance();
  }
  if (const auto place = numbering_.place_of(row)) {
    stored.epoch = base::to_hex(place->epoch.view());
    stored.seq = place->seq.value();
  }
  reply(waiting.ticket, std::move(stored));
}

// --- in

std::optional<redact::Refusal> Ingest::submit(const redact::Cleared& cleared, Ticket ticket, Moment moment) {
  ++counts_.submitted;
  auto event = recorder_.record(cleared, moment);
  if (!event) {
    refuse(ticket, event.error());
    return std::move(event.error());
  }
  Waiting waiting{.ticket = ticket,
                  .event = std::move(*event),
                  .on_conflict = cleared.fields().on_conflict,
                  .original = cleared.fields().original,
                  .settlement = cleared.fields().settlement,
                  .seen_through = handoff::Row(0),
                  .bytes = 0};
  waiting.bytes = waiting.event.ByteSizeLong() + waiting_overhead_bytes;
  if (stopping_) {
    refuse_busy(waiting, "the gateway is stopping", stopping_retry);
  } else if (state_ == State::closed) {
    refuse_busy(waiting, "the journal is being opened", journal_closed_retry);
  } else {
    for (const Waiting& refused : line_.push(std::move(waiting)))
      refuse_busy(refused, "more events are waiting than the gateway may hold", line_full_retry);
  }
  return std::nullopt;
}

// --- a group, out

std::optional<Ingest::Output> Ingest::poll() {
  if (!replies_.empty()) {
    Reply next = std::move(replies_.front());
    replies_.pop_front();
    return next;
  }
  return state_ == State::idle ? advance() : std::nullopt;
}

std::optional<Ingest::Output> Ingest::advance() {
  if (group_.empty()) {
    gather();
    if (group_.empty()) return std::nullopt;
    if (Find find = ask_for_originals(); !find.key_hashes.empty()) {
      state_ = State::finding;
      return find;
    }
  }
  state_ = State::appending;
  return append_group();
}

std::optional<Waiting> Ingest::next_waiting() {
  if (again_.empty()) return line_.pop();
  Waiting next = std::move(again_.front());
  again_.pop_front();
  return next;
}

void Ingest::gather() {
  std::size_t bytes = 0;
  while (group_.size() < settings_.group_events_max && bytes < settings_.group_bytes_max) {
    auto next = next_waiting();
    if (!next) return;
    // Its original must be stored first, or it could not be found; and nothing may overtake it.
    if (names_member_as_original(*next) || is_parted_by_settlement(*next)) return again_.push_front(std::move(*next));
    bytes += next->bytes;
    join(std::move(*next));
  }
}

bool Ingest::names_member_as_original(const Waiting& waiting) const {
  return std::ranges::any_of(original_hashes_of(waiting),
                             [&](std::uint64_t hash) { return group_hashes_.contains(hash); });
}

bool Ingest::is_parted_by_settlement(const Waiting& waiting) const {
  const auto before = group_terminals_.find(waiting.event.terminal_id());
  return before != group_terminals_.end() && (before->second || waiting.settlement);
}

void Ingest::join(Waiting waiting) {
  std::string key = duplicate_key(waiting.event);
  if (const auto first = group_keys_.find(key); first != group_keys_.end())
    return group_[first->second].repeats.push_back(std::move(waiting));
  const std::uint64_t hash = hash_of(waiting.event);
  group_keys_.emplace(std::move(key), group_.size());
  group_hashes_.insert(hash);
  group_terminals_.emplace(waiting.event.terminal_id(), waiting.settlement.has_value());
  group_.push_back({std::move(waiting), hash, {}});
}

std::uint64_t Ingest::hash_of(const Event& event) const {
  return reference_hash(hash_key_, event.terminal_id(), event.terminal_ref());
}

std::vector<std::uint64_t> Ingest::original_hashes_of(const Waiting& waiting) const {
  const Event& event = waiting.event;
  if (waiting.originals_sought) return {};
  if (!waiting.original) {
    if (event.original_ref().empty() || !event.original_event_id().empty()) return {};
    return {reference_hash(hash_key_, original_terminal(event), event.original_ref())};
  }
  std::vector<std::uint64_t> hashes{reference_hash(hash_key_, event.terminal_id(), waiting.original->stan)};
  // A reversal that names nothing has its RRN as its reference.
  if (event.type() == "reversal" && !waiting.original->rrn.empty())
    hashes.push_back(reference_hash(hash_key_, event.terminal_id(), waiting.original->rrn));
  return hashes;
}

Ingest::Find Ingest::ask_for_originals() {
  Find find;
  for (std::size_t i = 0; i < group_.size(); ++i) {
    for (const std::uint64_t hash : original_hashes_of(group_[i].waiting)) {
      find.key_hashes.push_back(hash);
      looking_.push_back(i);
    }
  }
  return find;
}

void Ingest::on_found(std::vector<std::vector<base::Bytes>> records) {
  ASSERT(state_ == State::finding && records.size() == looking_.size());
  std::map<std::size_t, std::vector<Event>> found;
  for (std::size_t i = 0; i < records.size(); ++i) {
    for (const base::Bytes& record : records[i])
      if (auto stored = parse(record)) found[looking_[i]].push_back(std::move(*stored));
    found.try_emplace(looking_[i]);
  }
  for (const auto& [member, stored] : found) {
    link(group_[member].waiting, stored);
    group_[member].key_hash = hash_of(group_[member].waiting.event);
  }
  looking_.clear();
  state_ = State::idle;
}

void Ingest::link(Waiting& waiting, const std::vector<Event>& stored) const {
  // Looked for once: what is not stored by now comes too late.
  waiting.originals_sought = true;
  Event& event = waiting.event;
  const auto original = choose_original(stored, waiting, settings_.reference_reuse);
  if (!original) {
    // A reversal is stored under the reference of what it reverses: nobody can say whether this one is.
    if (waiting.original && waiting.original->is_reversal()) leave_open(event);
    return;
  }
  // With its key it is found to be its repeat.
  if (waiting.original && waiting.original->is_this) return take_identity(event, *original);
  if (!waiting.original || event.type() != "reversal") return link_original(event, *original);
  const auto before = reversals_of(*original, stored);
  std::int64_t taken_back = 0;
  for (const Event* one : before) taken_back += std::abs(one->effect_minor());
  link_reversal(event, *original, waiting.original->rest_minor, taken_back);
  // What is reversed already is not reversed once more by a message that says it in another way; and what reverses
  // another one with that STAN is not this one's repeat.
  if (!before.empty()) {
    take_identity(event, *before.back());
  } else if (has_anothers_key(event, stored)) {
    set_apart(event, *original);
  }
}

Ingest::Append Ingest::append_group() {
  Append append;
  append.items.reserve(group_.size());
  for (Member& member : group_) {
    Event& event = member.waiting.event;
    const auto& settlement = member.waiting.settlement;
    member.tally = settlement ? ingest::settle(event, *settlement, tallies_) : tally_of(event);
    append.items.push_back(
        {.key_hash = member.key_hash,
         .priority = is_precious(event.type()) ? journal::Priority::money : journal::Priority::telemetry,
         .record = to_record(event),
         .seen_through = member.waiting.seen_through,
         .tally = member.tally});
  }
  return append;
}

// --- a group, back

void Ingest::on_appended(std::vector<journal::AppendOutcome> outcomes) {
  ASSERT(state_ == State::appending && outcomes.size() == group_.size());
  std::vector<Member> group = std::exchange(group_, {});
  clear_group_index();
  // What comes back goes before what was left when the group was cut.
  std::deque<Waiting> left = std::exchange(again_, {});
  for (std::size_t i = 0; i < group.size(); ++i) settle(std::move(group[i]), outcomes[i]);
  std::ranges::move(left, std::back_inserter(again_));
  state_ = State::idle;
}

void Ingest::settle(Member member, const journal::AppendOutcome& outcome) {
  if (const auto* const appended = std::get_if<journal::Appended>(&outcome))
    return settle_appended(member, appended->row);
  if (const auto* const candidates = std::get_if<journal::Candidates>(&outcome))
    return settle_candidates(member, *candidates);
  settle_refused(member, std::get<journal::Refused>(outcome).error);
}

void Ingest::settle_appended(Member& member, handoff::Row row) {
  if (member.waiting.contradicts) ++counts_.conflicts_stored;
  if (member.tally) tallies_.add(*member.tally);
  reply_stored(member.waiting, row, member.waiting.event, false);
  for (Waiting& repeat : member.repeats) settle_repeat(std::move(repeat), member.waiting.event, row);
}

// Whoever reads a 409 sees that the outcome has changed. Where nobody does, a request without an answer and its repeat
// with one are one transaction.
Relation Ingest::relation_of(const Waiting& incoming, const Event& stored) const {
  const Relation found = relation(incoming.event, stored, settings_.reference_reuse);
  const bool refuses = incoming.on_conflict == OnConflict::refuse;
  if (found == Relation::knows_less) return refuses ? Relation::conflict : Relation::same_event;
  return found == Relation::decides && refuses ? Relation::conflict : found;
}

// Only a repeat of what has just been stored is settled by that alone; with other content, older rows count, too.
void Ingest::settle_repeat(Waiting repeat, const Event& stored, handoff::Row row) {
  if (relation_of(repeat, stored) == Relation::same_event) return reply_stored(repeat, row, stored, true);
  again_.push_back(std::move(repeat));
}

void Ingest::settle_candidates(Member& member, const journal::Candidates& candidates) {
  ASSERT(!candidates.rows.empty());
  std::optional<Event> conflicting;
  bool reused = false;
  bool contradicts = false;
  for (const journal::Candidate& candidate : candidates.rows) {
    auto stored = parse(candidate.record);
    if (!stored) continue;
    const Relation found = relation_of(member.waiting, *stored);
    if (found == Relation::same_event) {
      reply_stored(member.waiting, candidate.row, *stored, true);
      for (Waiting& repeat : member.repeats) again_.push_back(std::move(repeat));
      return;
    }
    reused = reused || found == Relation::reused;
    // Newest first: the last one that is kept is the first that was stored.
    contradicts = contradicts || found == Relation::conflict;
    if (found == Relation::conflict || found == Relation::decides) conflicting = std::move(stored);
  }
  const handoff::Row newest = candidates.rows.front().row;
  if (!conflicting) {
    if (reused) ++counts_.references_reused;
    go_round(std::move(member.waiting), newest);
  } else if (member.waiting.on_conflict == OnConflict::refuse) {
    refuse_conflict(member.waiting);
  } else {
    member.waiting.contradicts = contradicts;
    store_conflict(std::move(member.waiting), conflicting->event_id(), newest);
  }
  for (Waiting& repeat : member.repeats) again_.push_back(std::move(repeat));
}

void Ingest::settle_refused(Member& member, journal::Error error) {
  const std::string_view why = error == journal::Error::disk_full ? "the disk is full" : "the journal is full";
  refuse_busy(member.waiting, why, journal_full_retry);
  for (const Waiting& repeat : member.repeats) refuse_busy(repeat, why, journal_full_retry);
}

void Ingest::go_round(Waiting waiting, handoff::Row seen_through) {
  waiting.seen_through = seen_through;
  again_.push_back(std::move(waiting));
}

void Ingest::store_conflict(Waiting waiting, base::BytesView first_id, handoff::Row seen_through) {
  waiting.event.set_conflict_with(std::string(first_id));
  go_round(std::move(waiting), seen_through);
}

void Ingest::on_append_failed(journal::Error error) {
  ASSERT(state_ == State::appending || state_ == State::finding);
  const bool nothing_stored =
      error == journal::Error::full || error == journal::Error::disk_full || state_ == State::finding;
  looking_.clear();
  if (nothing_stored) {
    fail_group({Reason::busy, {}, "the journal cannot take more now; nothing was stored", journal_full_retry});
  } else {
    fail_group(storage_failed());
  }
  if (error == journal::Error::full || error == journal::Error::disk_full) {
    state_ = State::idle;
    return;
  }
  state_ = State::closed;
  // Nobody knows how long it takes: better an answer than a terminal that waits.
  for (const Waiting& waiting : again_) refuse_busy(waiting, "the journal is being opened", journal_closed_retry);
  again_.clear();
  for (const Waiting& waiting : line_.drain())
    refuse_busy(waiting, "the journal is being opened", journal_closed_retry);
}

void Ingest::fail_group(const Refusal& refusal) {
  for (const Member& member : std::exchange(group_, {})) {
    refuse(member.waiting.ticket, refusal);
    for (const Waiting& repeat : member.repeats) refuse(repeat.ticket, refusal);
  }
  clear_group_index();
}

void Ingest::clear_group_index() {
  group_keys_.clear();
  group_hashes_.clear();
  group_terminals_.clear();
}

bool Ingest::idle() const { return replies_.empty() && group_.empty() && again_.empty() && line_.empty(); }

}  // namespace ingest
