// Repeats, conflicts and reused references, as ingest tells them apart.
#include "firmware-gateway/ingest/ingest.hpp"

#include <doctest/doctest.h>

#include "firmware-gateway/ingest/notice.hpp"
#include "firmware-gateway/ingest/reference.hpp"
#include "tests/unit/firmware-gateway/ingest/intake.hpp"

using ingest_test::Intake;
using ingest_test::refusal;
using ingest_test::sale;
using ingest_test::stored;
using redact::OnConflict;
using redact::Reason;
using terminal::Refusal;
using terminal::Stored;

TEST_CASE("ingest: a repeat is answered 200 with the first one's id and seq, and stored once") {
  Intake intake;
  const Stored first = stored(intake.answer(sale()));
  // All but the compared fields may change in a retry.
  const Stored again = stored(intake.answer(sale({{"occurred_at", "\"2026-12-20T01:00:00Z\""},
                                                  {"currency", "\"978\""},
                                                  {"merchant_name", "\"Other\""},
                                                  {"till_id", "\"9\""}})));
  CHECK(again.duplicate);
  CHECK(again.event_id == first.event_id);
  CHECK(again.epoch == first.epoch);
  CHECK(again.seq == first.seq);
  CHECK(intake.journal.rows.size() == 1);
}

TEST_CASE("ingest: of nexo one message is another till's though both count alike") {
  tillstream::v1::Event event;
  event.set_source("nexo");
  event.set_terminal_id("T1");
  event.set_terminal_ref("42");
  event.set_till_id("1");
  (*event.mutable_attributes())["message_ref"] = "77";
  const std::string key = ingest::duplicate_key(event);
  event.set_till_id("2");
  CHECK(ingest::duplicate_key(event) != key);
  event.set_till_id("1");
  CHECK(ingest::duplicate_key(event) == key);
  (*event.mutable_attributes())["message_ref"] = "78";
  CHECK(ingest::duplicate_key(event) != key);
}

TEST_CASE("ingest: the same reference with other content is a conflict, whichever compared field differs") {
  for (const auto& [field, value] : std::vector<std::pair<std::string, std::string>>{{"type", "\"refund\""},
                                                                                     {"amount_minor", "1251"},
                                                                                     {"currency", "\"CHF\""},
                                                                                     {"outcome", "\"declined\""},
                                                                                     {"original_ref", "\"0\""},
                                                                                     {"card_last4", "\"1111\""},
                                                                                     {"card_brand", "\"visa\""}}) {
    CAPTURE(field);
    Intake intake;
    stored(intake.answer(sale()));
    const Refusal conflict = refusal(intake.answer(sale({{field, value}})));
    CHECK(conflict.reason == Reason::conflicting_duplicate);
    CHECK(intake.journal.rows.size() == 1);
  }
}

TEST_CASE("ingest: a conflict ends after reference_reuse, to either side; then the reference is a new event") {
  for (const auto& [occurred_at, is_conflict] :
       std::vector<std::pair<std::string, bool>>{{"\"2026-11-25T09:23:51.042Z\"", true},   // 12 h later
                                                 {"\"2026-11-25T09:23:51.043Z\"", false},  // and 1 ms
                                                 {"\"2026-11-24T09:23:51.042Z\"", true},   // 12 h before
                                                 {"\"2026-11-24T09:23:51.041Z\"", false}}) {
    CAPTURE(occurred_at);
    Intake intake;
    const Stored first = stored(intake.answer(sale()));
    const auto answer = intake.answer(sale({{"occurred_at", occurred_at}, {"amount_minor", "7"}}));
    CHECK(std::holds_alternative<Refusal>(answer) == is_conflict);
    CHECK(intake.journal.rows.size() == (is_conflict ? 1 : 2));
    if (is_conflict) continue;
    CHECK(stored(answer).event_id != first.event_id);
    CHECK_FALSE(stored(answer).duplicate);
    // Both are known from now on.
    CHECK(stored(intake.answer(sale())).event_id == first.event_id);
    CHECK(stored(intake.answer(sale({{"occurred_at", occurred_at}, {"amount_minor", "7"}}))).event_id ==
          stored(answer).event_id);
    CHECK(intake.machine.counts().references_reused == 1);
  }
}

