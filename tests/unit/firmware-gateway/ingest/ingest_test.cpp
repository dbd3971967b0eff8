#include "firmware-gateway/ingest/ingest.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/unit/firmware-gateway/ingest/intake.hpp"

using ingest_test::Intake;
using ingest_test::sale;
using redact::OnConflict;
using redact::Reason;
using terminal::Refusal;
using terminal::Stored;

namespace {

Stored stored(const terminal::Answer& answer) {
  REQUIRE_MESSAGE(std::holds_alternative<Stored>(answer), terminal::to_json(answer));
  return std::get<Stored>(answer);
}

Refusal refusal(const terminal::Answer& answer) {
  REQUIRE_MESSAGE(std::holds_alternative<Refusal>(answer), terminal::to_json(answer));
  return std::get<Refusal>(answer);
}

}  // namespace

TEST_CASE("ingest: an event is answered 201 after its append, and not before") {
  Intake intake;
  intake.hold = true;
  const auto ticket = intake.submit(sale());
  intake.settle();
  REQUIRE(intake.held_append);
  CHECK(intake.answers.empty());
  intake.release();
  intake.settle();
  const Stored answer = stored(intake.answers.at(ticket));
  CHECK_FALSE(answer.duplicate);
  CHECK(answer.epoch.substr(0, 4) == "ab00");
  CHECK(answer.seq == 101);
  CHECK(answer.event_id == base::uuid_text(intake.record(1).event_id()));
}

TEST_CASE("ingest: what arrives during an append makes the next one, together") {
  Intake intake;
  intake.hold = true;
  intake.submit(sale());
  intake.settle();
  intake.submit(sale({{"terminal_ref", "\"2\""}}));
  intake.submit(sale({{"terminal_ref", "\"3\""}}));
  intake.settle();
  CHECK(intake.appends == 1);
  intake.hold = false;
  intake.release();
  intake.settle();
  CHECK(intake.appends == 2);
  CHECK(intake.journal.rows.size() == 3);
  CHECK(intake.answers.size() == 3);
  CHECK(intake.machine.idle());
}

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

TEST_CASE("ingest: a full journal means busy, with Retry-After, for the event and its repeats; later it is taken") {
  for (const auto error : {journal::Error::full, journal::Error::disk_full}) {
    Intake intake;
    intake.journal.refuse_each = error;
    const auto ticket = intake.submit(sale());
    const auto repeat = intake.submit(sale());
    intake.settle();
    for (const auto each : {ticket, repeat}) {
      const Refusal busy = refusal(intake.answers.at(each));
      CHECK(busy.reason == Reason::busy);
      CHECK(busy.retry_after.count() > 0);
    }
    intake.journal.refuse_each.reset();
    CHECK_FALSE(stored(intake.answer(sale())).duplicate);
  }
}

TEST_CASE(
    "ingest: a failed disk means storage for what was on its way, and busy for the rest until the journal is open "
    "again") {
  for (const auto error : {journal::Error::broken, journal::Error::damaged}) {
    Intake intake;
    intake.hold = true;
    const auto on_its_way = intake.submit(sale());
    const auto its_repeat = intake.submit(sale());
    intake.settle();
    const auto waiting = intake.submit(sale({{"terminal_ref", "\"2\""}}));
    intake.machine.on_append_failed(error);
    intake.settle();
    for (const auto ticket : {on_its_way, its_repeat}) {
      const Refusal lost = refusal(intake.answers.at(ticket));
      CHECK(lost.reason == Reason::storage);
      CHECK(lost.retry_after.count() > 0);
    }
    CHECK(refusal(intake.answers.at(waiting)).reason == Reason::busy);
    CHECK(refusal(intake.answer(sale())).reason == Reason::busy);
    CHECK(intake.machine.idle());
    intake.hold = false;
    intake.machine.on_journal_opened({1, 2, 3});
    CHECK_FALSE(stored(intake.answer(sale())).duplicate);
  }
}

TEST_CASE("ingest: a journal that was opened anew between two appends, as another one, is asked from its beginning") {
  Intake intake;
  stored(intake.answer(sale()));
  intake.hold = true;
  // Takes another round: the reference was used before.
  const auto reused = intake.submit(sale({{"occurred_at", "\"2027-01-01T00:00:00Z\""}, {"amount_minor", "1"}}));
  intake.settle();
  intake.release();
  intake.journal.rows.clear();
  intake.machine.on_journal_opened({9});
  intake.hold = false;
  intake.settle();
  CHECK_FALSE(stored(intake.answers.at(reused)).duplicate);
  CHECK(intake.journal.rows.size() == 1);
}

