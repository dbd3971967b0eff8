#include "firmware-gateway/terminal/iso8583/host/host.hpp"

#include <doctest/doctest.h>

#include <array>

#include "tests/unit/firmware-gateway/terminal/iso8583/mapping/messages.hpp"

using iso8583::Host;
using test::FieldValues;
using test::sale;

namespace {

base::Bytes encoded(const std::string& mti, const FieldValues& fields,
                    const iso8583::Dialect& dialect = test::dialect()) {
  iso8583::Composition composition(mti);
  for (const auto& [number, value] : fields) composition.set(number, value);
  auto bytes = iso8583::encode(composition, dialect);
  if (!bytes) FAIL(bytes.error().text());
  return std::move(*bytes);
}

// "0230 3=000000 11=004711 39=00": all of an answer, in the order of its fields.
std::string shown(const base::Bytes& answer, const iso8583::Dialect& dialect = test::dialect()) {
  if (answer.empty()) return "silence";
  const auto message = iso8583::decode(answer, dialect);
  if (!message) return message.error().text();
  std::string text(message->mti());
  for (unsigned number = message->fields().next(0); number != 0; number = message->fields().next(number))
    text += " " + std::to_string(number) + "=" + std::string(message->open(number).value_or("?"));
  return text;
}

terminal::Answer stored() { return terminal::Stored{.event_id = "018f", .epoch = "e", .seq = 1}; }
terminal::Answer refused(redact::Reason reason) {
  return terminal::Refusal{.reason = reason, .field = {}, .message = "x"};
}

// What a message that is stored gets in the end.
std::string stored_answer(const std::string& mti, const FieldValues& fields) {
  const Host host(test::dialect());
  const auto reaction = host.react(encoded(mti, fields));
  const auto* const store = std::get_if<Host::Store>(&reaction);
  REQUIRE(store != nullptr);
  return shown(host.conclude(store->echo, stored()));
}

std::string said(const std::string& mti, const FieldValues& fields) {
  const Host host(test::dialect());
  const auto reaction = host.react(encoded(mti, fields));
  const auto* const say = std::get_if<Host::Say>(&reaction);
  REQUIRE(say != nullptr);
  return shown(say->message);
}

}  // namespace

TEST_CASE("host: an advice that is stored is answered 00, with what the terminal needs to find it again") {
  CHECK(
      stored_answer("0220", sale({{2, "4111111111111111"}, {35, "4111111111111111=2912"}, {52, "0123456789ABCDEF"}})) ==
      "0230 3=000000 4=000000001250 7=1123110901 11=004711 12=120901 13=1123 39=00 41=TERM0001 "
      "42=MERCHANT0000001 49=978");
}

TEST_CASE("host: a repeat gets the first one's answer") {
  CHECK(stored_answer("0221", sale()) == stored_answer("0220", sale()));
  CHECK(stored_answer("0401", sale()) == stored_answer("0400", sale()));
  CHECK(stored_answer("0421", sale()).starts_with("0430 "));
}

TEST_CASE("host: what is stored of each kind of advice") {
  for (const auto* mti : {"0120", "0121", "0220", "0221", "0240", "0320", "0400", "0401", "0420", "0421", "0620"}) {
    CAPTURE(mti);
    CHECK(stored_answer(mti, sale()).find(" 39=00 ") != std::string::npos);
  }
}

TEST_CASE("host: what cannot be stored is never answered 00") {
  const Host host(test::dialect());
  const auto reaction = host.react(encoded("0220", sale()));
  const auto& echo = std::get<Host::Store>(reaction).echo;
  CHECK(shown(host.conclude(echo, refused(redact::Reason::busy))).find(" 39=96 ") != std::string::npos);
  CHECK(shown(host.conclude(echo, refused(redact::Reason::storage))).find(" 39=96 ") != std::string::npos);
  CHECK(shown(host.conclude(echo, refused(redact::Reason::unknown_terminal))).find(" 39=58 ") != std::string::npos);
  CHECK(shown(host.conclude(echo, refused(redact::Reason::invalid_field))).find(" 39=30 ") != std::string::npos);
  CHECK(shown(host.conclude(echo, refused(redact::Reason::card_number_refused))).find(" 39=63 ") != std::string::npos);
}

