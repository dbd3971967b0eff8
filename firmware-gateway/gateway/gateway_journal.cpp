// What the journal answers, and its housekeeping. See gateway.hpp.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "firmware-gateway/gateway/gateway.hpp"
#include "proto/base/assert.hpp"
#include "proto/wire/event.pb.h"

namespace gateway {

namespace {

using namespace std::chrono_literals;

// Committed rows that have grown too old are looked for this often, whether or not anything happens; after an
// acknowledgement sooner, so that a full journal opens.
constexpr std::chrono::milliseconds trim_interval_max = 60s;
constexpr std::chrono::milliseconds trim_interval_min = 1s;
// A row outlives the retention by at most such a part of it.
constexpr int retention_parts = 10;
constexpr auto trim_soon = 1s;
constexpr auto measure_interval = 1s;
constexpr auto window_notice_interval = 1h;
constexpr auto store_again = 1s;
constexpr auto scan_again = 1s;
constexpr std::size_t scan_rows = 512;
constexpr std::size_t scan_bytes = 256 * 1024;

}  // namespace

void Gateway::on_journal_opened(const handoff::JournalState& state, const ingest::HashKey& hash_key,
                                journal::Tallies tallies, base::Now now) {
  journal_open_ = true;
  journal_broken_ = journal_salvaging_ = false;
  journal_failure_.clear();
  hash_key_ = hash_key;
  make_guard();
  next_row_ = state.next;
  numbers_.on_opened(state);
  ledger_.on_opened(state.acked.row, state.next);
  scanning_ = trimming_ = measuring_ = marks_changed_ = storing_epoch_ = false;
  epochs_.clear();
  scan_at_ = store_epoch_at_ = now.instant;
  trim_at_ = now.instant + trim_soon;
  measure_at_ = now.instant;
  backlog_since_ = state.next > state.acked.row.next() ? std::optional(now.instant) : std::nullopt;
  sender_.on_opened(state, now.instant);
  ingest_.on_journal_opened(hash_key, std::move(tallies));
}

void Gateway::on_journal_failed(journal::Error error, const std::string& detail, base::Now now) {
  journal_open_ = false;
  journal_broken_ = true;
  journal_failure_ = detail;
  ++journal_failures_;
  sender_.on_closed(now.instant);
  log(Severity::error, fmt::format("journal {}: {}; terminals are told to repeat until it is open again",
                                   journal::to_string(error), detail));
}

void Gateway::on_journal_salvage(const std::string& damage) {
  journal_salvaging_ = true;
  journal_failure_ = damage;
}

void Gateway::on_journal_reopen_failed(const std::string& detail) {
  journal_salvaging_ = false;
  if (detail != journal_failure_) log(Severity::error, fmt::format("journal: {}; trying again", detail));
  journal_failure_ = detail;
}

void Gateway::on_journal(JournalReply reply, base::Now now) {
  if (!reply.result) return on_journal_error(reply.asker, reply.token, reply.result.error(), now);
  JournalResult& result = *reply.result;
  if (auto* appended = std::get_if<RowsAppended>(&result)) {
    on_rows_appended(reply.asker, *appended, now);
  } else if (auto* read = std::get_if<RowsRead>(&result)) {
    on_rows_read(reply.asker, reply.token, *read, now);
  } else if (auto* found = std::get_if<RowsFound>(&result)) {
    on_rows_found(reply.asker, reply.token, *found);
  } else if (const auto* stored = std::get_if<EpochStored>(&result)) {
    storing_epoch_ = false;
    epochs_.pop_front();
    if (numbers_.on_epoch_stored(stored->start, next_row_)) ingest_.forget_tallies();
    sender_.on_epoch_stored(now.instant);
  } else if (const auto* trimmed = std::get_if<journal::TrimOutcome>(&result)) {
    on_trimmed(*trimmed, now);
  } else if (const auto* usage = std::get_if<journal::Usage>(&result)) {
    on_usage(*usage);
  } else if (auto* verified = std::get_if<journal::VerifyStep>(&result)) {
    out_.emplace_back(RowsVerified{.ticket = take_operation(reply.token).ticket, .step = std::move(*verified)});
  }
}

void Gateway::on_usage(const journal::Usage& usage) {
  measuring_ = false;
  const auto before = std::exchange(usage_, usage).admission;
  if (usage.admission == before) return;
  switch (usage.admission) {
    case journal::Admission::closed:
      return log(Severity::error, fmt::format("journal: {}; terminals are told `busy` until there is room",
                                              usage.disk_full ? fmt::format("the disk is full, {} KiB are free",
                                                                            usage.free_disk_bytes / 1024)
                                                              : "the quota is used up"));
    case journal::Admission::money_only:
      return log(Severity::warning, "journal: the quota is used up but for its reserve; only money is taken");
    case journal::Admission::open:
      return log(Severity::note, "journal: there is room again");
  }
}

Gateway::Operation Gateway::take_operation(Token token) {
  const auto entry = std::ranges::find(operations_, token, &Operation::token);
  ASSERT(entry != operations_.end());
  const Operation operation = *entry;
  operations_.erase(entry);
  return operation;
}

void Gateway::on_journal_error(Asker asker, Token token, journal::Error error, base::Now now) {
  switch (asker) {
    case Asker::ingest:
      return ingest_.on_append_failed(error);
    case Asker::sender:
      // A journal that has failed is opened anew, and the sender then starts over. Otherwise the disk has no room for
      // an epoch: tried again.
      storing_epoch_ = false;
      store_epoch_at_ = now.instant + store_again;
      return;
    case Asker::notices:
      return notices_.on_failed();
    case Asker::ledger:
      scanning_ = false;
      scan_at_ = now.instant + scan_again;
      return;
    case Asker::history:
      return answer_lookup(token, base::fail(error));
    case Asker::housekeeping:
      trimming_ = measuring_ = false;
      return;
    case Asker::operators: {
      const Operation operation = take_operation(token);
      if (operation.exports) {
        out_.emplace_back(RowsExported{.ticket = operation.ticket, .rows = base::fail(error)});
      } else {
        out_.emplace_back(RowsVerified{.ticket = operation.ticket, .step = base::fail(error)});
      }
      return;
    }
  }
}

void Gateway::on_rows_appended(Asker asker, RowsAppended& appended, base::Now now) {
  if (!appended.records.empty()) {
    next_row_ = appended.first + appended.records.size();
    ledger_.on_rows(appended.first, appended.records, next_row_);
    if (!backlog_since_) backlog_since_ = now.instant;
    sender_.on_appended(appended.first, appended.records, now.instant);
  }
  const bool refused = std::ranges::any_of(
      appended.outcomes, [](const auto& outcome) { return std::holds_alternative<journal::Refused>(outcome); });
  if (refused) trim_at_ = std::min(trim_at_, now.instant);
  if (asker == Asker::ingest) {
    append_times_.observe(now.instant - append_asked_at_);
    return ingest_.on_appended(std::move(appended.outcomes));
  }
  // A full journal refuses notices, too: they wait, and are tried again when the next event is.
  const auto stored = notices_.on_outcome(appended.outcomes.front());
  if (!stored) return;
  if (stored->tally) ingest_.on_tally_appended(*stored->tally);
  if (!stored->ticket) return;
  terminal::Stored answer{.event_id = base::uuid_text(stored->event_id), .epoch = {}, .seq = 0, .duplicate = false};
  if (const auto place = numbers_.place_of(stored->row)) {
    answer.epoch = base::to_hex(place->epoch.view());
    answer.seq = place->seq.value();
  }
  out_.emplace_back(Reply{.ticket = *stored->ticket, .answer = std::move(answer)});
}

void Gateway::on_rows_read(Asker asker, Token token, RowsRead& read, base::Now now) {
  if (asker == Asker::operators) {
    out_.emplace_back(RowsExported{.ticket = take_operation(token).ticket, .rows = std::move(read.rows)});
    return;
  }
  const Row first = read.rows.empty() ? read.from : read.rows.front().row;
  std::vector<base::Bytes> records;
  records.reserve(read.rows.size());
  for (auto& row : read.rows) records.push_back(std::move(row.record));
  ledger_.on_rows(first, records, next_row_);
  if (asker == Asker::ledger) {
    scanning_ = false;
    // Rows that should be there are not: look again, but not at once.
    if (ledger_.scan_from() == read.from) scan_at_ = now.instant + scan_again;
    return;
  }
  sender_.on_rows(first, std::move(records), now.instant);
}

void Gateway::on_rows_found(Asker asker, Token token, RowsFound& found) {
  if (asker == Asker::history) return answer_lookup(token, std::move(found));
  std::vector<std::vector<base::Bytes>> records;
  for (auto& rows : found.rows) {
    auto& list = records.emplace_back();
    for (auto& row : rows) list.push_back(std::move(row.record));
  }
  ingest_.on_found(std::move(records));
}

void Gateway::answer_lookup(Token token, base::Result<RowsFound, journal::Error> found) {
  const auto entry = std::ranges::find(lookups_, token, &std::pair<Token, Lookup>::first);
  ASSERT(entry != lookups_.end());
  const Lookup lookup = std::move(entry->second);
  lookups_.erase(entry);
  if (!found) {
    out_.emplace_back(HistoryFound{.ticket = lookup.ticket, .events = base::fail(found.error())});
    return;
  }
  std::vector<EventHistory> events;
  for (const journal::History& row : found->rows.front()) {
    tillstream::v1::Event event;
    if (!event.ParseFromString(row.record)) continue;
    // Another reference with the same hash.
    if (event.terminal_id() != lookup.terminal_id || event.terminal_ref() != lookup.terminal_ref) continue;
    const auto number = numbers_.place_of(row.row);
    events.push_back({.event_id = event.event_id(),
                      .type = event.type(),
                      .epoch = number ? base::to_hex(number->epoch.view()) : std::string(),
                      .seq = number ? number->seq.value() : 0,
                      .recorded_at = base::UtcTime(std::chrono::milliseconds(event.received_at_ms())),
                      .sent_at = row.sent_at,
                      .committed_at = row.committed_at});
  }
  out_.emplace_back(HistoryFound{.ticket = lookup.ticket, .events = std::move(events)});
}

void Gateway::on_trimmed(const journal::TrimOutcome& outcome, base::Now now) {
  trimming_ = false;
  rows_trimmed_ += outcome.rows;
  trim_at_ = now.instant + (outcome.more ? base::Instant::duration(0) : trim_interval());
  if (outcome.rows > 0) {
    numbers_.on_trimmed(outcome.oldest);
    sender_.on_trimmed(outcome.oldest, outcome.base, now.instant);
  }
  if (outcome.window_shrank_to) on_window_shrank(*outcome.window_shrank_to, now);
}

// The quota presses for days when it presses at all: told when it begins, when it gets much worse, and once an hour.
void Gateway::on_window_shrank(std::chrono::seconds to, base::Now now) {
  const bool much_worse = !window_ || to < *window_ / 2;
  if (!much_worse && now.instant < window_told_at_ + window_notice_interval) return;
  window_ = to;
  window_told_at_ = now.instant;
  const auto hours = std::chrono::duration_cast<std::chrono::hours>(to).count();
  notice("duplicate_window_shrunk", {{"window_seconds", fmt::format("{}", to.count())}}, now);
  log(Severity::warning,
      fmt::format(
          "the quota presses: committed events are kept for {} h only, so that later repeats are not recognised",
          hours));
}

void Gateway::keep_house(base::Now now) {
  if (!journal_open_) return;
  scan_pending(now);
  store_next_epoch(now);
  if (!trimming_ && now.instant >= trim_at_) {
    trimming_ = true;
    trim_at_ = now.instant + trim_interval();
    ask(Asker::housekeeping, Trim{.now = now.utc});
  }
  if (marks_changed_ && now.instant >= flush_at_) {
    marks_changed_ = false;
    ask(Asker::housekeeping, Flush{});
  }
  if (!measuring_ && now.instant >= measure_at_) {
    measuring_ = true;
    measure_at_ = now.instant + measure_interval;
    ask(Asker::housekeeping, MeasureUsage{});
  }
}

base::Instant::duration Gateway::trim_interval() const {
  return std::clamp(settings_.retention / retention_parts, trim_interval_min, trim_interval_max);
}

void Gateway::scan_pending(base::Now now) {
  const auto from = ledger_.scan_from();
  if (scanning_ || !from || now.instant < scan_at_) return;
  scanning_ = true;
  ask(Asker::ledger, ReadRows{.from = *from, .max_rows = scan_rows, .max_bytes = scan_bytes});
}

// That an epoch was accepted is stored when its notices are on disk: a process that ends in between tells them once
// more. Nothing waits for that, and an epoch that follows goes first.
bool Gateway::epoch_is_due() const {
  if (storing_epoch_ || epochs_.empty()) return false;
  return epochs_.size() > 1 || !epochs_.front().start.accepted || notices_.empty();
}

void Gateway::store_next_epoch(base::Now now) {
  if (!epoch_is_due() || now.instant < store_epoch_at_) return;
  storing_epoch_ = true;
  ask(Asker::sender, epochs_.front());
}

}  // namespace gateway
