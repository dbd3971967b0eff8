// ISO 8583 messages that speak of another one: read by the mapping, through the guard and ingest, as in the gateway.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "firmware-gateway/ingest/ingest.hpp"
#include "tests/unit/firmware-gateway/ingest/intake.hpp"
#include "tests/unit/firmware-gateway/terminal/iso8583/mapping/messages.hpp"

namespace {

using test::FieldValues;
using test::sale;
using tillstream::v1::Event;

class Till {
 public:
  // Stored or found to be stored: the answer says which.
  terminal::Stored tell(const std::string& mti, const FieldValues& fields, const std::string& dialect = "iso87-ascii") {
    write_down(mti, fields);
    const auto request = test::message(mti, fields, dialect);
    return submit(iso8583::to_draft(request, *iso8583::read_mti(mti), test::dialect(dialect), {}));
  }
  // Seen by a tap, with its host's answer; without one it timed out.
  terminal::Stored seen(const std::string& mti, const FieldValues& fields, const FieldValues& answer = {}) {
    write_down(mti, fields);
    const auto request = test::message(mti, fields);
    const auto read = *iso8583::read_mti(mti);
    if (answer.empty()) return submit(iso8583::to_draft(request, read, test::dialect(), {.timed_out = true}));
    const auto response = test::message(iso8583::response_mti(read), answer);
    return submit(iso8583::to_draft(request, read, test::dialect(), {.answer = &response}));
  }

  [[nodiscard]] Event last() const { return intake.last(); }
  [[nodiscard]] std::size_t rows() const { return intake.journal.rows.size(); }
  [[nodiscard]] std::int64_t takings() const {
    std::int64_t sum = 0;
    for (std::size_t row = 1; row <= rows(); ++row) sum += intake.record(row).effect_minor();
    return sum;
  }
  [[nodiscard]] bool is_incomplete(const std::string& field) const {
    const Event event = last();
    return std::find(event.incomplete().begin(), event.incomplete().end(), field) != event.incomplete().end();
  }

  ingest_test::Intake intake;
  // What was told, and what takings were before.
  std::string log;

 private:
  void write_down(const std::string& mti, const FieldValues& fields) {
    log += fmt::format("\n{:6} {}", takings(), mti);
    for (const auto& [number, value] : fields) log += fmt::format(" {}={}", number, value);
  }

  terminal::Stored submit(base::Result<redact::Draft, iso8583::NoEvent> draft) {
    REQUIRE(draft.has_value());
    auto cleared = intake.guard.clear(std::move(*draft), redact::Channel{});
    REQUIRE(cleared.has_value());
    const ingest::Ticket ticket(++tickets_);
    intake.machine.submit(*cleared, ticket, intake.moment);
    intake.settle();
    return ingest_test::stored(intake.answers.at(ticket));
  }

  std::uint64_t tickets_ = 0;
};

// As field 90 names a message of sale(): MTI, STAN, transmission time.
std::string original(const std::string& mti, const std::string& stan, const std::string& time = "1123110901") {
  return mti + stan + time + std::string(22, '0');
}
const std::string filler = std::string(10, '0');

constexpr const char* card = "4111111111111111";
constexpr const char* other_card = "5555555555554444";
constexpr const char* rest_500 = "000000000500000000000000C00000000C00000000";

}  // namespace

TEST_CASE("originals: a batch upload is found to be stored, whatever RRN it has itself") {
  const FieldValues uploads[] = {
      {{90, original("0220", "004711")}}, {{90, original("0220", "004711", filler)}}, {{60, "0220004711"}},
      {{60, "0220004711632700004711"}},   {{60, "0220004711            "}},           {{60, "0220004711000000000000"}},
  };
  for (const FieldValues& upload : uploads) {
    for (const char* rrn : {"632700004711", "632700000050", "000000000000", ""}) {
      for (const char* stored_rrn : {"632700004711", ""}) {
        CAPTURE(upload.begin()->second);
        CAPTURE(rrn);
        CAPTURE(stored_rrn);
        Till till;
        till.tell("0220", sale({{2, card}, {37, stored_rrn}}));
        FieldValues fields = sale({{11, "000050"}, {37, rrn}});
        for (const auto& [number, value] : upload) fields[number] = value;
        CHECK(till.tell("0320", fields).duplicate);
        fields[11] = "000051";
        CHECK(till.tell("0320", fields).duplicate);
        CHECK(till.rows() == 1);
      }
    }
  }
}