TEST_CASE("ingest: before the journal is open everything valid is busy, and what is wrong is told so") {
  Intake intake;
  ingest::Ingest machine(ingest_test::default_settings(), intake.zones, platform::hasher(), intake.random,
                         intake.numbering);
  auto draft = terminal::read_json_event(sale());
  auto cleared = intake.guard.clear(std::move(*draft), {});
  machine.submit(*cleared, ingest::Ticket(1), intake.moment);
  const auto output = machine.poll();
  REQUIRE(output);
  CHECK(refusal(std::get<ingest::Ingest::Reply>(*output).answer).reason == Reason::busy);
  CHECK_FALSE(machine.poll());
}

TEST_CASE("ingest: stopping refuses what is new and answers what has come") {
  Intake intake;
  intake.hold = true;
  const auto on_its_way = intake.submit(sale());
  intake.settle();
  const auto waiting = intake.submit(sale({{"terminal_ref", "\"2\""}}));
  intake.machine.stop();
  const auto late = intake.submit(sale({{"terminal_ref", "\"3\""}}));
  CHECK_FALSE(intake.machine.idle());
  intake.hold = false;
  intake.release();
  intake.settle();
  stored(intake.answers.at(on_its_way));
  stored(intake.answers.at(waiting));
  CHECK(refusal(intake.answers.at(late)).reason == Reason::busy);
  CHECK(intake.machine.idle());
}

TEST_CASE("ingest: what waits is bounded, and a flooding terminal makes room for a quiet one") {
  auto settings = ingest_test::default_settings();
  settings.line.events = 10;
  Intake intake(settings);
  intake.hold = true;
  intake.submit(sale());
  intake.settle();
  std::vector<ingest::Ticket> flood;
  for (int i = 0; i < 50; ++i)
    flood.push_back(intake.submit(sale({{"terminal_ref", "\"f" + std::to_string(i) + "\""}})));
  const auto quiet = intake.submit(sale({{"terminal_id", "\"quiet\""}}));
  intake.settle();
  CHECK(intake.machine.waiting_events() == 11);
  CHECK_FALSE(intake.answers.contains(quiet));
  intake.hold = false;
  intake.release();
  intake.settle();
  stored(intake.answers.at(quiet));
  std::size_t stored_of_flood = 0;
  for (const auto ticket : flood) {
    const auto& answer = intake.answers.at(ticket);
    if (std::holds_alternative<Stored>(answer)) {
      ++stored_of_flood;
    } else {
      CHECK(refusal(answer).reason == Reason::busy);
    }
  }
  CHECK(stored_of_flood == 9);
  CHECK_FALSE(intake.answered_twice);
}

TEST_CASE("ingest: a group has a limit in events and in bytes") {
  auto settings = ingest_test::default_settings();
  settings.group_events_max = 3;
  Intake intake(settings);
  for (int i = 0; i < 7; ++i) intake.submit(sale({{"terminal_ref", "\"" + std::to_string(i) + "\""}}));
  intake.settle();
  CHECK(intake.appends == 3);
  CHECK(intake.journal.rows.size() == 7);

  settings.group_events_max = 512;
  settings.group_bytes_max = 1;
  Intake small(settings);
  for (int i = 0; i < 4; ++i) small.submit(sale({{"terminal_ref", "\"" + std::to_string(i) + "\""}}));
  small.settle();
  CHECK(small.appends == 4);
}

TEST_CASE("ingest: events of one terminal are appended in their order, and terminals take turns") {
  Intake intake;
  for (const char* terminal : {"\"A\"", "\"B\"", "\"C\""})
    for (int i = 0; i < 4; ++i)
      intake.submit(sale({{"terminal_id", terminal}, {"terminal_ref", "\"" + std::to_string(i) + "\""}}));
  intake.settle();
  std::map<std::string, int> next;
  for (std::size_t row = 1; row <= 12; ++row) {
    const auto event = intake.record(row);
    CHECK(event.terminal_ref() == std::to_string(next[event.terminal_id()]++));
    CHECK(event.terminal_id() == std::string(1, "ABC"[(row - 1) % 3]));
  }
}