TEST_CASE("ingest: terminal, reference and batch make the key; the same in another one is another event") {
  Intake intake;
  std::set<std::string> ids;
  for (const auto& changes : std::vector<std::vector<std::pair<std::string, std::string>>>{{},
                                                                                           {{"terminal_id", "\"T2\""}},
                                                                                           {{"terminal_ref", "\"2\""}},
                                                                                           {{"batch_no", "\"1\""}},
                                                                                           {{"batch_no", "\"2\""}}}) {
    ids.insert(stored(intake.answer(sale(changes))).event_id);
    CHECK(stored(intake.answer(sale(changes))).duplicate);
  }
  CHECK(ids.size() == 5);
  CHECK(intake.journal.rows.size() == 5);
}

TEST_CASE("ingest: a total with other sums under the same key is no repeat") {
  Intake intake;
  const auto total = [](const std::string& name, const std::string& value) {
    return sale({{"type", "\"batch_total\""}, {"amount_minor", ""}, {"outcome", ""}, {name, value}});
  };
  CHECK(intake.status(total("sales_minor", "100")) == 201);
  CHECK(intake.status(total("sales_minor", "100")) == 200);
  CHECK(intake.status(total("sales_minor", "101")) == 409);
  CHECK(intake.status(total("failed_count", "1")) == 409);
}

TEST_CASE("ingest: an attribute named like nexo's message is part of no key but nexo's") {
  Intake intake;
  CHECK(intake.status(sale({{"attributes", "{\"message_ref\":\"1\"}"}})) == 201);
  CHECK(intake.status(sale({{"attributes", "{\"message_ref\":\"2\"}"}})) == 200);
}

TEST_CASE("ingest: from card-scheme sources a conflict is stored beside the first, and its repeat is known") {
  Intake intake;
  const Stored first = stored(intake.answer(sale(), OnConflict::store));
  const std::string other = sale({{"amount_minor", "99"}});
  const Stored conflict = stored(intake.answer(other, OnConflict::store));
  CHECK_FALSE(conflict.duplicate);
  CHECK(base::uuid_text(intake.record(2).conflict_with()) == first.event_id);
  CHECK(intake.record(1).conflict_with().empty());
  const Stored again = stored(intake.answer(other, OnConflict::store));
  CHECK(again.duplicate);
  CHECK(again.event_id == conflict.event_id);
  // A third version conflicts with the first one, not with the second.
  stored(intake.answer(sale({{"amount_minor", "98"}}), OnConflict::store));
  CHECK(base::uuid_text(intake.record(3).conflict_with()) == first.event_id);
  CHECK(intake.machine.counts().conflicts_stored == 2);
}

namespace {

// A request that a host decided on, or did not.
std::string asked(const std::string& outcome, const std::string& amount = "1250") {
  return sale({{"outcome", "\"" + outcome + "\""}, {"amount_minor", amount}});
}

}  // namespace

TEST_CASE("ingest: what was stored as unknown and is decided later is an event of its own, and no alarm") {
  for (const std::string outcome : {"approved", "declined", "failed"}) {
    Intake intake;
    const Stored first = stored(intake.answer(asked("unknown"), OnConflict::store));
    const Stored decided = stored(intake.answer(asked(outcome), OnConflict::store));
    CHECK_FALSE(decided.duplicate);
    CHECK(base::uuid_text(intake.record(2).conflict_with()) == first.event_id);
    CHECK(intake.machine.counts().conflicts_stored == 0);
    // Whatever of the two comes again is known.
    CHECK(stored(intake.answer(asked(outcome), OnConflict::store)).event_id == decided.event_id);
    CHECK(stored(intake.answer(asked("unknown"), OnConflict::store)).duplicate);
    CHECK(intake.journal.rows.size() == 2);
    // Another decision contradicts.
    stored(intake.answer(asked(outcome == "declined" ? "approved" : "declined"), OnConflict::store));
    CHECK(intake.journal.rows.size() == 3);
    CHECK(intake.machine.counts().conflicts_stored == 1);
  }
}

TEST_CASE("ingest: a part that was approved later is what an unknown request asked for") {
  Intake intake;
  stored(intake.answer(asked("unknown"), OnConflict::store));
  const std::string part = sale({{"outcome", "\"partial\""}, {"amount_minor", "1000"}, {"requested_minor", "1250"}});
  CHECK_FALSE(stored(intake.answer(part, OnConflict::store)).duplicate);
  CHECK(intake.machine.counts().conflicts_stored == 0);
  CHECK(stored(intake.answer(asked("unknown"), OnConflict::store)).duplicate);
  // Of another amount it is another transaction.
  stored(intake.answer(asked("unknown", "1000"), OnConflict::store));
  CHECK(intake.machine.counts().conflicts_stored == 1);
}