TEST_CASE("originals: an upload that names another transaction is stored, once") {
  const FieldValues uploads[] = {
      {{90, original("0220", "004712")}},
      {{90, original("0220", "004711", "1122110901")}},
      {{90, original("0120", "004711")}},
      {{60, "0220004711632700009999"}},
  };
  for (const FieldValues& upload : uploads) {
    CAPTURE(upload.begin()->second);
    Till till;
    till.tell("0220", sale({{37, "632700004711"}}));
    FieldValues fields = sale({{11, "000050"}, {37, "632700000050"}});
    for (const auto& [number, value] : upload) fields[number] = value;
    CHECK_FALSE(till.tell("0320", fields).duplicate);
    // Again, with STAN and RRN of its own.
    fields[11] = "000051";
    fields[37] = "632700000051";
    CHECK(till.tell("0320", fields).duplicate);
    CHECK(till.rows() == 2);
  }
}

TEST_CASE("originals: where only the STAN names it, amount, card and kind say which, and no long time is between") {
  const auto stored_is_found = [](const FieldValues& stored, const FieldValues& changed) {
    Till till;
    till.tell("0220", sale(stored));
    FieldValues upload{{2, card}, {11, "000050"}, {60, "0220004711"}};
    for (const auto& [number, value] : changed) upload[number] = value;
    return till.tell("0320", sale(upload)).duplicate;
  };
  CHECK(stored_is_found({{2, card}}, {}));
  CHECK(stored_is_found({{2, card}}, {{2, ""}}));
  CHECK_FALSE(stored_is_found({{2, other_card}}, {}));
  CHECK_FALSE(stored_is_found({{2, card}}, {{4, "000000000999"}}));
  CHECK_FALSE(stored_is_found({{2, card}}, {{3, "200000"}}));
  // Days later, with another amount, it is another transaction, and not a contradiction.
  Till till;
  till.tell("0220", sale({{12, "120901"}, {13, "1110"}, {7, "1110110901"}}));
  till.tell("0320", sale({{11, "000050"}, {4, "000000000999"}, {60, "0220004711"}}));
  CHECK(till.rows() == 2);
  CHECK(till.last().conflict_with().empty());
}

TEST_CASE("originals: of two with one STAN it is the one whose time or reference is named, else the newer one") {
  const auto reversed = [](const FieldValues& changed) {
    Till till;
    till.tell("0220", sale({{12, "090000"}, {7, "1123080000"}, {37, "632700000001"}}));
    till.tell("0220", sale({{12, "130000"}, {7, "1123120000"}, {37, "632700000002"}}));
    FieldValues fields = sale({{11, "000060"}});
    for (const auto& [number, value] : changed) fields[number] = value;
    till.tell("0400", fields);
    const std::string id = till.last().original_event_id();
    for (std::size_t row = 1; row <= 2; ++row)
      if (till.intake.record(row).event_id() == id) return row;
    return std::size_t(0);
  };
  CHECK(reversed({{90, original("0220", "004711", "1123080000")}}) == 1);
  CHECK(reversed({{90, original("0220", "004711", "1123120000")}}) == 2);
  CHECK(reversed({{90, original("0220", "004711", filler)}, {37, "632700000001"}}) == 1);
  CHECK(reversed({{90, original("0220", "004711", filler)}}) == 2);
  CHECK(reversed({{90, original("0220", "004711", "1101080000")}}) == 0);
}