TEST_CASE("ingest: an original that this gateway knows is linked, and decides the effect of its reversal") {
  Intake intake;
  const Stored refund = stored(intake.answer(sale({{"type", "\"refund\""}, {"terminal_ref", "\"r\""}})));
  stored(intake.answer(sale({{"type", "\"reversal\""}, {"terminal_ref", "\"v\""}, {"original_ref", "\"r\""}})));
  CHECK(base::uuid_text(intake.last().original_event_id()) == refund.event_id);
  CHECK(intake.last().effect_minor() == 1250);
  // Of another terminal's event.
  stored(intake.answer(sale({{"type", "\"refund\""},
                             {"terminal_id", "\"T2\""},
                             {"original_ref", "\"r\""},
                             {"original_terminal_id", "\"T1\""}})));
  CHECK(base::uuid_text(intake.last().original_event_id()) == refund.event_id);
  // Unknown, or of another type than the terminal says.
  stored(intake.answer(sale({{"type", "\"reversal\""}, {"terminal_ref", "\"w\""}, {"original_ref", "\"nobody\""}})));
  CHECK(intake.last().original_event_id().empty());
  CHECK(intake.last().effect_minor() == -1250);
  stored(intake.answer(sale({{"type", "\"reversal\""},
                             {"terminal_ref", "\"x\""},
                             {"original_ref", "\"r\""},
                             {"original_type", "\"sale\""}})));
  CHECK(intake.last().original_event_id().empty());
}

TEST_CASE("ingest: the reversal of what moved nothing moves nothing") {
  Intake intake;
  for (const char* outcome : {"declined", "failed", "unknown", "approved"}) {
    CAPTURE(outcome);
    const std::string ref = fmt::format("\"{}\"", outcome);
    stored(intake.answer(sale({{"terminal_ref", ref}, {"outcome", ref}})));
    stored(intake.answer(
        sale({{"type", "\"reversal\""}, {"terminal_ref", fmt::format("\"v-{}\"", outcome)}, {"original_ref", ref}})));
    CHECK(intake.last().effect_minor() ==
          (std::string_view(outcome) == "approved" ? -intake.last().amount_minor() : 0));
  }
}

TEST_CASE("ingest: an original in the same group is stored first, and nothing overtakes the event that names it") {
  Intake intake;
  const auto first = intake.submit(sale({{"terminal_ref", "\"s\""}}));
  const auto reversal =
      intake.submit(sale({{"type", "\"reversal\""}, {"terminal_ref", "\"v\""}, {"original_ref", "\"s\""}}));
  const auto last = intake.submit(sale({{"terminal_ref", "\"t\""}}));
  intake.settle();
  CHECK(intake.record(1).terminal_ref() == "s");
  CHECK(intake.record(2).terminal_ref() == "v");
  CHECK(intake.record(3).terminal_ref() == "t");
  CHECK(base::uuid_text(intake.record(2).original_event_id()) == stored(intake.answers.at(first)).event_id);
  stored(intake.answers.at(reversal));
  stored(intake.answers.at(last));
}

TEST_CASE("ingest: of originals with the same reference the one of the same batch counts, else the newest") {
  Intake intake;
  const Stored batch_one = stored(intake.answer(sale({{"batch_no", "\"1\""}})));
  const Stored batch_two = stored(intake.answer(sale({{"batch_no", "\"2\""}})));
  stored(intake.answer(
      sale({{"type", "\"refund\""}, {"terminal_ref", "\"a\""}, {"original_ref", "\"1\""}, {"batch_no", "\"1\""}})));
  CHECK(base::uuid_text(intake.last().original_event_id()) == batch_one.event_id);
  stored(intake.answer(
      sale({{"type", "\"refund\""}, {"terminal_ref", "\"b\""}, {"original_ref", "\"1\""}, {"batch_no", "\"3\""}})));
  CHECK(base::uuid_text(intake.last().original_event_id()) == batch_two.event_id);
}

TEST_CASE("ingest: an event that names itself as its original comes to an end") {
  Intake intake;
  const std::string odd = sale({{"type", "\"reversal\""}, {"original_ref", "\"1\""}});
  intake.submit(odd);
  intake.submit(odd);
  intake.settle();
  CHECK(intake.journal.rows.size() == 1);
  CHECK(intake.answers.size() == 2);
  CHECK(intake.machine.idle());
}

