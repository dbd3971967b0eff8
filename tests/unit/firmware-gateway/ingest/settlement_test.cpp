#include "firmware-gateway/ingest/settlement.hpp"

#include <doctest/doctest.h>

#include "tests/unit/firmware-gateway/ingest/intake.hpp"

using ingest_test::Intake;
using redact::Field;
using tillstream::v1::Event;

namespace {

redact::Draft message(const std::string& terminal, int stan, const std::string& type) {
  redact::Draft draft;
  draft.fields.source = redact::Source::iso8583;
  draft.fields.on_conflict = redact::OnConflict::store;
  draft.fields.text(Field::type) = type;
  draft.fields.text(Field::terminal_id) = terminal;
  draft.fields.text(Field::terminal_ref) = std::to_string(stan);
  draft.fields.attributes[redact::message_ref] = "022 time " + std::to_string(stan);
  return draft;
}

// Terminals that sell, give back, reverse and settle; each reference counts by itself.
class Shop {
 public:
  int tell(redact::Draft draft) {
    auto cleared = intake.guard.clear(std::move(draft), redact::Channel{});
    REQUIRE(cleared.has_value());
    intake.machine.submit(*cleared, ingest::Ticket(static_cast<std::uint64_t>(++tickets_)), intake.moment);
    return tickets_;
  }
  redact::Draft money(const std::string& type, std::int64_t amount, const std::string& terminal = "T1") {
    redact::Draft draft = message(terminal, ++stan_, type);
    draft.fields.text(Field::outcome) = "approved";
    draft.fields.text(Field::currency) = "EUR";
    draft.fields.number(Field::amount_minor) = amount;
    return draft;
  }
  redact::Draft settlement(const std::string& terminal = "T1") {
    redact::Draft draft = message(terminal, ++stan_, "batch_total");
    draft.fields.settlement.emplace();
    return draft;
  }
  redact::Draft settlement(std::int64_t sales_count, std::int64_t sales, std::int64_t refunds_count = 0,
                           std::int64_t refunds = 0, const std::string& terminal = "T1") {
    redact::Draft draft = settlement(terminal);
    draft.fields.number(Field::sales_count) = sales_count;
    draft.fields.number(Field::sales_minor) = sales;
    draft.fields.number(Field::refunds_count) = refunds_count;
    draft.fields.number(Field::refunds_minor) = refunds;
    return draft;
  }
  static redact::Draft asking(redact::Draft draft) {
    draft.fields.settlement->may_ask_upload = true;
    return draft;
  }

  void sell(std::int64_t amount, const std::string& terminal = "T1") { tell(money("sale", amount, terminal)); }
  // Of the last event, everything before it stored.
  Event settle(redact::Draft draft) {
    tell(std::move(draft));
    intake.settle();
    return intake.last();
  }
  [[nodiscard]] const terminal::Stored& answer(int ticket) {
    return std::get<terminal::Stored>(intake.answers.at(ingest::Ticket(static_cast<std::uint64_t>(ticket))));
  }
  // The process starts anew.
  void restart() { intake.machine.on_journal_opened({1, 2, 3}, intake.journal.tallies); }

  Intake intake;

 private:
  int tickets_ = 0;
  int stan_ = 0;
};

}  // namespace

TEST_CASE("settlement: what was recorded is added up by what each event did, and agrees") {
  Shop shop;
  shop.sell(1000);
  shop.sell(250);
  shop.tell(shop.money("completion", 500));
  shop.tell(shop.money("cash_advance", 100));
  shop.tell(shop.money("refund", 300));
  redact::Draft back = shop.money("adjustment", 20);
  back.fields.text(Field::original_type) = "refund";
  shop.tell(std::move(back));
  redact::Draft reversal = shop.money("reversal", 250);
  reversal.fields.text(Field::original_type) = "sale";
  shop.tell(std::move(reversal));
  reversal = shop.money("reversal", 300);
  reversal.fields.text(Field::original_type) = "refund";
  shop.tell(std::move(reversal));
  // None of these moved anything.
  shop.tell(shop.money("authorization", 9000));
  redact::Draft declined = shop.money("sale", 8000);
  declined.fields.text(Field::outcome) = "declined";
  shop.tell(std::move(declined));
  const Event event = shop.settle(shop.settlement(3, 1600, 1, 20));
  CHECK(event.type() == "batch_total");
  CHECK(event.schema_version() == ingest::second_schema_version);
  CHECK(event.recorded_sales_count() == 4);
  CHECK(event.recorded_sales_minor() == 1850);
  CHECK(event.recorded_refunds_count() == 2);
  CHECK(event.recorded_refunds_minor() == 320);
  CHECK(event.recorded_reversals_count() == 1);
  CHECK(event.recorded_reversals_minor() == 250);
  CHECK(event.recorded_refund_reversals_count() == 1);
  CHECK(event.recorded_refund_reversals_minor() == 300);
  CHECK(event.difference_minor() == 0);
  CHECK(event.has_in_balance());
  CHECK(event.in_balance());
  CHECK(event.batch_closed());
  CHECK(event.currency() == "EUR");
}