TEST_CASE("originals: MTI and STAN alone name what has another amount, and never what has another card") {
  const auto linked = [](const FieldValues& changed) {
    Till till;
    till.tell("0220", sale({{2, card}}));
    FieldValues fields = sale({{2, card}, {11, "000060"}, {90, original("0220", "004711", filler)}});
    for (const auto& [number, value] : changed) fields[number] = value;
    till.tell("0420", fields);
    return !till.last().original_event_id().empty();
  };
  CHECK(linked({{4, "000000000999"}}));
  CHECK_FALSE(linked({{2, other_card}}));
  CHECK_FALSE(linked({{42, "MERCHANT0000002"}}));
  CHECK_FALSE(linked({{49, "840"}}));
}

TEST_CASE("originals: an upload says again, with other words, what was stored as a completion or a partial approval") {
  Till till;
  till.tell("0120", sale({{11, "000001"}}));
  till.tell("0220", sale({{2, card}, {90, original("0120", "000001")}}));
  CHECK(till.last().type() == "completion");
  CHECK(till.tell("0320", sale({{11, "000050"}, {60, "0220004711"}})).duplicate);
  till.seen("0200", sale({{11, "000002"}}), {{4, "000000000500"}, {11, "000002"}, {39, "10"}});
  CHECK(till.last().outcome() == "partial");
  CHECK(till.tell("0320", sale({{4, "000000000500"}, {11, "000051"}, {39, "00"}, {60, "0200000002"}})).duplicate);
  CHECK(till.rows() == 3);
}

TEST_CASE("originals: a reversal and its repeat with a STAN, time and RRN of its own are one") {
  Till till;
  till.tell("0220", sale({{37, "632700004711"}}));
  const FieldValues first = sale({{11, "000060"}, {37, "632700000060"}, {90, original("0220", "004711")}});
  FieldValues again = first;
  again[11] = "000061";
  again[12] = "121500";
  again[37] = "632700000061";
  CHECK_FALSE(till.tell("0400", first).duplicate);
  CHECK(till.tell("0401", again).duplicate);
  CHECK(till.tell("0420", again).duplicate);
  // Also where only MTI and STAN are named.
  again[90] = original("0220", "004711", filler);
  again[37] = "632700000062";
  CHECK(till.tell("0421", again).duplicate);
  CHECK(till.takings() == 0);

  Till unknown;  // the original never came
  CHECK_FALSE(unknown.tell("0400", first).duplicate);
  again[90] = first.at(90);
  CHECK(unknown.tell("0401", again).duplicate);
  CHECK(unknown.takings() == -1250);
}

TEST_CASE("originals: the reversal of a request that timed out has its STAN, and takes back what that brought") {
  struct Case {
    FieldValues answer;
    std::int64_t effect;
  };
  for (const auto& [answer, effect] : {Case{{}, 0}, Case{{{11, "004711"}, {39, "05"}}, 0},
                                       Case{{{11, "004711"}, {39, "00"}, {37, "000000000104"}}, -1250}}) {
    for (const char* rrn : {"", "000000000104"}) {
      CAPTURE(effect);
      CAPTURE(rrn);
      Till till;
      till.seen("0200", sale({{2, card}}), answer);
      const Event asked = till.last();
      CHECK_FALSE(till.tell("0400", sale({{2, card}, {37, rrn}, {39, "68"}})).duplicate);
      CHECK(till.last().type() == "reversal");
      CHECK(till.last().original_event_id() == asked.event_id());
      CHECK(till.last().effect_minor() == effect);
      CHECK(till.tell("0401", sale({{2, card}, {37, rrn}, {39, "68"}, {12, "120931"}})).duplicate);
      CHECK(
          till.tell("0420", sale({{11, "004712"}, {2, card}, {37, rrn}, {90, original("0200", "004711")}})).duplicate);
      CHECK(till.rows() == 2);
    }
  }
}

