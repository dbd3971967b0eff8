#include "firmware-gateway/ingest/ingest.hpp"

#include <doctest/doctest.h>

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