TEST_CASE(
    "ingest: unknown terminals are refused where the configuration says so, and a new configuration counts at once") {
  auto settings = ingest_test::default_settings();
  settings.terminals.accept_unknown = false;
  settings.terminals.known["T1"] = settings.terminals.defaults;
  Intake intake(settings);
  stored(intake.answer(sale()));
  const Refusal unknown = refusal(intake.answer(sale({{"terminal_id", "\"T9\""}})));
  CHECK(unknown.reason == Reason::unknown_terminal);
  CHECK(redact::status_of(unknown.reason) == 403);
  CHECK(unknown.field == "terminal_id");
  settings.terminals.accept_unknown = true;
  intake.machine.configure(settings.terminals, settings.reference_reuse);
  stored(intake.answer(sale({{"terminal_id", "\"T9\""}})));
}

TEST_CASE("ingest: money may use the last of the journal's room, the terminal's own news may not") {
  Intake intake;
  intake.hold = true;
  intake.submit(sale({{"terminal_ref", "\"a\""}}));
  intake.submit(sale({{"type", "\"batch_total\""}, {"terminal_ref", "\"b\""}}));
  intake.submit(sale({{"type", "\"terminal_status\""}, {"terminal_ref", "\"c\""}}));
  intake.settle();
  REQUIRE(intake.held_append);
  CHECK(intake.held_append->items.at(0).priority == journal::Priority::money);
  CHECK(intake.held_append->items.at(1).priority == journal::Priority::money);
  CHECK(intake.held_append->items.at(2).priority == journal::Priority::telemetry);
}

TEST_CASE("ingest: each ticket is answered once and every stored event once, whatever the journal does") {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    unsigned state = seed;
    const auto roll = [&state](unsigned bound) { return (state = state * 1103515245U + 12345U) / 65536U % bound; };
    auto settings = ingest_test::default_settings();
    settings.line.events = 5 + roll(30);
    settings.group_events_max = 1 + roll(8);
    Intake intake(settings);
    intake.hold = true;
    std::size_t submitted = 0;
    for (int i = 0; i < 400; ++i) {
      switch (roll(4)) {
        case 0:
        case 1:
          intake.submit(sale({{"terminal_id", "\"" + std::to_string(roll(3)) + "\""},
                              {"terminal_ref", "\"" + std::to_string(roll(12)) + "\""},
                              {"amount_minor", std::to_string(roll(2))},
                              {"original_ref", roll(3) == 0 ? "\"" + std::to_string(roll(12)) + "\"" : ""},
                              {"occurred_at", roll(4) == 0 ? "\"2027-01-01T00:00:00Z\"" : "\"2026-11-24T21:00:00Z\""}}),
                        roll(2) == 0 ? OnConflict::store : OnConflict::refuse);
          ++submitted;
          break;
        case 2:
          intake.settle();
          if (roll(25) == 0 && (intake.held_append || intake.held_find)) {
            intake.held_append.reset();
            intake.held_find.reset();
            const bool broken = roll(2) == 0;
            intake.machine.on_append_failed(broken ? journal::Error::broken : journal::Error::full);
            if (broken) intake.machine.on_journal_opened({1, 2, 3});
          }
          break;
        default:
          intake.release();
          break;
      }
    }
    intake.hold = false;
    intake.release();
    intake.settle();
    CHECK(intake.machine.idle());
    CHECK(intake.answers.size() == submitted);
    CHECK_FALSE(intake.answered_twice);
    std::size_t created = 0;
    std::set<std::string> named;
    for (const auto& [ticket, answer] : intake.answers) {
      const auto* const kept = std::get_if<Stored>(&answer);
      if (kept == nullptr) continue;
      created += kept->duplicate ? 0 : 1;
      named.insert(kept->event_id);
      CHECK(kept->event_id == base::uuid_text(intake.record(kept->seq - 100).event_id()));
    }
    // No append was lost here, so every row was told to somebody as new, and only rows were.
    CHECK(created == intake.journal.rows.size());
    CHECK(named.size() == intake.journal.rows.size());
    // No two rows are the same event.
    for (std::size_t a = 1; a <= intake.journal.rows.size(); ++a)
      for (std::size_t b = a + 1; b <= intake.journal.rows.size(); ++b)
        CHECK(ingest::relation(intake.record(a), intake.record(b), settings.reference_reuse) !=
              ingest::Relation::same_event);
  }
}