TEST_CASE("originals: a reversal that names nothing is that of no other transaction with its STAN") {
  const auto linked = [](const FieldValues& sold, const FieldValues& reversed) {
    Till till;
    till.tell("0220", sale(sold));
    till.tell("0400", sale(reversed));
    return !till.last().original_event_id().empty();
  };
  CHECK(linked({{2, card}}, {{2, card}}));
  CHECK(linked({{2, card}}, {{12, "121000"}}));
  CHECK(linked({{37, "632700004711"}}, {}));
  CHECK_FALSE(linked({{2, card}}, {{2, other_card}}));
  CHECK_FALSE(linked({}, {{4, "000000000999"}}));
  CHECK_FALSE(linked({}, {{3, "200000"}}));
  CHECK_FALSE(linked({}, {{11, "004712"}}));
  CHECK_FALSE(linked({{37, "632700004711"}}, {{37, "632700009999"}}));
  // A STAN of another day.
  CHECK_FALSE(linked({{13, "1121"}}, {}));
  // A STAN that is no number is nobody's.
  CHECK_FALSE(linked({{11, "A04711"}}, {{11, "A04711"}}));
  // Nor is a reversal reversed by one with its STAN.
  Till till;
  till.tell("0400", sale({{37, "632700000001"}}));
  till.tell("0400", sale({{37, "632700000002"}}));
  CHECK(till.last().original_event_id().empty());
}

TEST_CASE("originals: what names another one is not found in a second round by its STAN alone") {
  Till till;
  till.tell("0220", sale());
  // The stored sale has the key hash of this reversal: it goes round once.
  till.tell("0400", sale({{11, "000060"}, {90, original("0220", "004711", "1101080000")}}));
  CHECK(till.last().type() == "reversal");
  CHECK(till.last().original_event_id().empty());
}

TEST_CASE("originals: a reversal of a part takes back what field 95 says, with and without field 4") {
  const auto partial = [](const char* amount) {
    return sale({{4, amount}, {11, "000060"}, {90, original("0220", "004711")}, {95, rest_500}});
  };
  for (const char* amount : {"000000001250", ""}) {
    CAPTURE(amount);
    Till till;
    till.tell("0220", sale());
    till.tell("0420", partial(amount));
    CHECK(till.last().amount_minor() == 750);
    CHECK(till.last().effect_minor() == -750);
    CHECK(till.last().currency() == "EUR");
    CHECK(till.last().incomplete().empty());
    CHECK(till.tell("0421", partial(amount)).duplicate);
  }
  // Without its original, or beyond it, nobody can say how much it is.
  Till alone;
  alone.tell("0420", partial(""));
  CHECK_FALSE(alone.last().has_amount_minor());
  CHECK_FALSE(alone.last().has_effect_minor());
  CHECK(alone.is_incomplete("amount_minor"));
  Till small;
  small.tell("0220", sale({{4, "000000000400"}}));
  small.tell("0420", partial(""));
  CHECK_FALSE(small.last().original_event_id().empty());
  CHECK_FALSE(small.last().has_effect_minor());
  CHECK(small.is_incomplete("amount_minor"));
  Till unread;
  unread.tell("0220", sale());
  FieldValues fields = partial("");
  fields[95] = "00000000050X000000000000C00000000C00000000";
  unread.tell("0420", fields);
  CHECK_FALSE(unread.last().has_effect_minor());
  CHECK(unread.is_incomplete("amount_minor"));
}

TEST_CASE("originals: in 1993 field 95 is the card issuer's reference, and no amount") {
  FieldValues sold{{3, "000000"},    {4, "000000001250"}, {11, "000001"}, {12, "261123120901"},
                   {41, "Y0000001"}, {49, "978"},         {39, "000"},    {42, "MERCHANT0000001"}};
  for (const char* reference : {"000000000500 REF", "REF-2026-11-23-0004711"}) {
    Till till;
    till.tell("1220", sold, "iso93-ascii");
    FieldValues reversed = sold;
    reversed[11] = "000002";
    reversed[56] = "1220000001261123120901";
    reversed[95] = reference;
    till.tell("1420", reversed, "iso93-ascii");
    CHECK(till.last().effect_minor() == -1250);
    CHECK(till.last().incomplete().empty());
  }
}

