// Events that name another one as their original.
#include "firmware-gateway/ingest/ingest.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/unit/firmware-gateway/ingest/intake.hpp"

using ingest_test::Intake;
using ingest_test::sale;
using ingest_test::stored;
using terminal::Stored;

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

TEST_CASE("ingest: a chain of reversals and adjustments takes its sign from what the one before it did") {
  Intake intake;
  const auto effect = [&intake](const char* type, const char* ref, const char* original) {
    stored(intake.answer(sale({{"type", fmt::format("\"{}\"", type)},
                               {"terminal_ref", fmt::format("\"{}\"", ref)},
                               {"original_ref", fmt::format("\"{}\"", original)}})));
    CHECK_FALSE(intake.last().original_event_id().empty());
    return intake.last().effect_minor() > 0 ? 1 : intake.last().effect_minor() < 0 ? -1 : 0;
  };
  stored(intake.answer(sale({{"terminal_ref", "\"sale\""}})));
  CHECK(effect("reversal", "v1", "sale") == -1);
  CHECK(effect("reversal", "v2", "v1") == 1);
  CHECK(effect("reversal", "v3", "v2") == -1);
  CHECK(effect("reversal", "v4", "v3") == 1);
  CHECK(effect("refund", "r", "sale") == -1);
  CHECK(effect("adjustment", "a1", "r") == -1);
  CHECK(effect("adjustment", "a2", "a1") == -1);
  CHECK(effect("reversal", "va", "a2") == 1);
  CHECK(effect("adjustment", "a3", "sale") == 1);
}

TEST_CASE("ingest: the reversal of a total or a status, which moved nothing, moves nothing") {
  for (const char* type : {"batch_total", "terminal_status"}) {
    Intake intake;
    stored(intake.answer(sale({{"type", fmt::format("\"{}\"", type)}, {"terminal_ref", "\"t\""}})));
    stored(intake.answer(sale({{"type", "\"reversal\""}, {"terminal_ref", "\"v\""}, {"original_ref", "\"t\""}})));
    CHECK_FALSE(intake.last().original_event_id().empty());
    CHECK(intake.last().effect_minor() == 0);
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
