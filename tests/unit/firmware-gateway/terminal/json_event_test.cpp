#include "firmware-gateway/terminal/json_event.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using redact::Field;
using terminal::read_json_event;
using terminal::Reason;

namespace {

terminal::Refusal refused(std::string_view json) {
  const auto result = read_json_event(json);
  REQUIRE_FALSE_MESSAGE(result, json);
  return result.error();
}

}  // namespace

TEST_CASE("json: every known field is read, each into its own place") {
  std::string json = "{";
  for (std::size_t i = 0; i < redact::text_count; ++i)
    json += "\"" + std::string(redact::name_of(redact::text_at(i))) + "\":\"text " + std::to_string(i) + "\",";
  for (std::size_t i = 0; i < redact::number_count; ++i)
    json += "\"" + std::string(redact::name_of(redact::number_at(i))) + "\":" + std::to_string(100 + i) + ",";
  json += R"("card_number":"4111111111111111","attributes":{"table":"12","n\u00f6te":"\u20ac"}})";
  const auto draft = read_json_event(json);
  REQUIRE(draft);
  for (std::size_t i = 0; i < redact::text_count; ++i) CHECK(draft->fields.texts[i] == "text " + std::to_string(i));
  for (std::size_t i = 0; i < redact::number_count; ++i)
    CHECK(draft->fields.numbers[i] == static_cast<std::int64_t>(100 + i));
  CHECK(draft->card_number.view() == "4111111111111111");
  CHECK(draft->fields.attributes.at("table") == "12");
  CHECK(draft->fields.attributes.at("nöte") == "€");
  CHECK(draft->fields.source == redact::Source::http);
}

TEST_CASE("json: integers are read exactly, to the last of 64 bits") {
  CHECK(read_json_event(R"({"amount_minor":9007199254740993})")->fields.number(Field::amount_minor) ==
        9007199254740993);
  CHECK(read_json_event(R"({"amount_minor":9223372036854775807})")->fields.number(Field::amount_minor) == INT64_MAX);
  CHECK(read_json_event(R"({"amount_minor":-1})")->fields.number(Field::amount_minor) == -1);
  CHECK(read_json_event(R"({"amount_minor":0})")->fields.number(Field::amount_minor) == 0);
}

TEST_CASE("json: what cannot be read as JSON is invalid_json, and wins over whatever else is wrong") {
  for (const std::string& json : std::vector<std::string>{"",
                                                          " ",
                                                          "{",
                                                          "}",
                                                          "{\"type\"",
                                                          "{\"type\":}",
                                                          "{\"type\":\"sale\",}",
                                                          "{'type':'sale'}",
                                                          "{type:\"sale\"}",
                                                          "{\"type\":\"sale\"} x",
                                                          "{\"type\":\"sale\"}{}",
                                                          "{\"type\":\"a\nb\"}",
                                                          "{\"type\":\"\x01\"}",
                                                          "{\"type\":\"\\x\"}",
                                                          "{\"type\":\"\\ud800\"}",
                                                          "{\"type\":\"\xff\"}",
                                                          "{\"type\":\"\xc0\x80\"}",
                                                          "\xEF\xBB\xBF{}",
                                                          "{\"amount_minor\":01}",
                                                          "{\"amount_minor\":+1}",
                                                          "{\"amount_minor\":.5}",
                                                          "{\"amount_minor\":1.}",
                                                          "{\"amount_minor\":NaN}",
                                                          "{/**/}",
                                                          "nul",
                                                          "{\"unknown\":1,",
                                                          "{\"type\":5,",
                                                          "[]",
                                                          "5",
                                                          "\"text\"",
                                                          "null",
                                                          "[{\"type\":\"sale\"}]",
                                                          std::string("{}\0", 3),
                                                          "{\"attributes\":" + std::string(200, '{'),
                                                          std::string(1000, '['),
                                                          "{\"amount_minor\":1e999999999999999999}"}) {
    CAPTURE(json);
    const auto refusal = refused(json);
    CHECK(refusal.reason == Reason::invalid_json);
    CHECK(redact::status_of(refusal.reason) == 400);
  }
}

TEST_CASE("json: blanks around it are no trailing bytes") { CHECK(read_json_event(" \r\n\t{\"type\":\"sale\"}\n ")); }