TEST_CASE("originals: the reversal of a partial approval takes back the approved part") {
  const FieldValues part{{4, "000000000500"}, {11, "004711"}, {39, "10"}};
  const FieldValues reversal = sale({{11, "000060"}, {90, original("0200", "004711")}});
  Till till;
  till.seen("0200", sale(), part);
  till.tell("0400", reversal);
  CHECK(till.last().amount_minor() == 500);
  CHECK(till.last().effect_minor() == -500);
  CHECK(till.tell("0401", reversal).duplicate);
  FieldValues of_a_part = reversal;
  of_a_part[95] = "000000000200000000000000C00000000C00000000";
  Till down_to_200;
  down_to_200.seen("0200", sale(), part);
  down_to_200.tell("0400", of_a_part);
  CHECK(down_to_200.last().effect_minor() == -300);
  // Of which part, the answer did not say.
  Till unsaid;
  unsaid.seen("0200", sale(), {{11, "004711"}, {39, "10"}});
  CHECK(unsaid.last().outcome() == "partial");
  CHECK(unsaid.last().requested_minor() == 1250);
  CHECK_FALSE(unsaid.last().has_amount_minor());
  CHECK(unsaid.is_incomplete("amount_minor"));
  unsaid.tell("0400", reversal);
  CHECK(unsaid.takings() == 0);
}

TEST_CASE("originals: reversals of one sale never take back more than it brought, and say that they differ") {
  const auto reversal = [](const char* stan, const char* amount, const char* replaced = "") {
    FieldValues fields = sale({{4, amount}, {11, stan}, {90, original("0220", "004711")}, {95, replaced}});
    return fields;
  };
  constexpr const char* rest_900 = "000000000900000000000000C00000000C00000000";
  Till till;
  till.tell("0220", sale());
  till.tell("0420", reversal("000060", "000000001250", rest_900));
  CHECK(till.takings() == 900);
  const std::string first = till.last().event_id();
  till.tell("0420", reversal("000061", "000000001250", rest_500));
  CHECK(till.takings() == 500);
  CHECK(till.last().conflict_with() == first);
  till.tell("0420", reversal("000062", "000000001250"));
  CHECK(till.takings() == 0);
  CHECK(till.last().conflict_with() == first);
  // Each again: nothing more.
  CHECK(till.tell("0421", reversal("000063", "000000001250", rest_900)).duplicate);
  CHECK(till.tell("0421", reversal("000064", "000000001250", rest_500)).duplicate);
  CHECK(till.tell("0421", reversal("000065", "000000001250")).duplicate);

  Till parts;  // each says what it takes back itself
  parts.tell("0220", sale());
  parts.tell("0420", reversal("000060", "000000000350"));
  parts.tell("0420", reversal("000061", "000000000400"));
  CHECK(parts.takings() == 500);
  parts.tell("0420", reversal("000062", "000000000600"));
  CHECK(parts.takings() == 0);
}

TEST_CASE("originals: a reversal of a reversal, or the upload of one, moves nothing while nobody can say what it was") {
  Till till;
  till.tell("0220", sale());
  till.tell("0420", sale({{11, "000060"}, {90, original("0220", "004711")}}));
  till.tell("0420", sale({{11, "000061"}, {90, original("0420", "000060")}}));
  CHECK(till.takings() == 0);
  CHECK(till.last().outcome() == "unknown");
  CHECK(till.last().original_type() == "reversal");
  CHECK(till.is_incomplete("original_ref"));
  CHECK(till.tell("0421", sale({{11, "000062"}, {90, original("0420", "000060")}})).duplicate);
  till.tell("0320", sale({{11, "000063"}, {60, "0420000060"}}));
  CHECK(till.last().type() == "reversal");
  CHECK(till.takings() == 0);
  CHECK(till.is_incomplete("original_ref"));
  CHECK(till.tell("0320", sale({{11, "000064"}, {60, "0420000060"}})).duplicate);
  // Looked for once, also where another event has its reference, and it goes round.
  Till again;
  again.tell("0220", sale({{11, "000060"}}));
  again.tell("0420", sale({{11, "000061"}, {90, original("0420", "000060")}}));
  CHECK(again.last().incomplete_size() == 1);
}

