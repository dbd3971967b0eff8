#include "firmware-gateway/gateway/gateway.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "firmware-gateway/ingest/reference.hpp"
#include "firmware-gateway/ingest/settlement.hpp"
#include "proto/base/timestamp.hpp"
#include "proto/handoff/topics.hpp"

namespace gateway {
namespace {

// What could be read of a message whose event cannot be stored. The names that the door's own notices have, where there
// are such.
terminal::Shape shape_of(const redact::Fields& fields, const redact::Refusal& refusal) {
  terminal::Shape shape{{"reason", fmt::format("{} {}", refusal.field, refusal.message)}};
  const auto add = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) terminal::add_to(shape, name, value);
  };
  for (std::size_t i = 0; i < redact::text_count; ++i) {
    const redact::Field field = redact::text_at(i);
    add(field == redact::Field::terminal_id ? "field_41" : std::string(name_of(field)), fields.text(field));
  }
  for (std::size_t i = 0; i < redact::number_count; ++i)
    if (const auto& number = fields.numbers[i]) shape.emplace(name_of(redact::number_at(i)), std::to_string(*number));
  for (const auto& [name, value] : fields.attributes) add(name, value);
  return shape;
}

}  // namespace

Gateway::Gateway(const Settings& settings, const ingest::TimeZones& zones, const base::Hasher& hasher,
                 base::Random& random)
    : settings_(settings),
      hasher_(hasher),
      random_(random),
      ingest_(settings.ingest, zones, hasher, random, numbers_),
      sender_(hasher, random, settings.sender),
      uplink_(settings.uplink, random) {
  const std::string shard = handoff::shard_of(hasher, settings.gateway_id);
  up_topic_ = handoff::up_topic(shard, settings.gateway_id);
  down_topic_ = handoff::down_topic(shard, settings.gateway_id);
  owner_topic_ = handoff::owner_topic(shard);
  make_guard();
}

void Gateway::make_guard() {
  if (guard_) {
    for (std::size_t i = 0; i < masked_before_.size(); ++i) masked_before_[i] += guard_->masked()[i];
  }
  redact::GuardSettings guard{
      .accept_card_numbers = settings_.accept_card_numbers, .token_keys = settings_.token_keys, .mark_key = {}};
  // Kept with the journal, as the events are in which the marks must stay comparable.
  const base::BytesView journal_key(reinterpret_cast<const char*>(hash_key_.data()), hash_key_.size());
  guard.mark_key = redact::Secret(hasher_.hmac_sha256(journal_key, "tillstream mark key 1").view());
  guard_.emplace(std::move(guard), hasher_);
}

void Gateway::start(base::Now now) {
  started_at_ = now.utc;
  uplink_.start(now);
}

void Gateway::stop(base::Now /*now*/) {
  stopping_ = true;
  ingest_.stop();
}

bool Gateway::settled() const { return ingest_.idle() && out_.empty(); }

void Gateway::reconfigure(const Reconfiguration& changed) {
  ingest_.configure(changed.terminals, changed.reference_reuse);
  settings_.accept_card_numbers = changed.accept_card_numbers;
  settings_.token_keys = changed.token_keys;
  make_guard();
}

void Gateway::ask(Asker asker, decltype(JournalRequest::what) what, Token token) {
  out_.emplace_back(JournalRequest{.asker = asker, .token = token, .what = std::move(what)});
}

void Gateway::log(Severity severity, std::string text) {
  out_.emplace_back(LogLine{.severity = severity, .text = std::move(text)});
}

void Gateway::notice(const std::string& name, const ingest::NoticeDetails& details, base::Now now,
                     std::optional<Ticket> ticket, std::optional<journal::Tally> tally) {
  const auto dropped =
      notices_.add(name, details, ingest_.recorder().next_id(now.utc), moment(now), ticket, std::move(tally));
  if (!dropped) return;
  // It is told again.
  std::erase_if(rejected_, [&](const Rejected& rejected) { return rejected.ticket == *dropped; });
  out_.emplace_back(Reply{
      .ticket = *dropped,
      .answer = terminal::Refusal{
          terminal::Reason::busy, {}, "more notices are waiting than the gateway may hold", std::chrono::seconds(5)}});
}

void Gateway::tell(const std::string& name, const ingest::NoticeDetails& details, Ticket ticket, base::Now now) {
  log(Severity::warning, fmt::format("{}", name));
  notice(name, details, now, ticket);
}

void Gateway::reject_message(const terminal::Shape& shape, base::Now now, std::optional<SeenByTap> tap) {
  const auto ticket = tap ? std::optional(tap->ticket) : std::nullopt;
  std::erase_if(rejected_, [&](const Rejected& old) { return now.instant - old.at >= rejected_again_after; });
  if (std::ranges::find(rejected_, shape, &Rejected::shape) != rejected_.end()) {
    if (ticket)
      out_.emplace_back(
          Reply{.ticket = *ticket, .answer = terminal::Stored{.event_id = {}, .epoch = {}, .duplicate = true}});
    return;
  }
  rejected_.push_back({.shape = shape, .at = now.instant, .ticket = ticket});
  if (rejected_.size() > rejected_remembered_max) rejected_.pop_front();
  log(Severity::warning, fmt::format("a message was rejected: {}", shape.at("reason")));
  // Its terminal's batch lacks what it told of.
  const auto terminal = shape.find("field_41");
  const std::string of =
      terminal == shape.end() ? std::string(ingest::any_terminal) : guard_->clear_identity(terminal->second);
  ingest::NoticeDetails details = shape;
  if (tap) details.emplace("seen_at", base::to_rfc3339({.utc = tap->at, .offset = {}}));
  notice("message_rejected", details, now, ticket, ingest::doubt_of(of, now.utc));
}