TEST_CASE("host: how it says that it cannot store is the dialect's to choose") {
  iso8583::Dialect dialect = test::dialect();
  const auto answer = [&] {
    const Host host(dialect);
    const auto reaction = host.react(encoded("0220", sale()));
    return shown(host.conclude(std::get<Host::Store>(reaction).echo, refused(redact::Reason::busy)));
  };
  dialect.answers.cannot_store = iso8583::CannotStore::inoperative;
  CHECK(answer().find(" 39=91 ") != std::string::npos);
  dialect.answers.cannot_store = iso8583::CannotStore::silent;
  CHECK(answer() == "silence");
}

TEST_CASE("host: requests for approval are not ours: 40, or what the dialect says") {
  CHECK(said("0100", sale()).find("0110 ") == 0);
  CHECK(said("0200", sale()).find(" 39=40 ") != std::string::npos);
  iso8583::Dialect dialect = test::dialect();
  dialect.answers.request_code = "58";
  const Host host(dialect);
  const auto reaction = host.react(encoded("0200", sale()));
  CHECK(shown(std::get<Host::Say>(reaction).message).find(" 39=58 ") != std::string::npos);
}

TEST_CASE("host: network management is answered at once, keys are not exchanged") {
  CHECK(said("0800", {{7, "1123110000"}, {11, "000001"}, {70, "301"}}) == "0810 7=1123110000 11=000001 39=00 70=301");
  CHECK(said("0800", {{7, "1123110000"}, {11, "000001"}, {70, "001"}}) == "0810 7=1123110000 11=000001 39=00 70=001");
  CHECK(said("0820", {{7, "1123110000"}, {11, "000001"}, {70, "201"}}) == "0830 7=1123110000 11=000001 39=00 70=201");
  CHECK(said("0800", {{7, "1123110000"}, {11, "000001"}, {70, "101"}}) == "0810 7=1123110000 11=000001 39=40 70=101");
}

TEST_CASE("host: what moves nothing is accepted and not stored") {
  CHECK(said("0220", sale({{3, "310000"}})).find(" 39=00 ") != std::string::npos);
  CHECK(said("0220", sale({{4, "000000000000"}})).find(" 39=00 ") != std::string::npos);
}

TEST_CASE("host: nobody can be answered without MTI, STAN or terminal") {
  const Host host(test::dialect());
  CHECK(std::holds_alternative<Host::HangUp>(host.react(encoded("0220", sale({{41, ""}})))));
  CHECK(std::holds_alternative<Host::HangUp>(host.react(encoded("0220", sale({{11, ""}})))));
  CHECK(std::holds_alternative<Host::HangUp>(host.react(base::BytesView("02"))));
  CHECK(std::holds_alternative<Host::HangUp>(host.react(base::BytesView("hello, world, this is no message"))));
  CHECK(std::holds_alternative<Host::HangUp>(host.react(base::BytesView(""))));
}

TEST_CASE("host: a response that nobody asked for is let pass") {
  const Host host(test::dialect());
  CHECK(std::holds_alternative<Host::Ignore>(host.react(encoded("0230", sale({{39, "00"}})))));
}

TEST_CASE("host: a message that breaks off behind what makes it out is stored as incomplete") {
  const Host host(test::dialect());
  const base::Bytes whole = encoded("0220", sale());
  // Field 49 is the last one: cut within it.
  const auto reaction = host.react(base::BytesView(whole).substr(0, whole.size() - 1));
  const auto* const store = std::get_if<Host::Store>(&reaction);
  REQUIRE(store != nullptr);
  CHECK(store->draft.fields.incomplete == std::vector<std::string>{"iso8583 field 49 and what follows"});
  CHECK(shown(host.conclude(store->echo, stored())).find(" 39=00 ") != std::string::npos);
}