TEST_CASE("originals: a reversal that is stored under its own STAN or RRN is found by what reverses or uploads it") {
  for (const char* rrn : {"", "632700004711"}) {
    CAPTURE(rrn);
    Till till;
    till.tell("0220", sale());
    till.tell("0420", sale({{37, rrn}}));
    const Event reversal = till.last();
    CHECK(till.takings() == 0);
    CHECK(till.tell("0320", sale({{11, "000063"}, {37, rrn}, {60, "0420004711"}})).duplicate);
    till.tell("0420", sale({{11, "000061"}, {37, rrn}, {90, original("0420", "004711")}}));
    CHECK(till.last().original_event_id() == reversal.event_id());
    CHECK(till.takings() == 1250);
  }
}

TEST_CASE("originals: the upload of a reversal that names what was reversed is that reversal, or brings it") {
  const FieldValues upload = sale({{11, "000063"}, {60, "0420000060"}, {90, original("0220", "004711")}});
  Till till;
  till.tell("0220", sale());
  till.tell("0420", sale({{11, "000060"}, {90, original("0220", "004711")}}));
  CHECK(till.tell("0320", upload).duplicate);
  Till missing;
  missing.tell("0220", sale());
  missing.tell("0320", upload);
  CHECK(missing.last().type() == "reversal");
  CHECK(missing.takings() == 0);
  CHECK(missing.tell("0421", sale({{11, "000060"}, {90, original("0220", "004711")}})).duplicate);
}

TEST_CASE("originals: two reversals of one sale that come at once are one, in whatever way they name it") {
  Till till;
  till.tell("0220", sale({{37, "632700004711"}}));
  const auto submit = [&](const std::string& mti, const FieldValues& fields, std::uint64_t ticket) {
    const auto request = test::message(mti, fields);
    auto draft = iso8583::to_draft(request, *iso8583::read_mti(mti), test::dialect(), {});
    auto cleared = till.intake.guard.clear(std::move(*draft), redact::Channel{});
    till.intake.machine.submit(*cleared, ingest::Ticket(ticket), till.intake.moment);
  };
  submit("0400", sale({{37, "632700004711"}}), 101);
  submit("0420", sale({{11, "000061"}, {37, "632700004711"}, {90, original("0220", "004711")}}), 102);
  submit("0421", sale({{11, "000062"}, {90, original("0220", "004711", filler)}, {37, "632700004711"}}), 103);
  till.intake.settle();
  CHECK(till.rows() == 2);
  CHECK(till.takings() == 0);
}

TEST_CASE(
    "originals: a reversal is not its repeat of another day, where only STAN and MTI are named, or a filled RRN") {
  for (const FieldValues& naming :
       {FieldValues{{11, "000060"}, {90, original("0220", "004711", filler)}},
        FieldValues{{11, "000060"}, {37, "000000000000"}, {90, original("0220", "004711", filler)}},
        FieldValues{{37, "000000000000"}}, FieldValues{{37, ""}}}) {
    Till till;
    for (const char* day : {"1121", "1122", "1123"}) {
      FieldValues sold{{7, day + std::string("110901")}, {13, day}};
      till.tell("0220", sale(sold));
      FieldValues reversed = naming;
      reversed.insert(sold.begin(), sold.end());
      CHECK_FALSE(till.tell("0420", sale(reversed)).duplicate);
      CHECK(till.takings() == 0);
      CHECK(till.tell("0421", sale(reversed)).duplicate);
    }
    CHECK(till.rows() == 6);
  }
  // Also where no original is stored.
  Till alone;
  for (const char* day : {"1121", "1122"})
    CHECK_FALSE(
        alone.tell("0420", sale({{7, day + std::string("110901")}, {13, day}, {37, "000000000000"}})).duplicate);
}