void Gateway::submit(redact::Draft draft, redact::Channel channel, Ticket ticket, base::Now now) {
  auto cleared = guard_->clear(std::move(draft), channel);
  if (!cleared) {
    out_.emplace_back(Reply{.ticket = ticket, .answer = std::move(cleared.error())});
    return;
  }
  in_intake_.emplace(ticket, now);
  const auto never = ingest_.submit(*cleared, ticket, moment(now));
  const bool has_happened = cleared->fields().source == redact::Source::iso8583;
  if (never && never->reason == redact::Reason::invalid_field && has_happened)
    reject_message(shape_of(cleared->fields(), *never), now);
}

void Gateway::find_event(std::string terminal_id, std::string terminal_ref, Ticket ticket) {
  if (lookups_.size() >= requests_max) {
    out_.emplace_back(HistoryFound{.ticket = ticket, .events = base::fail(journal::Error::full)});
    return;
  }
  Lookup lookup{.ticket = ticket,
                .terminal_id = guard_->clear_identity(std::move(terminal_id)),
                .terminal_ref = guard_->clear_identity(std::move(terminal_ref))};
  const std::uint64_t hash = ingest::reference_hash(hash_key_, lookup.terminal_id, lookup.terminal_ref);
  const Token token = next_token_;
  ++next_token_;
  lookups_.emplace_back(token, std::move(lookup));
  ask(Asker::history, FindRows{.key_hashes = {hash}, .limit = journal::kCandidatesMax}, token);
}

void Gateway::verify_rows(Row from, Ticket ticket) {
  const Token token = next_token_;
  ++next_token_;
  operations_.push_back({.token = token, .ticket = ticket, .exports = false});
  ask(Asker::operators, VerifyRows{.from = from}, token);
}

void Gateway::export_rows(Row from, std::size_t max_rows, std::size_t max_bytes, Ticket ticket) {
  const Token token = next_token_;
  ++next_token_;
  operations_.push_back({.token = token, .ticket = ticket, .exports = true});
  ask(Asker::operators, ReadRows{.from = from, .max_rows = max_rows, .max_bytes = max_bytes}, token);
}

std::optional<Output> Gateway::poll(base::Now now) {
  if (out_.empty()) pump(now);
  if (out_.empty()) return std::nullopt;
  Output output = std::move(out_.front());
  out_.pop_front();
  return output;
}

// Answers first: a terminal waits for them.
void Gateway::pump(base::Now now) {
  while (pump_ingest(now)) {
  }
  keep_house(now);
  while (pump_sender(now)) {
  }
  while (pump_uplink(now) || pump_outbox() || pump_notices()) {
  }
  if (journal_open_) store_next_epoch(now);
}

bool Gateway::pump_ingest(base::Now now) {
  auto output = ingest_.poll();
  if (!output) return false;
  if (auto* reply = std::get_if<ingest::Ingest::Reply>(&*output)) {
    if (const auto submitted = in_intake_.extract(reply->ticket)) {
      answer_times_.observe(now.instant - submitted.mapped().instant);
    }
    out_.emplace_back(Reply{.ticket = reply->ticket, .answer = std::move(reply->answer)});
  } else if (auto* find = std::get_if<ingest::Ingest::Find>(&*output)) {
    ask(Asker::ingest, FindRows{.key_hashes = std::move(find->key_hashes), .limit = journal::kCandidatesMax});
  } else if (auto* append = std::get_if<ingest::Ingest::Append>(&*output)) {
    append_asked_at_ = now.instant;
    ask(Asker::ingest, AppendRows{.items = std::move(append->items)});
  }
  return true;
}

// Facts of a second ago would tell amounts as pending beside a count that has none.
bool Gateway::pump_sender(base::Now now) {
  if (sender_.heartbeat_due(now.instant)) tell_facts(now);
  auto output = sender_.poll(now.instant);
  if (!output) return false;
  std::visit([&](auto& intention) { obey(std::move(intention), now); }, *output);
  return true;
}

bool Gateway::pump_uplink(base::Now now) {
  const auto output = uplink_.poll(now);
  if (!output) return false;
  std::visit([&](const auto& intention) { out_.emplace_back(intention); }, *output);
  return true;
}

bool Gateway::pump_outbox() {
  if (outbox_.empty() || !uplink_.may_publish()) return false;
  outbox_.front().attempt = uplink_.on_publish();
  out_.emplace_back(std::move(outbox_.front()));
  outbox_.pop_front();
  return true;
}

bool Gateway::pump_notices() {
  if (!journal_open_) return false;
  auto item = notices_.next(hash_key_);
  if (!item) return false;
  AppendRows append;
  append.items.push_back(std::move(*item));
  ask(Asker::notices, std::move(append));
  return true;
}

std::optional<base::Instant> Gateway::wakeup_at() const {
  std::optional<base::Instant> next;
  const auto take = [&](std::optional<base::Instant> at) {
    if (at) next = next ? std::min(*next, *at) : at;
  };
  take(sender_.wakeup_at());
  take(uplink_.wakeup_at());
  if (!journal_open_) return next;
  if (!trimming_) take(trim_at_);
  if (!measuring_) take(measure_at_);
  if (marks_changed_) take(flush_at_);
  if (!scanning_ && ledger_.scan_from()) take(scan_at_);
  if (epoch_is_due()) take(store_epoch_at_);
  return next;
}

}  // namespace gateway