TEST_CASE("host: a message that does not say what it is about is answered 30, and a notice has what could be read") {
  const Host host(test::dialect());
  base::Bytes whole = encoded("0220", sale({{3, ""}, {37, "632711004711"}}));
  const auto reaction = host.react(base::BytesView(whole).substr(0, whole.size() - 1));
  const auto* const reject = std::get_if<Host::Reject>(&reaction);
  REQUIRE(reject != nullptr);
  CHECK(shown(reject->message).find("0230 ") == 0);
  CHECK(shown(reject->message).find(" 39=30 ") != std::string::npos);
  CHECK(reject->shape.at("mti") == "0220");
  CHECK(reject->shape.at("field_11") == "004711");
  CHECK(reject->shape.at("field_37") == "632711004711");
  CHECK(reject->shape.at("field_4") == "000000001250");
  CHECK(reject->shape.at("reason").find("field 49") != std::string::npos);
}

TEST_CASE("host: what cannot be shown stands in a notice in hexadecimal") {
  const Host host(test::dialect());
  const base::Bytes whole = encoded("0220", sale({{3, ""}, {43, "CORNER\x07SHOP" + std::string(29, ' ')}}));
  const auto reaction = host.react(base::BytesView(whole).substr(0, whole.size() - 1));
  const auto* const reject = std::get_if<Host::Reject>(&reaction);
  REQUIRE(reject != nullptr);
  CHECK(reject->shape.at("field_43_hex") == "434f524e45520753484f50");
  CHECK(reject->shape.at("field_41") == "TERM0001");
}

TEST_CASE("host: no answer and no notice holds card data, wherever a message breaks off") {
  const std::string pan = "4111111111111111";
  const Host host(test::dialect());
  const base::Bytes whole = encoded("0220", sale({{2, pan},
                                                  {14, "2912"},
                                                  {35, pan + "=29121010000000000000"},
                                                  {45, "B" + pan + "^DOE/JOHN^2912101"},
                                                  {52, "0123456789ABCDEF"},
                                                  {60, "card " + pan}}));
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const auto reaction = host.react(base::BytesView(whole).substr(0, size));
    std::string all;
    if (const auto* const reject = std::get_if<Host::Reject>(&reaction)) {
      all = shown(reject->message);
      for (const auto& [name, value] : reject->shape) all += " " + value;
    }
    if (const auto* const store = std::get_if<Host::Store>(&reaction)) {
      all = shown(host.conclude(store->echo, stored()));
      for (const auto& name : store->draft.fields.incomplete) all += " " + name;
    }
    CHECK(all.find(pan) == std::string::npos);
    CHECK(all.find("0123456789ABCDEF") == std::string::npos);
    CHECK(all.find("DOE") == std::string::npos);
  }
}

TEST_CASE("host: a card number that wrong lengths have put amid other digits is in no notice") {
  const Host host(test::dialect());
  // No field 3, so that it is rejected.
  const std::string around = "020000471141111111111111110001234567800000";
  base::Bytes whole = encoded("0420", sale({{3, ""}, {90, around}, {100, "123456"}}));
  const auto reaction = host.react(base::BytesView(whole).substr(0, whole.size() - 1));
  const auto* const reject = std::get_if<Host::Reject>(&reaction);
  REQUIRE(reject != nullptr);
  CHECK(reject->shape.at("field_90") == "[card data]");
  CHECK(reject->shape.at("field_4") == "000000001250");
  CHECK(reject->shape.at("fields") == "4 7 11 12 13 41 42 49 90");
}