TEST_CASE(
    "originals: an upload that only a STAN names is not what had that STAN days before, unless it says its time") {
  const auto found = [](const FieldValues& changed) {
    Till till;
    till.tell("0220", sale({{2, card}, {7, "1121110901"}, {13, "1121"}}));
    FieldValues upload{{2, card}, {11, "000050"}, {60, "0220004711"}};
    for (const auto& [number, value] : changed) upload[number] = value;
    return till.tell("0320", sale(upload)).duplicate;
  };
  CHECK(found({{13, "1121"}}));
  CHECK(found({{13, "1121"}, {12, "235900"}}));
  CHECK_FALSE(found({{13, "1123"}}));
}

namespace {

// A till's days, each with the same STANs, told in any of the ways in which terminals tell them.
class Days {
 public:
  explicit Days(std::uint64_t seed) : random_(seed) {}

  void run() {
    for (day_ = 1121; day_ <= 1123; ++day_) {
      std::vector<FieldValues> uploads;
      for (int stan = 1; stan <= 4; ++stan) sell(stan, uploads);
      for (const FieldValues& fields : uploads) upload(fields);
    }
  }

  [[nodiscard]] std::int64_t expected() const { return expected_; }
  Till till;

 private:
  [[nodiscard]] std::uint64_t any(std::uint64_t below) { return random_() % below; }
  [[nodiscard]] bool perhaps(std::uint64_t percent) { return any(100) < percent; }
  template <class T>
  T one_of(std::initializer_list<T> choices) {
    return *(choices.begin() + any(choices.size()));
  }
  static std::string six(int number) { return fmt::format("{:06}", number); }
  std::string own_rrn() { return fmt::format("99{:010}", ++own_); }

  void sell(int stan, std::vector<FieldValues>& uploads) {
    const std::string day = std::to_string(day_);
    const std::string clock = fmt::format("{:02}{:02}00", 8 + stan, any(60));
    std::int64_t amount = one_of({1000, 1250});
    const bool missing = perhaps(20);
    if (missing) amount = 2000 + static_cast<std::int64_t>(any(1000));
    const auto rrn = one_of<std::string>({"", "000000000000", fmt::format("6327{}{:04}", day, stan)});
    FieldValues sold = sale({{2, one_of({card, other_card})},
                             {4, fmt::format("{:012}", amount)},
                             {7, day + clock},
                             {11, six(stan)},
                             {12, clock},
                             {13, day},
                             {37, rrn}});
    if (missing) return brought_by_upload(sold, amount, uploads);
    const std::int64_t brought = tell(sold, amount);
    if (perhaps(50)) return reverse(sold);
    expected_ += brought;
    if (brought == 0) return;
    sold[4] = fmt::format("{:012}", brought);
    uploads.push_back(sold);
  }

  void brought_by_upload(const FieldValues& sold, std::int64_t amount, std::vector<FieldValues>& uploads) {
    expected_ += amount;
    uploads.push_back(sold);
  }

  // What it brings.
  std::int64_t tell(const FieldValues& sold, std::int64_t amount) {
    mti_ = one_of<std::string>({"0220", "0200"});
    const std::string repeat = mti_.substr(0, 3) + "1";
    if (mti_ == "0220") {
      till.tell(mti_, sold);
      if (perhaps(30)) till.tell(repeat, sold);
      return amount;
    }
    const FieldValues answer{{11, sold.at(11)}, {39, one_of<std::string>({"00", "05", "10", ""})}};
    FieldValues part = answer;
    if (answer.at(39) == "10") part[4] = fmt::format("{:012}", amount / 2);
    if (answer.at(39).empty()) part.clear();
    till.seen(mti_, sold, part);
    if (perhaps(30)) till.seen(repeat, sold, part);
    return answer.at(39) == "00" ? amount : answer.at(39) == "10" ? amount / 2 : 0;
  }

