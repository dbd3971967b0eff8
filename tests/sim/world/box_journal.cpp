// Box's disk: what the journal is asked for waits in a queue, is done in the disk's own time, and may fail.
#include <fmt/format.h>

#include <utility>

#include "proto/base/uuid.hpp"
#include "proto/wire/event.pb.h"
#include "tests/sim/world/box.hpp"

namespace whole {
namespace {

using namespace std::chrono_literals;

// More requests than the machine can have under way (Gateway, (4)).
constexpr std::size_t kRequestsMax = 16;

bool is_mark(const gateway::JournalRequest& request) {
  return std::holds_alternative<gateway::RememberAcked>(request.what) ||
         std::holds_alternative<gateway::RememberSent>(request.what);
}

// What waits for the disk.
bool syncs(const gateway::JournalRequest& request) {
  return std::holds_alternative<gateway::AppendRows>(request.what) ||
         std::holds_alternative<gateway::StoreEpoch>(request.what) ||
         std::holds_alternative<gateway::Flush>(request.what);
}

std::string event_id_of(const base::Bytes& record) {
  tillstream::v1::Event event;
  if (!event.ParseFromString(record)) return {};
  return base::uuid_text(event.event_id());
}

support::MemoryJournal::Settings journal_settings(const Faults& faults, std::chrono::milliseconds retention) {
  support::MemoryJournal::Settings settings;
  settings.retention = std::chrono::duration_cast<std::chrono::seconds>(retention);
  if (!faults.small_journal) return settings;
  // Some sixty rows beside the 13 MiB that an empty journal takes.
  settings.limits = {14U << 20U, 8U << 10U};
  settings.row_overhead_bytes = 16U << 10U;
  return settings;
}

}  // namespace

void Box::open_journal() {
  ++opening_;
  auto& journal = program_->journal.emplace(disk_.journal, journal_settings(env_.faults, settings().retention), hasher_,
                                            env_.random);
  program_->machine.on_journal_opened(journal.opened(), journal.hash_key(), journal.opened_tallies(), now());
}

// --- requests ------------------------------------------------------------------------------------

void Box::request(gateway::JournalRequest request) {
  if (!program_->journal) {
    if (is_mark(request)) return;
    return program_->machine.on_journal(
        {.asker = request.asker, .token = request.token, .result = base::fail(journal::Error::broken)}, now());
  }
  requests_to_answer_ += is_mark(request) ? 0 : 1;
  if (requests_to_answer_ > kRequestsMax) {
    return env_.story.fail(fmt::format("{} asks {} things of its journal at once", gateway_id_, requests_to_answer_),
                           gateway_id_);
  }
  requests_.push_back(std::move(request));
  serve_next();
}

base::Instant::duration Box::disk_time(const gateway::JournalRequest& request) {
  if (!syncs(request)) return 0us;
  if (env_.strikes(env_.faults.slow_disk, 6)) return env_.between(50ms, 3s);
  return env_.between(100us, 4ms);
}

void Box::serve_next() {
  while (!serving_ && !requests_.empty()) {
    const auto time = disk_time(requests_.front());
    if (time == 0us) {
      serve_front();
      continue;
    }
    serving_ = true;
    after(time, [this] {
      serving_ = false;
      serve_front();
      serve_next();
    });
  }
}

void Box::serve_front() {
  gateway::JournalRequest request = std::move(requests_.front());
  requests_.pop_front();
  const bool mark = is_mark(request);
  const bool breaks = syncs(request) && env_.strikes(env_.faults.failing_disk, 60);
  gateway::JournalReply reply{
      .asker = request.asker, .token = request.token, .result = base::fail(journal::Error::broken)};
  // Nobody knows what a failed write has left.
  if (!breaks) {
    reply = serve(std::move(request));
  } else if (env_.random.one_in(2)) {
    static_cast<void>(serve(std::move(request)));
  }
  if (mark) return;
  --requests_to_answer_;
  program_->machine.on_journal(std::move(reply), now());
  if (breaks) break_journal(journal::Error::broken);
}

gateway::JournalReply Box::serve(gateway::JournalRequest request) {
  const bool writes = std::holds_alternative<gateway::AppendRows>(request.what) ||
                      std::holds_alternative<gateway::StoreEpoch>(request.what);
  if (writes && env_.clock.at() < disk_full_until_) program_->journal->fail_next(journal::Error::disk_full);
  if (const auto* acked = std::get_if<gateway::RememberAcked>(&request.what)) on_acked(*acked);
  const bool synced = syncs(request) || std::holds_alternative<gateway::Trim>(request.what);
  gateway::JournalReply reply = gateway::serve(*program_->journal, std::move(request));
  if (!reply.result) return reply;
  if (const auto* appended = std::get_if<gateway::RowsAppended>(&*reply.result)) note_rows(*appended);
  if (synced) disk_.acked = disk_.journal.catalog.acked;
  // What was trimmed.
  while (!disk_.event_ids.empty() && disk_.event_ids.begin()->first <= disk_.journal.catalog.base->row) {
    checker_.check_acked(disk_.event_ids.begin()->second);
    disk_.event_ids.erase(disk_.event_ids.begin());
  }
  return reply;
}

void Box::note_rows(const gateway::RowsAppended& appended) {
  handoff::Row row = appended.first;
  for (const base::Bytes& record : appended.records) {
    disk_.event_ids[row] = event_id_of(record);
    env_.story.tell([&] {
      return fmt::format("{} box {} has row {}: {}", gateway_id_, number_, row.value(), disk_.event_ids[row]);
    });
    ++row;
  }
}

void Box::on_acked(const gateway::RememberAcked& remember) {
  const handoff::Row before = disk_.journal.catalog.acked->row;
  for (auto at = disk_.event_ids.upper_bound(before); at != disk_.event_ids.end() && at->first <= remember.mark.row;
       ++at) {
    checker_.check_acked(at->second);
  }
}

// Everything that waits is void; it is opened anew.
void Box::break_journal(journal::Error error) {
  program_->journal.reset();
  program_->machine.on_journal_failed(error, "disk I/O error", now());
  for (const gateway::JournalRequest& request : std::exchange(requests_, {})) {
    if (is_mark(request)) continue;
    program_->machine.on_journal({.asker = request.asker, .token = request.token, .result = base::fail(error)}, now());
  }
  requests_to_answer_ = 0;
  after(env_.between(100ms, 10s), [this] { open_journal(); });
}

// --- what a crash leaves -------------------------------------------------------------------------

void Box::kill() {
  if (!running()) return;
  env_.story.tell([&] { return fmt::format("{} box {} is killed", gateway_id_, number_); });
  if (program_->journal && serving_ && env_.random.one_in(2)) static_cast<void>(serve(std::move(requests_.front())));
  end_life();
  broker_.abandon(connection_);
  connection_ = 0;
  program_.reset();
  requests_.clear();
  requests_to_answer_ = 0;
  serving_ = false;
  waiting_.clear();
  auto& catalog = disk_.journal.catalog;
  const bool forgets = disk_.acked && disk_.acked->row < catalog.acked->row && disk_.acked->row >= catalog.base->row;
  if (forgets && env_.random.one_in(2)) {
    auto& committed = disk_.journal.committed;
    const auto at = committed.lower_bound(disk_.acked->row);
    const auto time = at == committed.end() ? std::nullopt : std::optional(at->second);
    committed.erase(committed.upper_bound(disk_.acked->row), committed.end());
    if (time) committed[disk_.acked->row] = *time;
    catalog.acked = disk_.acked;
  }
  if (env_.sabotage == Sabotage::forget_synced && !disk_.event_ids.empty() &&
      disk_.event_ids.rbegin()->first > catalog.acked->row) {
    disk_.journal.rows.erase(disk_.event_ids.rbegin()->first);
    disk_.event_ids.erase(std::prev(disk_.event_ids.end()));
  }
}

Disk Box::exchange_disk(Disk disk) { return std::exchange(disk_, std::move(disk)); }

}  // namespace whole
