// An Intake for tests: JSON in, answers out, through the real parser, guard and ingest, with a journal in memory that
// can be held back, refuse and break.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "firmware-gateway/adapters/zoneinfo/zone_database.hpp"
#include "firmware-gateway/ingest/ingest.hpp"
#include "firmware-gateway/redact/card_guard.hpp"
#include "firmware-gateway/terminal/json_event.hpp"
#include "proto/base/random.hpp"
#include "proto/platform/system.hpp"
#include "tests/support/redact/token_keys.hpp"

namespace ingest_test {

class CountingRandom : public base::Random {
 public:
  std::uint64_t next() override { return state_ += 0x9E3779B97F4A7C15U; }

 private:
  std::uint64_t state_ = 0;
};

class OneEpoch : public ingest::Numbering {
 public:
  [[nodiscard]] std::optional<Place> place_of(handoff::Row row) const override {
    return Place{.epoch = handoff::Epoch{.bytes = {0xAB}}, .seq = handoff::Seq(row.value() + 100)};
  }
};

// Keeps the contract of journal::Journal as far as ingest sees it.
class MemoryRows {
 public:
  struct Stored {
    std::uint64_t key_hash;
    base::Bytes record;
  };
  std::vector<Stored> rows;
  journal::Tallies tallies{true};
  std::optional<journal::Error> refuse_each;

  std::vector<journal::AppendOutcome> append(const std::vector<journal::AppendItem>& items) {
    std::vector<journal::AppendOutcome> outcomes;
    for (const auto& item : items) outcomes.push_back(append(item));
    return outcomes;
  }

  [[nodiscard]] std::vector<journal::Candidate> find(std::uint64_t hash, handoff::Row after) const {
    std::vector<journal::Candidate> found;
    for (std::size_t i = rows.size(); i > after.value(); --i)
      if (rows[i - 1].key_hash == hash) found.push_back({handoff::Row(i), rows[i - 1].record});
    return found;
  }

 private:
  journal::AppendOutcome append(const journal::AppendItem& item) {
    if (auto found = find(item.key_hash, item.seen_through); !found.empty())
      return journal::Candidates{std::move(found)};
    if (refuse_each) return journal::Refused{*refuse_each};
    rows.push_back({item.key_hash, item.record});
    if (item.tally) tallies.add(*item.tally);
    return journal::Appended{handoff::Row(rows.size())};
  }
};

inline redact::GuardSettings guard_settings(bool with_token = true) {
  redact::GuardSettings settings;
  settings.accept_card_numbers = redact::AcceptCardNumbers::always;
  settings.mark_key = redact::Secret(std::string(16, 'm'));
  if (with_token) settings.token_keys.current = token_key("test-key");
  return settings;
}

inline ingest::IngestSettings default_settings() {
  ingest::IngestSettings settings;
  settings.terminals.defaults.currency = "EUR";
  settings.terminals.defaults.time_zone = "Europe/Vienna";
  return settings;
}

class Intake {
 public:
  explicit Intake(ingest::IngestSettings settings = default_settings(), redact::GuardSettings door = guard_settings())
      : guard(std::move(door), platform::hasher()),
        machine(std::move(settings), zones, platform::hasher(), random, numbering) {
    machine.on_journal_opened({1, 2, 3}, journal::Tallies(true));
  }

  // Submits, and does not let the journal work yet. What is refused before ingest is answered at once.
  ingest::Ticket submit(const std::string& json, redact::OnConflict on_conflict = redact::OnConflict::refuse) {
    const ingest::Ticket ticket(++tickets_);
    auto draft = terminal::read_json_event(json);
    if (!draft) return refused(ticket, draft.error());
    draft->fields.on_conflict = on_conflict;
    auto cleared = guard.clear(std::move(*draft), redact::Channel{});
    if (!cleared) return refused(ticket, cleared.error());
    machine.submit(*cleared, ticket, moment);
    return ticket;
  }

  // Everything that happens until nothing happens any more. Each Append counts as one commit.
  void settle() {
    while (step()) continue;
  }