TEST_CASE("ingest: what is known already is not made unknown") {
  Intake intake;
  const Stored first = stored(intake.answer(asked("approved"), OnConflict::store));
  const Stored again = stored(intake.answer(asked("unknown"), OnConflict::store));
  CHECK(again.duplicate);
  CHECK(again.event_id == first.event_id);
  CHECK(intake.journal.rows.size() == 1);
}

TEST_CASE("ingest: unknown and decided within one group are told apart as they are one after the other") {
  Intake intake;
  const auto first = intake.submit(asked("unknown"), OnConflict::store);
  const auto decided = intake.submit(asked("approved"), OnConflict::store);
  const auto again = intake.submit(asked("unknown"), OnConflict::store);
  intake.settle();
  CHECK_FALSE(stored(intake.answers.at(first)).duplicate);
  CHECK_FALSE(stored(intake.answers.at(decided)).duplicate);
  CHECK(stored(intake.answers.at(again)).duplicate);
  CHECK(base::uuid_text(intake.record(2).conflict_with()) == stored(intake.answers.at(first)).event_id);
  CHECK(intake.journal.rows.size() == 2);
  CHECK(intake.machine.counts().conflicts_stored == 0);
}

TEST_CASE("ingest: over HTTP an outcome that changes is a conflict, as everywhere else") {
  Intake intake;
  stored(intake.answer(asked("unknown")));
  CHECK(refusal(intake.answer(asked("approved"))).reason == Reason::conflicting_duplicate);
  Intake other;
  stored(other.answer(asked("approved")));
  CHECK(refusal(other.answer(asked("unknown"))).reason == Reason::conflicting_duplicate);
}

TEST_CASE("ingest: a repeat in the same group shares the first one's commit") {
  Intake intake;
  std::vector<ingest::Ticket> tickets;
  for (int i = 0; i < 5; ++i) tickets.push_back(intake.submit(sale()));
  intake.settle();
  CHECK(intake.appends == 1);
  CHECK(intake.journal.rows.size() == 1);
  const Stored first = stored(intake.answers.at(tickets[0]));
  CHECK_FALSE(first.duplicate);
  for (std::size_t i = 1; i < tickets.size(); ++i) {
    const Stored repeat = stored(intake.answers.at(tickets[i]));
    CHECK(repeat.duplicate);
    CHECK(repeat.event_id == first.event_id);
    CHECK(repeat.seq == first.seq);
  }
}

TEST_CASE("ingest: other content under the same key is told apart within a group, too") {
  Intake intake;
  const auto first = intake.submit(sale());
  const auto refused = intake.submit(sale({{"amount_minor", "1"}}));
  const auto kept = intake.submit(sale({{"amount_minor", "2"}}), OnConflict::store);
  const auto reused = intake.submit(sale({{"amount_minor", "3"}, {"occurred_at", "\"2026-12-24T00:00:00Z\""}}));
  intake.settle();
  CHECK_FALSE(stored(intake.answers.at(first)).duplicate);
  CHECK(refusal(intake.answers.at(refused)).reason == Reason::conflicting_duplicate);
  CHECK_FALSE(stored(intake.answers.at(kept)).duplicate);
  CHECK_FALSE(stored(intake.answers.at(reused)).duplicate);
  CHECK(intake.journal.rows.size() == 3);
  CHECK(base::uuid_text(intake.record(2).conflict_with()) == stored(intake.answers.at(first)).event_id);
  CHECK(intake.machine.idle());
}

TEST_CASE("ingest: repeats of what was stored before are all answered with it") {
  Intake intake;
  const Stored first = stored(intake.answer(sale()));
  std::vector<ingest::Ticket> tickets;
  for (int i = 0; i < 3; ++i) tickets.push_back(intake.submit(sale()));
  intake.settle();
  for (const auto ticket : tickets) CHECK(stored(intake.answers.at(ticket)).event_id == first.event_id);
  CHECK(intake.journal.rows.size() == 1);
}

TEST_CASE("ingest: a hash that two references share confuses nobody") {
  Intake intake;
  stored(intake.answer(sale()));
  // As if T1's row had the hash of T2's.
  const auto ticket = intake.submit(sale({{"terminal_id", "\"T2\""}}));
  intake.hold = true;
  intake.settle();
  REQUIRE(intake.held_append);
  intake.journal.rows[0].key_hash = intake.held_append->items[0].key_hash;
  intake.hold = false;
  intake.release();
  intake.settle();
  CHECK_FALSE(stored(intake.answers.at(ticket)).duplicate);
  CHECK(intake.journal.rows.size() == 2);
}