  void reverse(const FieldValues& sold) {
    // A terminal names its original in one way, again and again; it may have another reference each time.
    const bool by_own_stan = perhaps(30);
    const bool without_rrn = perhaps(50);
    const std::string time = perhaps(50) ? sold.at(7) : filler;
    for (std::uint64_t times = 1 + any(3); times > 0; --times) {
      FieldValues fields = sold;
      if (!by_own_stan) {
        fields[11] = six(900 + static_cast<int>(++own_ % 90));
        fields[90] = original(mti_, sold.at(11), time);
        fields[37] = one_of<std::string>({own_rrn(), "000000000000", ""});
      } else if (without_rrn) {
        fields[37] = "";
      }
      if (perhaps(30)) fields[12] = "155900";
      till.tell(one_of<std::string>({"0400", "0401", "0420", "0421"}), sale(fields));
    }
  }

  void upload(const FieldValues& sold) {
    const auto named = any(4);
    for (std::uint64_t times = 1 + any(3); times > 0; --times) {
      FieldValues fields = sold;
      fields[11] = six(800 + static_cast<int>(++own_ % 90));
      const bool has_rrn = sold.contains(37) && sold.at(37).front() == '6';
      if (named == 0) fields[90] = original("0200", sold.at(11), sold.at(7));
      if (named == 1) fields[90] = original("0200", sold.at(11), filler);
      if (named >= 2) fields[60] = "0220" + sold.at(11) + (named == 3 && has_rrn ? sold.at(37) : "");
      fields[37] = one_of<std::string>({own_rrn(), "000000000000", ""});
      till.tell(one_of<std::string>({"0320", "0321"}), sale(fields));
    }
  }

  std::mt19937_64 random_;
  int day_ = 0;
  std::string mti_;
  std::uint64_t own_ = 0;
  std::int64_t expected_ = 0;
};

}  // namespace

TEST_CASE("originals: in whatever ways a till's days are told, reversed and uploaded, takings are what was sold") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Days days(seed);
    days.run();
    CAPTURE(days.till.log);
    CHECK(days.till.takings() == days.expected());
  }
}

TEST_CASE("originals: tips in field 54 count in the currency of the amount, or of the terminal") {
  const auto tip = [](const FieldValues& changed) {
    Till till;
    till.tell("0220", sale(changed));
    return std::pair(till.last().has_tip_minor() ? till.last().tip_minor() : -1, till.is_incomplete("tip_minor"));
  };
  constexpr const char* one = "0044978D000000000150";
  CHECK(tip({{54, one}}) == std::pair<std::int64_t, bool>(150, false));
  CHECK(tip({{49, "EUR"}, {54, one}}) == std::pair<std::int64_t, bool>(150, false));
  CHECK(tip({{49, ""}, {54, one}}) == std::pair<std::int64_t, bool>(150, false));
  CHECK(tip({{54, std::string(one) + "2044978D000000000050"}}) == std::pair<std::int64_t, bool>(200, false));
  CHECK(tip({{54, "0044840D000000000150"}}) == std::pair<std::int64_t, bool>(-1, true));
  CHECK(tip({{49, ""}, {54, "0044840D000000000150"}}) == std::pair<std::int64_t, bool>(-1, true));
  CHECK(tip({{49, ""}, {54, std::string(one) + "2044840D000000000050"}}) == std::pair<std::int64_t, bool>(150, true));
  CHECK(tip({{54, "0044978D00000000015X"}}) == std::pair<std::int64_t, bool>(-1, true));
  CHECK(tip({{54, "0002978D000000000150"}}) == std::pair<std::int64_t, bool>(-1, false));
  // More than the amount that it is part of.
  CHECK(tip({{54, "0044978D000000009999"}}) == std::pair<std::int64_t, bool>(-1, true));
}