TEST_CASE(
    "host: no piece of a card number is told, stored or given back that a wrong bitmap or dialect has put into other "
    "fields") {
  const std::string pan = "4929871634512348";
  const std::string behind = "987654321234";
  const FieldValues fields = sale({{2, pan},
                                   {14, "2912"},
                                   {22, "051"},
                                   {25, "00"},
                                   {35, pan + "=2912201" + behind},
                                   {37, "632711004711"},
                                   {48, "NOTE"}});
  const auto is_told = [&](const std::string& text) {
    constexpr std::size_t digits_min = 11;
    for (const std::string& secret : {pan, behind})
      for (std::size_t at = 0; at + digits_min <= secret.size(); ++at)
        if (text.find(secret.substr(at, digits_min)) != std::string::npos) return true;
    return false;
  };
  const auto all_of = [](const Host& host, const Host::Reaction& reaction) {
    std::string all;
    if (const auto* const say = std::get_if<Host::Say>(&reaction)) all += say->message;
    if (const auto* const reject = std::get_if<Host::Reject>(&reaction)) {
      all += reject->message;
      for (const auto& [name, value] : reject->shape) all += " " + value;
    }
    if (const auto* const store = std::get_if<Host::Store>(&reaction)) {
      all += host.conclude(store->echo, stored());
      for (const auto& text : store->draft.fields.texts) all += " " + text;
      for (const auto& [name, value] : store->draft.fields.attributes) all += " " + value;
      for (const auto& number : store->draft.fields.numbers) all += " " + std::to_string(number.value_or(0));
    }
    return all;
  };
  constexpr std::array names = {"iso87-ascii", "iso87-ascii-binary-bitmap", "iso87-bcd", "bcd-ebcdic",
                                "mastercard-ebcdic"};
  for (const std::string name : names) {
    const iso8583::Dialect& dialect = test::dialect(name);
    const Host host(dialect);
    for (const std::string other : names)
      CHECK_FALSE(is_told(all_of(host, host.react(encoded("0220", fields, test::dialect(other))))));
    const base::Bytes whole = encoded("0220", fields, dialect);
    const std::size_t begin = dialect.mti == nullptr ? 2 : 4;
    for (unsigned bit = 0; bit < 64; ++bit) {
      base::Bytes bytes = whole;
      if (dialect.bitmap == nullptr) {
        bytes[begin + bit / 8] = static_cast<char>(bytes[begin + bit / 8] ^ (0x80U >> bit % 8));
      } else {
        char& digit = bytes[begin + bit / 4];
        const unsigned value = static_cast<unsigned>(std::stoi(std::string(1, digit), nullptr, 16)) ^ (8U >> bit % 4);
        digit = "0123456789ABCDEF"[value];
      }
      CAPTURE(name);
      CAPTURE(bit + 1);
      CHECK_FALSE(is_told(all_of(host, host.react(bytes))));
    }
  }
}

TEST_CASE("host: in 1993 the answer's code has three digits") {
  const auto& dialect = test::dialect("iso93-ascii");
  const Host host(dialect);
  const FieldValues fields{{3, "000000"}, {4, "000000001250"}, {11, "004711"}, {12, "261123120930"},
                           {24, "200"},   {41, "TERM0001"},    {49, "978"}};
  const auto financial = host.react(encoded("1220", fields, dialect));
  CHECK(shown(host.conclude(std::get<Host::Store>(financial).echo, stored()), dialect).find("1230 ") == 0);
  CHECK(shown(host.conclude(std::get<Host::Store>(financial).echo, stored()), dialect).find(" 39=000 ") !=
        std::string::npos);
  const auto reversal = host.react(encoded("1420", fields, dialect));
  CHECK(shown(host.conclude(std::get<Host::Store>(reversal).echo, stored()), dialect).find(" 39=400 ") !=
        std::string::npos);
}

namespace {

FieldValues settlement(const FieldValues& more = {}) {
  FieldValues fields{{3, "920000"},    {7, "1123220000"},  {11, "004800"},
                     {41, "TERM0001"}, {76, "0000000001"}, {88, "0000000000001250"}};
  for (const auto& [number, value] : more) fields[number] = value;
  return fields;
}

std::string settled_answer(const std::string& mti, std::optional<bool> in_balance, bool closed,
                           const iso8583::Dialect& dialect = test::dialect(), const FieldValues& more = {}) {
  const Host host(dialect);
  const auto reaction = host.react(encoded(mti, settlement(more), dialect));
  const auto* const store = std::get_if<Host::Store>(&reaction);
  REQUIRE(store != nullptr);
  const terminal::Answer answer =
      terminal::Stored{.event_id = "018f",
                       .epoch = "e",
                       .seq = 1,
                       .settled = terminal::Settled{.in_balance = in_balance, .closed = closed}};
  return shown(host.conclude(store->echo, answer), dialect);
}

}  // namespace