TEST_CASE("settlement: reversals listed beside, or left out of the totals, compare alike") {
  for (const bool listed : {true, false}) {
    CAPTURE(listed);
    Shop shop;
    shop.sell(1000);
    shop.sell(250);
    redact::Draft reversal = shop.money("reversal", 250);
    reversal.fields.text(Field::original_type) = "sale";
    shop.tell(std::move(reversal));
    redact::Draft settlement = listed ? shop.settlement(2, 1250) : shop.settlement(1, 1000);
    if (listed) settlement.fields.number(Field::reversals_count) = 1;
    if (listed) settlement.fields.number(Field::reversals_minor) = 250;
    CHECK(shop.settle(std::move(settlement)).in_balance());
  }
}

TEST_CASE("settlement: out of balance by what is missing, and by counts alone") {
  Shop shop;
  shop.sell(1000);
  Event event = shop.settle(shop.settlement(2, 1400));
  CHECK(event.has_in_balance());
  CHECK(!event.in_balance());
  CHECK(event.difference_minor() == 400);
  CHECK(event.batch_closed());
  shop.sell(700);
  event = shop.settle(shop.settlement(2, 700));
  CHECK(event.difference_minor() == 0);
  CHECK(!event.in_balance());
  // A sale and a refund of the same amount, both missing.
  event = shop.settle(shop.settlement(1, 50, 1, 50));
  CHECK(event.difference_minor() == 0);
  CHECK(!event.in_balance());
}

TEST_CASE("settlement: a net alone is compared with the net") {
  Shop shop;
  shop.sell(1000);
  shop.tell(shop.money("refund", 1200));
  redact::Draft settlement = shop.settlement();
  settlement.fields.settlement->net_minor = -200;
  Event event = shop.settle(std::move(settlement));
  CHECK(event.net_minor() == -200);
  CHECK(event.in_balance());
  CHECK(event.schema_version() == ingest::second_schema_version);
  settlement = shop.settlement();
  settlement.fields.settlement->net_minor = 5;
  event = shop.settle(std::move(settlement));
  CHECK(!event.in_balance());
  CHECK(event.difference_minor() == 5);
}