TEST_CASE("ingest: a record alone says what its key's hash is, and whether it holds marks of the journal's key") {
  const ingest::HashKey key{1, 2, 3};
  tillstream::v1::Event event;
  event.set_type("sale");
  event.set_terminal_id("T1");
  event.set_terminal_ref("4711");
  const auto stored = ingest::stored_key(key, ingest::to_record(event));
  REQUIRE(stored);
  CHECK(stored->hash == ingest::reference_hash(key, "T1", "4711"));
  CHECK_FALSE(stored->holds_marks);
  for (auto* text : {event.mutable_terminal_id(), event.mutable_terminal_ref(), event.mutable_batch_no(),
                     event.mutable_original_ref()}) {
    const std::string before = *text;
    *text = "x [cardabcdefg] y";
    CHECK(ingest::stored_key(key, ingest::to_record(event))->holds_marks);
    *text = before;
  }
  CHECK_FALSE(ingest::stored_key(key, "\xFF\xFF\xFF"));
  const auto notice = ingest::make_notice("events_lost", {}, base::Uuid{.bytes = {7}}, {});
  CHECK(ingest::stored_key(key, ingest::to_record(notice))->hash == ingest::reference_hash(key, "", notice.event_id()));
}

namespace {

// A sale of terminal T1, cut off behind its terminal's id or whole.
redact::Draft sale_message(bool whole, std::int64_t amount = 1250, const std::string& merchant = "M1") {
  redact::Draft draft;
  redact::Fields& fields = draft.fields;
  fields.source = redact::Source::iso8583;
  fields.on_conflict = OnConflict::store;
  fields.text(redact::Field::type) = "sale";
  fields.text(redact::Field::outcome) = "approved";
  fields.text(redact::Field::terminal_id) = "T1";
  fields.text(redact::Field::terminal_ref) = "000001";
  fields.text(redact::Field::currency) = "EUR";
  fields.number(redact::Field::amount_minor) = amount;
  fields.attributes[redact::message_ref] = "022 time 1123120901" + (whole ? " merchant " + merchant : std::string());
  if (!whole) fields.incomplete.emplace_back("iso8583 field 42 and what follows");
  return draft;
}

Stored told(Intake& intake, redact::Draft draft) {
  static std::uint64_t tickets = 5'000;
  const ingest::Ticket ticket(++tickets);
  auto cleared = intake.guard.clear(std::move(draft), redact::Channel{});
  REQUIRE(cleared);
  intake.machine.submit(*cleared, ticket, intake.moment);
  intake.settle();
  return stored(intake.answers.at(ticket));
}

}  // namespace

TEST_CASE("ingest: a message that broke off and the whole one are one event, whichever comes first") {
  for (const bool whole_first : {false, true}) {
    Intake intake;
    const Stored first = told(intake, sale_message(whole_first));
    const Stored second = told(intake, sale_message(!whole_first));
    CHECK(second.duplicate);
    CHECK(second.event_id == first.event_id);
    CHECK(intake.journal.rows.size() == 1);
  }
}

TEST_CASE("ingest: of a message that broke off only what goes on as it does is the whole one") {
  Intake intake;
  CHECK_FALSE(told(intake, sale_message(false)).duplicate);
  CHECK_FALSE(told(intake, sale_message(true, 1251)).duplicate);
  CHECK(intake.last().conflict_with() == intake.record(1).event_id());
  redact::Draft later = sale_message(true);
  later.fields.attributes[redact::message_ref] = "022 time 11231209011 merchant M1";
  CHECK_FALSE(told(intake, std::move(later)).duplicate);
  // Two whole ones of two merchants stay two.
  Intake others;
  CHECK_FALSE(told(others, sale_message(true, 1250, "M1")).duplicate);
  CHECK_FALSE(told(others, sale_message(true, 1250, "M1 2")).duplicate);
  // Its amount was lost with its currency: the whole one says it.
  Intake without;
  redact::Draft lost = sale_message(false);
  lost.fields.text(redact::Field::currency) = "191";
  CHECK_FALSE(told(without, std::move(lost)).duplicate);
  CHECK_FALSE(told(without, sale_message(true)).duplicate);
  CHECK(without.last().effect_minor() == 1250);
}

TEST_CASE("ingest: a time that is no day of the calendar is the moment of receipt, and says so") {
  Intake intake;
  redact::Draft draft = sale_message(true);
  draft.fields.written_local = redact::WrittenTime{.year_of_century = {}, .month = 4, .day = 31, .hour = 12};
  told(intake, std::move(draft));
  CHECK(intake.last().occurred_at_ms() == intake.last().received_at_ms());
  REQUIRE(intake.last().incomplete().size() == 1);
  CHECK(intake.last().incomplete(0) == "occurred_at");
}