  bool step() {
    auto output = machine.poll();
    if (!output) return false;
    if (auto* reply = std::get_if<ingest::Ingest::Reply>(&*output)) {
      const bool first = answers.emplace(reply->ticket, std::move(reply->answer)).second;
      answered_twice = answered_twice || !first;
    } else if (auto* find = std::get_if<ingest::Ingest::Find>(&*output)) {
      held_find = std::move(*find);
      if (!hold) release();
    } else {
      held_append = std::move(std::get<ingest::Ingest::Append>(*output));
      ++appends;
      if (!hold) release();
    }
    return true;
  }

  // Lets the journal do what it was asked.
  void release() {
    if (auto find = std::exchange(held_find, std::nullopt)) {
      std::vector<std::vector<base::Bytes>> records;
      for (const std::uint64_t hash : find->key_hashes) {
        auto& list = records.emplace_back();
        for (auto& candidate : journal.find(hash, handoff::Row(0))) list.push_back(std::move(candidate.record));
      }
      machine.on_found(std::move(records));
    } else if (auto append = std::exchange(held_append, std::nullopt)) {
      machine.on_appended(journal.append(append->items));
    }
  }

  terminal::Answer answer(const std::string& json, redact::OnConflict on_conflict = redact::OnConflict::refuse) {
    const ingest::Ticket ticket = submit(json, on_conflict);
    settle();
    return answers.at(ticket);
  }
  unsigned status(const std::string& json) { return terminal::status_of(answer(json)); }

  [[nodiscard]] tillstream::v1::Event record(std::size_t row) const {
    tillstream::v1::Event event;
    if (!event.ParseFromString(journal.rows.at(row - 1).record)) throw std::runtime_error("no Event");
    return event;
  }
  [[nodiscard]] tillstream::v1::Event last() const { return record(journal.rows.size()); }

  zoneinfo::ZoneDatabase zones;
  CountingRandom random;
  OneEpoch numbering;
  redact::CardGuard guard;
  ingest::Ingest machine;
  MemoryRows journal;
  ingest::Moment moment{.utc = base::UtcTime(std::chrono::milliseconds(1764019431042)), .clock_synced = true};
  bool hold = false;
  bool answered_twice = false;
  std::size_t appends = 0;
  std::optional<ingest::Ingest::Find> held_find;
  std::optional<ingest::Ingest::Append> held_append;
  std::map<ingest::Ticket, terminal::Answer> answers;

 private:
  ingest::Ticket refused(ingest::Ticket ticket, const terminal::Refusal& refusal) {
    answers.emplace(ticket, refusal);
    return ticket;
  }

  std::uint64_t tickets_ = 0;
};

// {"type":"sale", …} with these fields in place of or beside the usual ones; an empty value leaves a field out. Values
// are JSON.
inline std::string sale(std::vector<std::pair<std::string, std::string>> changes = {}) {
  std::vector<std::pair<std::string, std::string>> fields{
      {"type", "\"sale\""},      {"terminal_id", "\"T1\""},
      {"terminal_ref", "\"1\""}, {"occurred_at", "\"2026-11-24T22:23:51.042+01:00\""},
      {"amount_minor", "1250"},  {"outcome", "\"approved\""}};
  for (auto& change : changes) {
    const auto found = std::ranges::find(fields, change.first, &std::pair<std::string, std::string>::first);
    if (found == fields.end()) {
      fields.push_back(change);
    } else {
      found->second = change.second;
    }
  }
  std::string json;
  for (const auto& [name, value] : fields)
    if (!value.empty()) json += (json.empty() ? "" : ",") + ("\"" + name + "\":") + value;
  return "{" + json + "}";
}

inline terminal::Stored stored(const terminal::Answer& answer) {
  REQUIRE_MESSAGE(std::holds_alternative<terminal::Stored>(answer), terminal::to_json(answer));
  return std::get<terminal::Stored>(answer);
}

inline terminal::Refusal refusal(const terminal::Answer& answer) {
  REQUIRE_MESSAGE(std::holds_alternative<terminal::Refusal>(answer), terminal::to_json(answer));
  return std::get<terminal::Refusal>(answer);
}

}  // namespace ingest_test
