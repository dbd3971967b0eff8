#include "firmware-gateway/ingest/ingest.hpp"

#include <doctest/doctest.h>

#include "tests/unit/firmware-gateway/ingest/intake.hpp"

using ingest_test::Intake;
using ingest_test::refusal;
using ingest_test::sale;
using ingest_test::stored;
using redact::OnConflict;
using redact::Reason;
using terminal::Refusal;
using terminal::Stored;

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
    intake.machine.on_journal_opened({1, 2, 3}, journal::Tallies(true));
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
  intake.machine.on_journal_opened({9}, journal::Tallies(true));
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
            if (broken) intake.machine.on_journal_opened({1, 2, 3}, journal::Tallies(true));
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