TEST_CASE("json: a value of another type is told by its field") {
  const std::vector<std::string> not_text{"5", "1.5", "true", "null", "{}", "[]", "[\"a\"]", "{\"a\":\"b\"}", "[[[]]]"};
  const std::vector<std::string> not_integer{"\"12\"", "1e2", "1.0", "12.5", "true", "null", "{}", "[1]", "\"\""};
  const std::vector<std::string> not_attributes{"\"a\"",
                                                "5",
                                                "null",
                                                "[]",
                                                "{\"a\":1}",
                                                "{\"a\":null}",
                                                "{\"a\":{}}",
                                                "{\"a\":[\"b\"]}",
                                                "{\"a\":{\"b\":\"c\"}}"};
  const auto check = [](const char* field, const std::vector<std::string>& values) {
    for (const std::string& value : values) {
      const std::string json = std::string("{\"") + field + "\":" + value + "}";
      CAPTURE(json);
      const auto refusal = refused(json);
      CHECK(refusal.reason == Reason::invalid_field);
      CHECK(refusal.field == field);
    }
  };
  check("currency", not_text);
  check("card_number", not_text);
  check("amount_minor", not_integer);
  check("attributes", not_attributes);
}

TEST_CASE("json: integers beyond 64 bits are out of range, not of another type") {
  for (const char* number : {"9223372036854775808", "18446744073709551616", "-9223372036854775809",
                             "99999999999999999999999999999999999999999999999999"}) {
    const auto refusal = refused("{\"tip_minor\":" + std::string(number) + "}");
    CHECK(refusal.reason == Reason::invalid_field);
    CHECK(refusal.field == "tip_minor");
    CHECK(refusal.message == "is out of range");
  }
}

TEST_CASE("json: a field or an attribute given twice is refused, however it is spelled") {
  CHECK(refused(R"({"type":"sale","type":"sale"})").field == "type");
  CHECK(refused(R"({"type":"sale","\u0074ype":"refund"})").field == "type");
  CHECK(refused(R"({"amount_minor":1,"amount_minor":1})").field == "amount_minor");
  CHECK(refused(R"({"attributes":{},"attributes":{}})").field == "attributes");
  CHECK(refused(R"({"attributes":{"a":"1","a":"1"}})").field == "attributes");
}

TEST_CASE("json: an unknown field is refused by naming the nearest known one, and itself where it can be no value") {
  const auto near = refused(R"({"ammount_minor":5})");
  CHECK(near.reason == Reason::invalid_field);
  CHECK(near.field == "amount_minor");
  CHECK(near.message.find("'amount_minor'") != std::string::npos);
  const auto far = refused(R"({"4111111111111111":"x"})");
  CHECK(far.field.empty());
  CHECK(far.message.find("4111") == std::string::npos);
  CHECK(far.message.find("the nearest known field is '") != std::string::npos);
  const auto shorter = refused(R"({"amount":5})");
  CHECK(shorter.field == "amount_minor");
  CHECK(shorter.message == "'amount' is not known; did you mean 'amount_minor'?");
  CHECK(refused(R"({"TYPE":"sale"})").field == "type");
  CHECK(refused(R"({"zzz":"sale"})").message.starts_with("'zzz' is not known; the nearest known field is '"));
  CHECK(refused("{\"" + std::string(5000, 'x') + "\":1}").reason == Reason::invalid_field);
  CHECK(refused(R"({"Type":"sale"})").field == "type");
  CHECK(refused(R"({"":1})").reason == Reason::invalid_field);
  // Whatever an unknown field holds is none of our business, as long as it is JSON.
  CHECK(refused(R"({"curency":{"a":[1,{"b":null}]},"type":"sale"})").field == "currency");
}

TEST_CASE("json: an event of 16 KiB is read, one byte more is too large") {
  const std::string head = R"({"attributes":{"a":")";
  const std::string tail = R"("}})";
  const std::string fill(terminal::event_bytes_max - head.size() - tail.size(), 'x');
  CHECK(read_json_event(head + fill + tail));
  const auto refusal = refused(head + fill + "x" + tail);
  CHECK(refusal.reason == Reason::too_large);
  CHECK(redact::status_of(refusal.reason) == 413);
}

TEST_CASE("json: no answer repeats a value, whatever is wrong with it") {
  const std::string pan = "4111111111111111";
  for (const std::string& json :
       {"{\"amount_minor\":\"" + pan + "\"}", "{\"amount_minor\":" + pan + ".0}", "{\"type\":" + pan + "}",
        "{\"" + pan + "\":1}", "{\"type\":\"" + pan, "{\"attributes\":{\"" + pan + "\":5}}",
        "{\"attributes\":{\"" + pan + "\":\"\",\"" + pan + "\":\"\"}}", "{\"type\":{\"" + pan + "\":1}}", pan})
    CHECK(terminal::to_json(refused(json)).find("4111") == std::string::npos);
}
