#include "firmware-gateway/tap/observer.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/unit/firmware-gateway/terminal/iso8583/mapping/messages.hpp"

namespace {

using namespace std::chrono_literals;
using redact::Field;
using tap::Direction;
using tap::Observer;
using test::FieldValues;
using test::sale;

std::shared_ptr<const iso8583::Dialect> dialect() {
  return std::make_shared<const iso8583::Dialect>(test::dialect("iso87-ascii"));
}

base::Bytes framed(const std::string& mti, const FieldValues& fields) {
  iso8583::Composition composition(mti);
  for (const auto& [number, value] : fields) composition.set(number, value);
  const auto bytes = iso8583::encode(composition, test::dialect());
  if (!bytes) FAIL(bytes.error().text());
  return iso8583::frame(test::dialect().framing, "", *bytes);
}

// 2026-11-24 10:00:00 UTC, and so much later.
base::Now at(std::chrono::milliseconds since) {
  return {.instant = base::Instant(since), .utc = base::UtcTime(1'795'514'400s + since)};
}

std::optional<redact::Draft> take_draft(Observer& observer) {
  auto finding = observer.take();
  if (!finding) return std::nullopt;
  return std::move(std::get<redact::Draft>(*finding));
}

std::optional<terminal::Shape> take_shape(Observer& observer) {
  auto finding = observer.take();
  if (!finding) return std::nullopt;
  return std::get<terminal::Shape>(*finding);
}

// What has come out, one after the other: "STAN type outcome response_code", or "unread" and why.
std::vector<std::string> told(Observer& observer) {
  std::vector<std::string> all;
  while (auto finding = observer.take()) {
    if (const auto* const shape = std::get_if<terminal::Shape>(&*finding)) {
      all.push_back("unread " + shape->at("reason").substr(0, 20));
      continue;
    }
    const auto& fields = std::get<redact::Draft>(*finding).fields;
    all.push_back(fields.text(Field::stan) + " " + fields.text(Field::type) + " " + fields.text(Field::outcome) + " " +
                  fields.text(Field::response_code));
  }
  return all;
}

using Told = std::vector<std::string>;

void ask(Observer& observer, const std::string& mti, const FieldValues& fields, std::chrono::milliseconds when = 0s,
         tap::Connection connection = 1) {
  observer.on_bytes(connection, Direction::from_terminal, framed(mti, fields), at(when));
}

void reply(Observer& observer, const std::string& mti, const FieldValues& fields, std::chrono::milliseconds when = 0s,
           tap::Connection connection = 1) {
  observer.on_bytes(connection, Direction::from_host, framed(mti, fields), at(when));
}

FieldValues with(FieldValues fields, const std::string& code) {
  fields[39] = code;
  return fields;
}

}  // namespace

TEST_CASE("observer: a request and its answer are one event, with the host's outcome") {
  Observer observer(dialect(), 60s);
  ask(observer, "0200", sale({{2, "4111111111111111"}}));
  CHECK(told(observer).empty());
  reply(observer, "0210", with(sale(), "51"));
  auto draft = take_draft(observer);
  REQUIRE(draft);
  CHECK(draft->fields.text(Field::outcome) == "declined");
  CHECK(draft->fields.text(Field::response_code) == "51");
  CHECK(draft->card_number.view() == "4111111111111111");
  CHECK(draft->fields.source == redact::Source::iso8583);
  CHECK(draft->fields.on_conflict == redact::OnConflict::store);
  CHECK(observer.counts().answered == 1);
}

TEST_CASE("observer: pieces of any size make the same") {
  const base::Bytes asked = framed("0200", sale()) + framed("0200", sale({{11, "004712"}}));
  const base::Bytes answers = framed("0210", with(sale({{11, "004712"}}), "00")) + framed("0210", with(sale(), "05"));
  for (const std::size_t step : {1UL, 2UL, 7UL, 100UL, 1000UL}) {
    Observer observer(dialect(), 60s);
    const auto feed = [&](const base::Bytes& bytes, Direction direction) {
      for (std::size_t from = 0; from < bytes.size(); from += step)
        observer.on_bytes(1, direction, base::BytesView(bytes).substr(from, step), at(0s));
    };
    feed(asked, Direction::from_terminal);
    feed(answers, Direction::from_host);
    CHECK(told(observer) == Told{"004712 sale approved 00", "004711 sale declined 05"});
  }
}

TEST_CASE("observer: without an answer in the host's time nobody knows the outcome; an advice has happened") {
  Observer observer(dialect(), 60s);
  ask(observer, "0200", sale());
  ask(observer, "0220", with(sale({{11, "004712"}}), "00"), 1s);
  CHECK(observer.wakeup_at() == at(60s).instant);
  observer.on_time(at(59'999ms).instant);
  CHECK(told(observer).empty());
  observer.on_time(at(60s).instant);
  CHECK(told(observer) == Told{"004711 sale unknown "});
  observer.on_time(at(61s).instant);
  CHECK(told(observer) == Told{"004712 sale approved 00"});
  CHECK(observer.counts().unanswered == 2);
  CHECK_FALSE(observer.wakeup_at());
  reply(observer, "0210", with(sale(), "00"), 62s);
  CHECK(told(observer).empty());
  CHECK(observer.counts().unasked == 1);
}

TEST_CASE("observer: an answer that differs from the open request with its STAN is nobody's, and that is said") {
  Observer observer(dialect(), 60s);
  ask(observer, "0200", sale());
  reply(observer, "0210", with(sale({{12, "120905"}}), "00"));
  CHECK(told(observer).empty());
  CHECK(observer.counts().mismatched == 1);
  CHECK(observer.counts().unasked == 0);
  const std::string trouble = observer.take_trouble().value_or("");
  CHECK(trouble.find("field 12") != std::string::npos);
  CHECK(trouble.find("host_sets") != std::string::npos);
  CHECK(trouble.find("120905") == std::string::npos);
  observer.on_time(at(60s).instant);
  CHECK(told(observer) == Told{"004711 sale unknown "});

  Observer lenient(dialect(), 60s, {}, {"12"});
  ask(lenient, "0200", sale());
  reply(lenient, "0210", with(sale({{12, "120905"}}), "00"));
  CHECK(told(lenient) == Told{"004711 sale approved 00"});
}

TEST_CASE("observer: a repeat that is answered after the first was given up is told with its outcome") {
  Observer observer(dialect(), 60s);
  ask(observer, "0200", sale());
  observer.on_time(at(60s).instant);
  ask(observer, "0201", sale(), 61s);
  reply(observer, "0210", with(sale(), "00"), 62s);
  CHECK(told(observer) == Told{"004711 sale unknown ", "004711 sale approved 00"});
}

TEST_CASE("observer: a request that its terminal reverses is told before the reversal, though its time is not over") {
  Observer observer(dialect(), 60s);
  ask(observer, "0200", sale());
  ask(observer, "0400", sale(), 30s);
  reply(observer, "0410", with(sale(), "00"), 31s);
  CHECK(told(observer) == Told{"004711 sale unknown ", "004711 reversal approved 00"});
  CHECK(observer.counts().unanswered == 1);
  reply(observer, "0210", with(sale(), "00"), 32s);
  CHECK(told(observer).empty());
  CHECK(observer.counts().unasked == 1);
}

TEST_CASE("observer: a connection that ends leaves its requests unknown, once") {
  Observer observer(dialect(), 60s);
  ask(observer, "0200", sale());
  observer.on_closed(1);
  CHECK(told(observer) == Told{"004711 sale unknown "});
  observer.on_time(at(1h).instant);
  observer.on_stop();
  CHECK(told(observer).empty());
}

TEST_CASE("observer: what is open when the tap stops is told") {
  Observer observer(dialect(), 60s);
  ask(observer, "0200", sale());
  observer.on_stop();
  CHECK(told(observer) == Told{"004711 sale unknown "});
}

TEST_CASE("observer: a notification is told at once, as nobody answers it") {
  Observer observer(dialect(), 60s);
  ask(observer, "0240", with(sale(), "00"));
  CHECK(told(observer) == Told{"004711 sale approved 00"});
}

TEST_CASE("observer: network management, inquiries and what goes the wrong way make nothing") {
  Observer observer(dialect(), 60s);
  ask(observer, "0800", {{7, "1123110901"}, {11, "000001"}, {70, "301"}});
  reply(observer, "0810", {{7, "1123110901"}, {11, "000001"}, {39, "00"}, {70, "301"}});
  CHECK(observer.open_requests() == 0);
  ask(observer, "0200", sale({{3, "310000"}}));
  reply(observer, "0210", with(sale({{3, "310000"}}), "00"));
  CHECK(observer.counts().no_event == 3);
  ask(observer, "0210", with(sale(), "00"));
  reply(observer, "0200", sale());
  CHECK(observer.counts().wrong_direction == 2);
  observer.on_stop();
  CHECK(told(observer).empty());
}

TEST_CASE("observer: a message that cannot be read is counted, and the next one is read") {
  Observer observer(dialect(), 60s);
  base::Bytes broken = framed("0200", sale());
  broken[2 + 4] = 'x';  // behind the length and the MTI: no bitmap
  observer.on_bytes(1, Direction::from_terminal, broken, at(0s));
  CHECK(observer.counts().unreadable == 1);
  const std::string trouble = observer.take_trouble().value_or("");
  CHECK(trouble.find("bitmap") != std::string::npos);
  CHECK_FALSE(observer.take_trouble());
  ask(observer, "0200", sale());
  reply(observer, "0210", with(sale(), "00"));
  CHECK(told(observer) == Told{"unread " + trouble.substr(0, 20), "004711 sale approved 00"});
}

TEST_CASE("observer: where frames are lost, or bytes are missing, that connection is read no further, and only that") {
  Observer observer(dialect(), 60s);
  ask(observer, "0200", sale({{11, "000001"}}), 0s, 1);
  ask(observer, "0200", sale({{11, "000002"}}), 0s, 2);
  ask(observer, "0200", sale({{11, "000003"}}), 0s, 3);
  observer.on_bytes(1, Direction::from_host, base::Bytes(10, '\xFF'), at(0s));
  observer.on_gap(2, at(0s));
  CHECK(told(observer) == Told{"000001 sale unknown ", "unread a frame is none of t", "000002 sale unknown ",
                               "unread parts of what a conn"});
  CHECK(observer.counts().framing_lost == 1);
  CHECK(observer.counts().incomplete == 1);
  for (const tap::Connection connection : {1, 2, 3}) {
    ask(observer, "0200", sale({{11, "000009"}}), 0s, connection);
    reply(observer, "0210", with(sale({{11, "000009"}}), "00"), 0s, connection);
  }
  CHECK(told(observer) == Told{"000009 sale approved 00"});
}

TEST_CASE("observer: more open requests than there is room for: the oldest is told as unknown, and counted") {
  Observer observer(dialect(), 60s, {.requests_max = 1, .bytes_max = 100'000});
  ask(observer, "0200", sale({{11, "000001"}}));
  ask(observer, "0200", sale({{11, "000002"}}));
  CHECK(told(observer) == Told{"000001 sale unknown "});
  CHECK(observer.counts().given_up == 1);
}

TEST_CASE("observer: where the message has no time, the moment at which it went through is the event's") {
  Observer observer(dialect(), 60s);
  ask(observer, "0200", sale({{7, ""}, {12, ""}, {13, ""}}), 1500ms);
  observer.on_time(at(2min).instant);
  const auto draft = take_draft(observer);
  REQUIRE(draft);
  REQUIRE(draft->fields.written_utc);
  const auto& time = *draft->fields.written_utc;
  CHECK(time.year_of_century == 26);
  CHECK(std::vector<int>{time.month, time.day, time.hour, time.minute, time.second} == std::vector{11, 24, 10, 0, 1});
  CHECK(draft->fields.incomplete == std::vector<std::string>{"occurred_at"});
}

TEST_CASE("observer: a connection that begins with TLS is not read, in pieces of any size") {
  const base::Bytes hello = *base::from_hex("160301020001000001fc0303");
  for (const std::size_t step : {1UL, 3UL, 6UL, 12UL}) {
    Observer observer(dialect(), 60s);
    for (std::size_t from = 0; from < hello.size(); from += step)
      observer.on_bytes(1, Direction::from_terminal, base::BytesView(hello).substr(from, step), at(0s));
    observer.on_bytes(1, Direction::from_host, hello, at(0s));
    CHECK(observer.counts().unread == 1);
    CHECK(observer.counts().framing_lost == 0);
    CHECK(observer.take_trouble().value_or("").find("TLS") != std::string::npos);
  }
}

TEST_CASE("observer: a message of another dialect makes no event, though it can be read whole") {
  // Of iso87-ascii, whose field 39 is a character shorter, and with a wrong bitmap: the number lies in 42, too.
  const std::string message =
      "0320723CD28020C8100016467170862828773000000000000000435711231109012985491209011123281200344671708628"
      "287730=28129042772237657L6942682MERCHANT000000147B4671708628287730^DOE/JOHN^2812101904277223765739A6"
      "99FD23B4DD21";
  const iso8583::Dialect& other = test::dialect("iso93-ascii");
  REQUIRE(iso8583::decode(message, other));
  Observer observer(std::make_shared<const iso8583::Dialect>(other), 60s);
  observer.on_bytes(1, Direction::from_terminal, iso8583::frame(other.framing, "", message), at(0s));
  observer.on_stop();
  CHECK(observer.counts().unreadable == 1);
  const auto shape = take_shape(observer);
  REQUIRE(shape);
  CHECK(shape->at("mti") == "0320");
  CHECK_FALSE(shape->contains("field_11"));
  CHECK_FALSE(observer.take());
}

TEST_CASE("observer: a request that breaks off behind what makes it out is an event, with what is missing named") {
  const base::Bytes whole = framed("0200", sale({{42, "MERCHANT0000001"}}));
  Observer observer(dialect(), 60s);
  const base::Bytes cut = whole.substr(2, whole.size() - 2 - 2);
  observer.on_bytes(1, Direction::from_terminal, iso8583::frame(test::dialect().framing, "", cut), at(0s));
  reply(observer, "0210", with(sale(), "00"));
  const auto draft = take_draft(observer);
  REQUIRE(draft);
  CHECK(draft->fields.text(Field::outcome) == "approved");
  CHECK(draft->fields.incomplete == std::vector<std::string>{"iso8583 field 49 and what follows"});
  CHECK(observer.counts().unreadable == 0);
}

TEST_CASE("observer: an answer that breaks off behind the host's word is that word") {
  const base::Bytes whole = framed("0210", with(sale({{60, "PRIVATE"}}), "05"));
  Observer observer(dialect(), 60s);
  ask(observer, "0200", sale());
  const base::Bytes cut = whole.substr(2, whole.size() - 2 - 4);
  observer.on_bytes(1, Direction::from_host, iso8583::frame(test::dialect().framing, "", cut), at(0s));
  const auto draft = take_draft(observer);
  REQUIRE(draft);
  CHECK(draft->fields.text(Field::outcome) == "declined");
  CHECK(draft->fields.incomplete == std::vector<std::string>{"iso8583 answer: field 60 and what follows"});
}

TEST_CASE("observer: what breaks off before anything makes it out is told with what could be read, in its place") {
  Observer observer(dialect(), 60s);
  ask(observer, "0220", with(sale({{11, "000001"}}), "00"));
  reply(observer, "0230", with(sale({{11, "000001"}}), "00"));
  const base::Bytes whole = framed("0220", sale({{37, "632700004711"}, {41, ""}, {42, ""}}));
  const base::Bytes cut = whole.substr(2, whole.size() - 2 - 2);
  observer.on_bytes(1, Direction::from_terminal, iso8583::frame(test::dialect().framing, "", cut), at(0s));
  CHECK(take_draft(observer));
  const auto shape = take_shape(observer);
  REQUIRE(shape);
  CHECK(shape->at("mti") == "0220");
  CHECK(shape->at("field_11") == "004711");
  CHECK(shape->at("field_37") == "632700004711");
  CHECK(shape->at("field_4") == "000000001250");
  CHECK_FALSE(shape->contains("field_2"));
  CHECK(shape->at("reason").find("field 49") != std::string::npos);
  CHECK(observer.counts().unreadable == 1);
}