TEST_CASE("settlement: totals that could not be read are not compared, and the batch is closed") {
  Shop shop;
  shop.sell(1000);
  redact::Draft settlement = shop.settlement(1, 1000);
  settlement.fields.settlement->readable = false;
  Event event = shop.settle(std::move(settlement));
  CHECK(event.recorded_sales_minor() == 1000);
  CHECK(!event.has_in_balance());
  CHECK(!event.has_difference_minor());
  CHECK(event.batch_closed());
  // More than any amount may be.
  event = shop.settle(shop.settlement(0, 9'000'000'000'000'000));
  CHECK(!event.has_sales_minor());
  CHECK(!event.has_in_balance());
  CHECK(event.recorded_sales_count() == 0);
}

TEST_CASE(
    "settlement: it sees everything of its terminal before it and nothing after it, in whatever group they come") {
  Shop shop;
  shop.intake.hold = true;
  shop.sell(1);
  shop.intake.settle();  // on its way alone
  shop.sell(10);
  shop.sell(100);
  shop.sell(5000, "T2");
  const int first = shop.tell(shop.settlement(3, 111));
  shop.sell(1000);
  const int second = shop.tell(shop.settlement(1, 1000));
  shop.sell(10'000);
  shop.intake.hold = false;
  shop.intake.release();
  shop.intake.settle();
  CHECK(shop.answer(first).settled->in_balance == true);
  CHECK(shop.answer(second).settled->in_balance == true);
  const Event third = shop.settle(shop.settlement(1, 10'000));
  CHECK(third.in_balance());
  CHECK(shop.settle(shop.settlement(1, 5000, 0, 0, "T2")).in_balance());
}

TEST_CASE("settlement: repeats, in the group and later, count once") {
  Shop shop;
  const redact::Draft sale = shop.money("sale", 500);
  const auto again = [&] {
    redact::Draft copy;
    copy.fields = sale.fields;
    return copy;
  };
  shop.tell(again());
  shop.tell(again());
  shop.intake.settle();
  shop.tell(again());
  const Event event = shop.settle(shop.settlement(1, 500));
  CHECK(event.recorded_sales_count() == 1);
  CHECK(event.in_balance());
}

TEST_CASE("settlement: a sale with the key of another one and other content is stored, and counts") {
  Shop shop;
  const redact::Draft sale = shop.money("sale", 500);
  redact::Draft other;
  other.fields = sale.fields;
  redact::Draft copy;
  copy.fields = sale.fields;
  other.fields.number(Field::amount_minor) = 700;
  shop.tell(std::move(copy));
  shop.intake.settle();
  shop.tell(std::move(other));
  const Event event = shop.settle(shop.settlement(2, 1200));
  CHECK(event.recorded_sales_minor() == 1200);
  CHECK(event.in_balance());
}

TEST_CASE("settlement: what the journal refuses does not count") {
  Shop shop;
  shop.sell(500);
  shop.intake.settle();
  shop.intake.journal.refuse_each = journal::Error::full;
  shop.sell(700);
  shop.intake.settle();
  shop.intake.journal.refuse_each.reset();
  CHECK(shop.settle(shop.settlement(1, 500)).in_balance());
}

TEST_CASE("settlement: sums go on after a restart, and a repeat is told what the first one was, and makes no event") {
  Shop shop;
  shop.sell(500);
  shop.intake.settle();
  shop.restart();
  shop.sell(250);
  const redact::Draft settlement = shop.settlement(3, 800);
  const auto again = [&] {
    redact::Draft copy;
    copy.fields = settlement.fields;
    return copy;
  };
  const int first = shop.tell(again());
  shop.intake.settle();
  const std::size_t rows = shop.intake.journal.rows.size();
  shop.sell(9000);
  shop.intake.settle();
  shop.restart();
  const int repeat = shop.tell(again());
  shop.intake.settle();
  CHECK(shop.intake.journal.rows.size() == rows + 1);
  CHECK(shop.answer(repeat).duplicate);
  CHECK(shop.answer(repeat).event_id == shop.answer(first).event_id);
  for (const int ticket : {first, repeat}) {
    REQUIRE(shop.answer(ticket).settled.has_value());
    CHECK(shop.answer(ticket).settled->in_balance == false);
    CHECK(shop.answer(ticket).settled->closed);
  }
  // The repeat did not close the batch that came after it.
  CHECK(shop.settle(shop.settlement(1, 9000)).in_balance());
}

TEST_CASE("settlement: terminals and currencies are settled each by itself") {
  Shop shop;
  shop.sell(500);
  redact::Draft francs = shop.money("sale", 900);
  francs.fields.text(Field::currency) = "CHF";
  shop.tell(std::move(francs));
  shop.sell(70, "T2");
  CHECK(shop.settle(shop.settlement(1, 500)).in_balance());
  redact::Draft settlement = shop.settlement(1, 900);
  settlement.fields.text(Field::currency) = "756";
  const Event event = shop.settle(std::move(settlement));
  CHECK(event.currency() == "CHF");
  CHECK(event.in_balance());
  CHECK(shop.settle(shop.settlement(1, 70, 0, 0, "T2")).in_balance());
}

TEST_CASE("settlement: out of balance the terminal is asked for each transaction, once, and then the batch is closed") {
  Shop shop;
  shop.settle(shop.settlement(0, 0));
  shop.sell(500);
  const int asked = shop.tell(Shop::asking(shop.settlement(2, 800)));
  shop.intake.settle();
  CHECK(shop.answer(asked).settled->in_balance == false);
  CHECK(!shop.answer(asked).settled->closed);
  CHECK(!shop.intake.last().batch_closed());
  CHECK(shop.intake.last().difference_minor() == 300);
  shop.sell(300);
  redact::Draft settlement = Shop::asking(shop.settlement(2, 800));
  settlement.fields.settlement->after_upload = true;
  Event event = shop.settle(std::move(settlement));
  CHECK(event.in_balance());
  CHECK(event.batch_closed());
  CHECK(event.recorded_sales_count() == 2);
  // It is closed after an upload, whatever the comparison says.
  settlement = Shop::asking(shop.settlement(1, 1));
  settlement.fields.settlement->after_upload = true;
  event = shop.settle(std::move(settlement));
  CHECK(!event.in_balance());
  CHECK(event.batch_closed());
}

TEST_CASE("settlement: who does not know the whole batch asks for nothing") {
  const auto closed = [](Shop& shop) { return shop.settle(Shop::asking(shop.settlement(7, 7000))).batch_closed(); };
  SUBCASE("the batch began before this gateway was the host") {
    Shop shop;
    CHECK(closed(shop));
    CHECK(!closed(shop));
  }
  SUBCASE("another host closed the batch before") {
    Shop shop;
    redact::Draft elsewhere = shop.settlement(0, 0);
    elsewhere.fields.settlement->closed_elsewhere = true;
    shop.settle(std::move(elsewhere));
    CHECK(closed(shop));
  }
  SUBCASE("a message of the terminal was rejected") {
    Shop shop;
    shop.settle(shop.settlement(0, 0));
    shop.intake.machine.on_tally_appended(ingest::doubt_of("T1", shop.intake.moment.utc));
    CHECK(closed(shop));
    // In the batch before: this one is known again.
    CHECK(!closed(shop));
  }
  SUBCASE("a message of nobody knows which terminal was rejected") {
    Shop shop;
    shop.settle(shop.settlement(0, 0));
    shop.intake.machine.on_tally_appended(ingest::doubt_of(ingest::any_terminal, shop.intake.moment.utc));
    CHECK(closed(shop));
    CHECK(!closed(shop));
  }
  SUBCASE("a sale's currency is none that anybody knows") {
    Shop shop;
    shop.settle(shop.settlement(0, 0));
    redact::Draft sale = shop.money("sale", 1);
    sale.fields.text(Field::currency) = "191";
    shop.tell(std::move(sale));
    CHECK(closed(shop));
  }
  SUBCASE("a message of another terminal does not matter") {
    Shop shop;
    shop.settle(shop.settlement(0, 0));
    shop.intake.machine.on_tally_appended(ingest::doubt_of("T2", shop.intake.moment.utc));
    CHECK(!closed(shop));
  }
  SUBCASE("nobody can say how much an event has moved") {
    Shop shop;
    shop.settle(shop.settlement(0, 0));
    redact::Draft sale = shop.money("sale", 1);
    sale.fields.number(Field::amount_minor).reset();
    shop.tell(std::move(sale));
    CHECK(closed(shop));
  }
  SUBCASE("the journal was salvaged") {
    Shop shop;
    shop.settle(shop.settlement(0, 0));
    shop.intake.journal.tallies = shop.intake.journal.tallies.salvaged();
    shop.restart();
    CHECK(closed(shop));
  }
}

TEST_CASE("settlement: sums that nobody knows are absent, and the settlement begins them") {
  Shop shop;
  shop.intake.journal.tallies = journal::Tallies(false);
  shop.restart();
  shop.sell(500);
  Event event = shop.settle(shop.settlement(1, 500));
  CHECK(!event.has_recorded_sales_count());
  CHECK(!event.has_in_balance());
  CHECK(!event.has_difference_minor());
  CHECK(event.batch_closed());
  shop.sell(700);
  event = shop.settle(shop.settlement(1, 700));
  CHECK(event.in_balance());
}

TEST_CASE("settlement: what another host has closed is closed, and what it has not goes on") {
  Shop shop;
  shop.sell(500);
  redact::Draft settlement = shop.settlement(1, 500);
  settlement.fields.settlement->closed_elsewhere = false;
  Event event = shop.settle(std::move(settlement));
  CHECK(event.in_balance());
  CHECK(!event.batch_closed());
  settlement = shop.settlement(1, 500);
  settlement.fields.settlement->closed_elsewhere = true;
  event = shop.settle(std::move(settlement));
  CHECK(event.in_balance());
  CHECK(event.batch_closed());
  CHECK(shop.settle(shop.settlement(0, 0)).in_balance());
}

TEST_CASE("settlement: one that nobody answered, and whose repeat another host has answered, is closed by that") {
  Shop shop;
  shop.sell(500);
  const redact::Draft settlement = shop.settlement(1, 500);
  const auto heard = [&](bool closed) {
    redact::Draft copy;
    copy.fields = settlement.fields;
    copy.fields.text(Field::outcome) = closed ? "approved" : "unknown";
    copy.fields.settlement->closed_elsewhere = closed;
    return copy;
  };
  CHECK(!shop.settle(heard(false)).batch_closed());
  const Event event = shop.settle(heard(true));
  CHECK(event.batch_closed());
  CHECK(event.in_balance());
  CHECK(shop.settle(shop.settlement(0, 0)).in_balance());
}

TEST_CASE("settlement: totals that come by other protocols are stored as they are") {
  Intake intake;
  CHECK(
      intake.status(R"({"type":"batch_total","terminal_id":"T1","terminal_ref":"1","occurred_at":"2026-11-24T10:00:00Z",
    "currency":"EUR","sales_count":1,"sales_minor":5})") == 201);
  CHECK(!intake.last().has_batch_closed());
  CHECK(!intake.last().has_recorded_sales_count());
}

TEST_CASE("settlement: one in a currency that nobody knows is stored and closed, without a verdict in any other") {
  Shop shop;
  shop.settle(shop.settlement(0, 0));
  redact::Draft settlement = Shop::asking(shop.settlement(1, 1250));
  settlement.fields.text(Field::currency) = "999";
  const Event event = shop.settle(std::move(settlement));
  CHECK(event.currency().empty());
  CHECK_FALSE(event.has_in_balance());
  CHECK(event.batch_closed());
}