TEST_CASE("host: a settlement is accepted, and field 66 says how it compares") {
  const std::string rest = " 3=920000 7=1123220000 11=004800 39=00 41=TERM0001 66=";
  CHECK(settled_answer("0500", true, true) == "0510" + rest + "1");
  CHECK(settled_answer("0500", false, true) == "0510" + rest + "2");
  CHECK(settled_answer("0500", std::nullopt, true) == "0510" + rest + "3");
  CHECK(settled_answer("0520", true, true) == "0530" + rest + "1");
  CHECK(settled_answer("0521", true, true) == settled_answer("0520", true, true));
}

TEST_CASE("host: a settlement that is not closed is answered 95, or as the dialect says") {
  iso8583::Dialect dialect = test::dialect();
  CHECK(settled_answer("0500", false, false).find(" 39=95 ") != std::string::npos);
  dialect.answers.out_of_balance = "97";
  CHECK(settled_answer("0500", false, false, dialect).find(" 39=97 ") != std::string::npos);
  const Host host(dialect);
  const auto reaction = host.react(encoded("0500", settlement()));
  CHECK(std::get<Host::Store>(reaction).draft.fields.settlement->may_ask_upload);
}

TEST_CASE("host: in 1993 a settlement gets action codes, and no field 66") {
  const iso8583::Dialect& dialect = test::dialect("iso93-ascii");
  const auto answer = [&](bool in_balance, bool closed) {
    const Host host(dialect);
    const auto reaction = host.react(
        encoded("1520", {{7, "1123220000"}, {11, "004800"}, {41, "TERM0001"}, {88, "0000000000001250"}}, dialect));
    const auto& echo = std::get<Host::Store>(reaction).echo;
    return shown(
        host.conclude(echo, terminal::Stored{.event_id = "018f",
                                             .epoch = "e",
                                             .seq = 1,
                                             .settled = terminal::Settled{.in_balance = in_balance, .closed = closed}}),
        dialect);
  };
  CHECK(answer(true, true) == "1530 7=1123220000 11=004800 39=500 41=TERM0001");
  CHECK(answer(false, false) == "1530 7=1123220000 11=004800 39=501 41=TERM0001");
}

TEST_CASE("host: a terminal that says its totals in field 63 gets no second bitmap") {
  const iso8583::Dialect& dialect = test::dialect("pos-bcd");
  const Host host(dialect);
  const auto reaction = host.react(encoded(
      "0500", {{3, "960000"}, {11, "000042"}, {41, "60060060"}, {60, "000001"}, {63, "001000000050000"}}, dialect));
  const auto* const store = std::get_if<Host::Store>(&reaction);
  REQUIRE(store != nullptr);
  CHECK(store->draft.fields.number(redact::Field::sales_minor) == 50'000);
  CHECK(shown(host.conclude(
                  store->echo,
                  terminal::Stored{
                      .event_id = "018f", .epoch = "e", .seq = 1, .settled = terminal::Settled{.in_balance = true}}),
              dialect) == "0510 3=960000 11=000042 39=00 41=60060060");
}

TEST_CASE("host: a settlement that breaks off is kept without a verdict when it has said a total, else rejected") {
  const Host host(test::dialect());
  const base::Bytes whole = encoded("0500", settlement());
  auto reaction = host.react(base::BytesView(whole).substr(0, whole.size() - 1));
  const auto* const store = std::get_if<Host::Store>(&reaction);
  REQUIRE(store != nullptr);
  CHECK_FALSE(store->draft.fields.settlement->readable);
  CHECK(store->draft.fields.number(redact::Field::sales_count) == 1);
  reaction = host.react(base::BytesView(whole).substr(0, whole.size() - 17));
  const auto* const reject = std::get_if<Host::Reject>(&reaction);
  REQUIRE(reject != nullptr);
  CHECK(shown(reject->message).find(" 39=30 ") != std::string::npos);
}
