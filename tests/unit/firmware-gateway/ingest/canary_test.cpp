// Well-known card numbers, in every field and every spelling, over the whole way from the bytes to the record and the
// answer.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "firmware-gateway/terminal/framed.hpp"
#include "proto/wire/framed.pb.h"
#include "tests/unit/firmware-gateway/ingest/intake.hpp"
#include "tests/unit/firmware-gateway/redact/test_cards.hpp"

using ingest_test::Intake;
using ingest_test::sale;

namespace {

// Whether the number can still be read, whole or cut into pieces by anything but digits.
bool shows(std::string_view text, std::string_view number) {
  return redact_test::digits_of(text).find(number) != std::string::npos || text.find(number) != std::string_view::npos;
}

// Every text of a record, one after the other, and not its numbers, whose digits could come together by chance.
std::vector<std::string> texts_of(const tillstream::v1::Event& event) {
  std::vector<std::string> texts{event.type(),
                                 event.terminal_id(),
                                 event.terminal_ref(),
                                 event.merchant_id(),
                                 event.merchant_name(),
                                 event.merchant_city(),
                                 event.mcc(),
                                 event.till_id(),
                                 event.operator_id(),
                                 event.batch_no(),
                                 event.currency(),
                                 event.outcome(),
                                 event.authorized_by(),
                                 event.card_last4(),
                                 event.card_brand(),
                                 event.card_token(),
                                 event.card_token_key(),
                                 event.card_par(),
                                 event.entry_mode(),
                                 event.cvm(),
                                 event.emv_aid(),
                                 event.response_code(),
                                 event.auth_code(),
                                 event.rrn(),
                                 event.stan(),
                                 event.original_ref(),
                                 event.original_terminal_id(),
                                 event.original_type(),
                                 event.reason(),
                                 event.business_date(),
                                 event.business_key()};
  for (const auto& [name, value] : event.attributes()) {
    texts.push_back(name);
    texts.push_back(value);
  }
  return texts;
}

void check_hidden(const Intake& intake, const terminal::Answer& answer, std::string_view number) {
  CHECK_FALSE(shows(terminal::to_json(answer), number));
  CHECK_FALSE(shows(terminal::to_frame(answer), number));
  for (std::size_t row = 1; row <= intake.journal.rows.size(); ++row) {
    CHECK(intake.journal.rows[row - 1].record.find(number) == std::string::npos);
    for (const std::string& text : texts_of(intake.record(row))) CHECK_FALSE_MESSAGE(shows(text, number), text);
  }
}

void check_field(const std::string& field, const std::string& value, std::string_view number) {
  CAPTURE(field);
  CAPTURE(value);
  Intake intake;
  check_hidden(intake, intake.answer(sale({{field, value}})), number);
}

// The scanner's own test has every card in every spelling; here one card of each length takes the whole way in all of
// them, the others as they are printed.
std::vector<std::string> spellings(std::string_view number) {
  auto all = redact_test::spellings(number);
  const bool thorough = number == "4111111111111111" || number == "378282246310005" || number == "30569309025904";
  if (!thorough) all.resize(2);
  return all;
}

}  // namespace

TEST_CASE("canary: no card number in any text field, in any spelling, reaches a record or an answer") {
  for (const auto& card : redact_test::cards)
    for (const std::string& spelling : spellings(card.number))
      for (std::size_t i = 0; i < redact::text_count; ++i)
        check_field(std::string(redact::name_of(redact::text_at(i))), "\"" + spelling + "\"", card.number);
}

TEST_CASE("canary: nor in card_number, attributes, unknown fields, or as a number") {
  for (const auto& card : redact_test::cards) {
    for (const std::string& spelling : spellings(card.number)) {
      check_field("card_number", "\"" + spelling + "\"", card.number);
      check_field("attributes", "{\"note\":\"" + spelling + "\"}", card.number);
      check_field("attributes", "{\"" + spelling + "\":\"note\"}", card.number);
      check_field("attributes", "{\"a\":{\"" + spelling + "\":1}}", card.number);
      check_field(spelling, "\"x\"", card.number);
    }
    const std::string digits(card.number);
    for (const std::string& number : {digits, digits + ".0", "-" + digits, digits + "e3"}) {
      for (std::size_t i = 0; i < redact::number_count; ++i)
        check_field(std::string(redact::name_of(redact::number_at(i))), number, card.number);
      check_field("terminal_ref", number, card.number);
    }
  }
}

TEST_CASE("canary: nor track data in free text, whole or in part") {
  for (const auto& card : redact_test::cards) {
    const std::string digits(card.number);
    for (const std::string& track : {"%B" + digits + "^DOE/JANE^25121011234567?", ";" + digits + "=25121011234567?",
                                     digits + "=25121011234567", digits + "D25121011234567"}) {
      Intake intake;
      const auto answer = intake.answer(
          sale({{"attributes", "{\"t\":\"" + track + "\"}"}, {"operator_id", "\"" + track.substr(0, 64) + "\""}}));
      check_hidden(intake, answer, card.number);
      for (const std::string& text : texts_of(intake.last())) {
        CHECK(text.find("2512101") == std::string::npos);
        CHECK(text.find("DOE") == std::string::npos);
      }
    }
  }
}

TEST_CASE("canary: nor over the framed protocol") {
  for (const auto& card : redact_test::cards) {
    tillstream::v1::Submit submit;
    submit.set_type("sale");
    submit.set_terminal_id("T1");
    submit.set_terminal_ref("ref " + std::string(card.number));
    submit.set_occurred_at("2026-11-24T21:23:51Z");
    submit.set_amount_minor(1);
    submit.set_outcome("approved");
    submit.set_card_number(std::string(card.number));
    submit.set_merchant_name("shop " + std::string(card.number));
    (*submit.mutable_attributes())[std::string(card.number)] = std::string(card.number);
    auto draft = terminal::read_submit(submit.SerializeAsString());
    REQUIRE(draft);
    Intake intake;
    auto cleared = intake.guard.clear(std::move(*draft), {});
    REQUIRE(cleared);
    intake.machine.submit(*cleared, ingest::Ticket(1), intake.moment);
    intake.settle();
    REQUIRE(intake.journal.rows.size() == 1);
    check_hidden(intake, intake.answers.at(ingest::Ticket(1)), card.number);
    CHECK(intake.last().card_last4() == card.number.substr(card.number.size() - 4));
    CHECK(intake.last().card_brand() == card.brand);
    CHECK(intake.last().card_token().size() == 26);
    CHECK(intake.last().source() == "framed");
  }
}

TEST_CASE("canary: a card's token is the same wherever the card is used, and another for another card") {
  std::set<std::string> tokens;
  for (const auto& card : redact_test::cards) {
    Intake intake;
    const std::string digits(card.number);
    intake.answer(sale({{"card_number", "\"" + digits + "\""}}));
    intake.answer(
        sale({{"terminal_ref", "\"2\""}, {"card_number", "\"" + digits.substr(0, 4) + " " + digits.substr(4) + "\""}}));
    CHECK(intake.record(1).card_token() == intake.record(2).card_token());
    tokens.insert(intake.record(1).card_token());
  }
  CHECK(tokens.size() == redact_test::cards.size());
}
