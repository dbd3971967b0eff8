#include "firmware-gateway/tap/matching.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "firmware-gateway/terminal/iso8583/mapping/original.hpp"
#include "firmware-gateway/terminal/iso8583/mapping/values.hpp"
#include "tests/unit/firmware-gateway/terminal/iso8583/mapping/messages.hpp"

namespace {

using namespace std::chrono_literals;
using tap::Matching;
using tap::Request;
using test::FieldValues;
using test::sale;

constexpr tap::Connection line = 1;

base::Now at(std::chrono::milliseconds since) { return {.instant = base::Instant(since), .utc = base::UtcTime(since)}; }

Request request(const FieldValues& fields, const std::string& mti = "0200", std::chrono::milliseconds seen = 1s,
                const std::string& header = {}, tap::Connection connection = line) {
  return {.connection = connection,
          .message = test::message(mti, fields),
          .mti = *iso8583::read_mti(mti),
          .missing = {},
          .header = header,
          .bytes = 100,
          .seen = at(seen)};
}

void open(Matching& matching, Request asked) { CHECK(matching.open(std::move(asked)).empty()); }

// The STAN of the request that such an answer finds; "none".
std::string answered(Matching& matching, const FieldValues& fields, const std::string& mti = "0210",
                     const std::string& header = {}, tap::Connection connection = line) {
  const auto found = matching.answer(connection, test::message(mti, fields), *iso8583::read_mti(mti), header);
  return found ? iso8583::text_of(found->message, 11) : "none";
}

// What differs from the open request that such an answer would have, were it the same.
std::string differing(Matching& matching, const FieldValues& fields, const std::string& answer_header = {}) {
  const auto found = matching.answer(line, test::message("0210", fields), *iso8583::read_mti("0210"), answer_header);
  return found ? "nothing" : std::string(found.error().differs);
}

FieldValues answer(const FieldValues& changed = {}) {
  FieldValues fields = sale(changed);
  fields.emplace(39, "00");
  return fields;
}

std::string header(const std::string& to, const std::string& from) { return *base::from_hex("60" + to + from); }

std::vector<std::string> stans(const std::vector<Request>& requests) {
  std::vector<std::string> all;
  for (const Request& asked : requests) all.push_back(iso8583::text_of(asked.message, 11));
  return all;
}

}  // namespace

TEST_CASE("matching: an answer finds its request once") {
  Matching matching;
  open(matching, request(sale()));
  CHECK(answered(matching, answer()) == "004711");
  CHECK(answered(matching, answer()) == "none");
  CHECK(matching.size() == 0);
}

TEST_CASE("matching: what an answer must have in common with its request") {
  struct Case {
    std::string name;
    std::string asked_mti;
    FieldValues asked;
    std::string answer_mti;
    FieldValues answer;
    bool fits;
  };
  const std::vector<Case> cases = {
      {"the same class", "0200", sale(), "0210", answer(), true},
      {"an advice's response", "0220", sale(), "0230", answer(), true},
      {"a repeat's response", "0401", sale(), "0410", answer(), true},
      {"a notification's acknowledgement", "0440", sale(), "0450", answer(), true},
      {"another class", "0200", sale(), "0410", answer(), false},
      {"another function", "0200", sale(), "0230", answer(), false},
      {"another version", "0200", sale(), "1210", answer(), false},
      {"another STAN", "0200", sale(), "0210", answer({{11, "004712"}}), false},
      {"no STAN", "0200", sale(), "0210", answer({{11, ""}}), false},
      {"another terminal", "0200", sale(), "0210", answer({{41, "TERM0002"}}), false},
      {"no terminal in the answer", "0200", sale(), "0210", answer({{41, ""}}), true},
      {"another merchant", "0200", sale(), "0210", answer({{42, "MERCHANT0000002"}}), false},
      {"no merchant in the answer", "0200", sale(), "0210", answer({{42, ""}}), true},
      {"another transmission time", "0200", sale(), "0210", answer({{7, "1123110905"}}), false},
      {"another local time", "0200", sale(), "0210", answer({{12, "120905"}}), false},
      {"another local date", "0200", sale(), "0210", answer({{13, "1124"}}), false},
      {"no times in the answer", "0200", sale(), "0210", answer({{7, ""}, {12, ""}, {13, ""}}), true},
      {"another reference", "0200", sale({{37, "632700004711"}}), "0210", answer({{37, "999900000001"}}), false},
      {"a reference that only the host has", "0200", sale(), "0210", answer({{37, "999900000001"}}), true},
  };
  for (const Case& one : cases) {
    CAPTURE(one.name);
    Matching matching;
    open(matching, request(one.asked, one.asked_mti));
    CHECK(answered(matching, one.answer, one.answer_mti) == (one.fits ? "004711" : "none"));
    CHECK(matching.size() == (one.fits ? 0 : 1));
  }
}

TEST_CASE("matching: a late answer to an earlier request is not the answer of the one that has its STAN now") {
  Matching matching;
  open(matching, request(sale({{12, "120000"}, {37, "633400000005"}}), "0200", 1s));
  CHECK(stans(matching.expire(base::Instant(1s))) == std::vector<std::string>{"004711"});
  const FieldValues now{{4, "000000002000"}, {12, "120130"}, {37, "633400000777"}};
  open(matching, request(sale(now), "0200", 2s));
  CHECK(differing(matching, answer({{12, "120000"}, {37, "633400000005"}})) == "12");
  const auto found = matching.answer(line, test::message("0210", answer(now)), *iso8583::read_mti("0210"), "");
  REQUIRE(found);
  CHECK(iso8583::text_of(found->message, 4) == "000000002000");
}

TEST_CASE("matching: what the host sets anew is not compared, and all else is") {
  Matching matching({}, {"12", "37", "tpdu"});
  open(matching, request(sale({{37, "632700004711"}}), "0200", 1s, header("0001", "0101")));
  const FieldValues own{{12, "120905"}, {37, "999900000001"}};
  FieldValues other_date = own;
  other_date[13] = "1124";
  CHECK(differing(matching, answer(other_date), header("0009", "0009")) == "13");
  CHECK(differing(matching, answer(own), header("0009", "0009")) == "nothing");
}

TEST_CASE("matching: what differs is named, of a request that has STAN, terminal and class, and no other") {
  Matching matching;
  open(matching, request(sale(), "0200", 1s, header("0001", "0101")));
  CHECK(differing(matching, answer(), header("0002", "0101")) == "tpdu");
  CHECK(differing(matching, answer({{7, "1123110905"}})) == "7");
  CHECK(differing(matching, answer({{42, "MERCHANT0000002"}})) == "42");
  CHECK(differing(matching, answer({{11, "004712"}, {7, "1123110905"}})).empty());
  CHECK(differing(matching, answer({{41, "TERM0002"}, {7, "1123110905"}})).empty());
  CHECK(differing(matching, answer(), header("0101", "0001")) == "nothing");
}

TEST_CASE("matching: an answer on another connection answers nothing") {
  Matching matching;
  open(matching, request(sale()));
  CHECK(answered(matching, answer(), "0210", {}, 2) == "none");
  CHECK(answered(matching, answer()) == "004711");
}

TEST_CASE("matching: many terminals on one connection, answers in any order") {
  Matching matching;
  for (const auto* const terminal : {"TERM0001", "TERM0002", "TERM0003"})
    for (const auto* const stan : {"000001", "000002"}) open(matching, request(sale({{41, terminal}, {11, stan}})));
  CHECK(answered(matching, answer({{41, "TERM0003"}, {11, "000002"}})) == "000002");
  CHECK(answered(matching, answer({{41, "TERM0001"}, {11, "000001"}})) == "000001");
  CHECK(answered(matching, answer({{41, "TERM0003"}, {11, "000001"}})) == "000001");
  CHECK(answered(matching, answer({{41, "TERM0003"}, {11, "000001"}})) == "none");
  CHECK(matching.size() == 3);
}

TEST_CASE("matching: of two requests with one STAN it is the one that more agrees with, else the older one") {
  Matching matching;
  open(matching, request(sale({{12, "080000"}})));
  open(matching, request(sale({{12, "120000"}})));
  open(matching, request(sale({{12, "160000"}, {37, "632700004711"}})));
  const auto time_of = [&](const FieldValues& fields) {
    const auto found = matching.answer(line, test::message("0210", answer(fields)), *iso8583::read_mti("0210"), "");
    return found ? iso8583::text_of(found->message, 12) : "none";
  };
  CHECK(time_of({{12, "120000"}}) == "120000");
  CHECK(time_of({{12, ""}, {37, "632700004711"}}) == "160000");
  open(matching, request(sale({{12, "200000"}})));
  CHECK(time_of({{12, ""}}) == "080000");
}

TEST_CASE("matching: without a terminal the TPDU says whose answer it is, exchanged or as it came") {
  for (const bool exchanged : {true, false}) {
    Matching matching;
    open(matching, request(sale({{12, "080000"}}), "0200", 1s, header("0001", "0101")));
    open(matching, request(sale({{12, "090000"}}), "0200", 1s, header("0001", "0102")));
    const std::string of_second = exchanged ? header("0102", "0001") : header("0001", "0102");
    const auto fields = answer({{41, ""}, {12, ""}, {13, ""}, {7, ""}});
    const auto found = matching.answer(line, test::message("0210", fields), *iso8583::read_mti("0210"), of_second);
    REQUIRE(found);
    CHECK(iso8583::text_of(found->message, 12) == "090000");
    CHECK(answered(matching, fields, "0210", of_second) == "none");
  }
}

TEST_CASE("matching: a repeat of what is open is the same request, and waits since the first time") {
  Matching matching;
  open(matching, request(sale(), "0200", 1s));
  open(matching, request(sale({{7, "1123110931"}}), "0201", 31s));
  CHECK(matching.size() == 1);
  CHECK(stans(matching.expire(base::Instant(1s))) == std::vector<std::string>{"004711"});
}

TEST_CASE("matching: the same STAN with another amount or time is another request") {
  Matching matching;
  open(matching, request(sale()));
  open(matching, request(sale({{4, "000000000999"}})));
  open(matching, request(sale({{12, "120902"}})));
  CHECK(matching.size() == 3);
}

TEST_CASE("matching: what nobody answers comes back when its time is over, oldest first") {
  Matching matching;
  open(matching, request(sale({{11, "000001"}}), "0200", 1s));
  open(matching, request(sale({{11, "000002"}}), "0200", 2s));
  open(matching, request(sale({{11, "000003"}}), "0200", 3s));
  CHECK(matching.oldest() == base::Instant(1s));
  CHECK(matching.expire(base::Instant(999ms)).empty());
  CHECK(stans(matching.expire(base::Instant(2s))) == std::vector<std::string>{"000001", "000002"});
  CHECK(answered(matching, answer({{11, "000001"}})) == "none");
  CHECK(answered(matching, answer({{11, "000003"}})) == "000003");
  CHECK_FALSE(matching.oldest());
}

TEST_CASE("matching: what its terminal reverses waits no longer, on whatever connection") {
  const auto reversed = [](const std::string& asked, const FieldValues& fields, const std::string& mti,
                           const FieldValues& reversal) {
    Matching matching;
    open(matching, request(fields, asked, 1s, {}, 2));
    const auto message = test::message(mti, reversal);
    const auto original = iso8583::original_of(message, *iso8583::read_mti(mti), 1987);
    REQUIRE(original);
    return matching.reverse(message, *original).size() == 1;
  };
  const std::string named = "0200004711" + std::string(32, '0');
  CHECK(reversed("0200", sale(), "0400", sale({{12, "121000"}})));
  CHECK(reversed("0200", sale(), "0400", sale({{11, "004712"}, {90, named}})));
  CHECK_FALSE(reversed("0200", sale(), "0400", sale({{11, "004712"}})));
  CHECK_FALSE(reversed("0100", sale(), "0400", sale({{11, "004712"}, {90, named}})));
  CHECK_FALSE(reversed("0200", sale({{41, "TERM0002"}}), "0400", sale()));
  CHECK_FALSE(reversed("0400", sale(), "0401", sale({{12, "121000"}})));
}

TEST_CASE("matching: a connection that ends gives its own requests back, and no other's") {
  Matching matching;
  open(matching, request(sale({{11, "000001"}}), "0200", 1s, {}, 1));
  open(matching, request(sale({{11, "000002"}}), "0200", 1s, {}, 2));
  open(matching, request(sale({{11, "000003"}}), "0200", 1s, {}, 1));
  CHECK(stans(matching.close(1)) == std::vector<std::string>{"000001", "000003"});
  CHECK(answered(matching, answer({{11, "000002"}}), "0210", {}, 2) == "000002");
}

TEST_CASE("matching: with no room the oldest is given up, by number and by bytes") {
  Matching by_number({.requests_max = 2, .bytes_max = 1000});
  open(by_number, request(sale({{11, "000001"}})));
  open(by_number, request(sale({{11, "000002"}})));
  CHECK(stans(by_number.open(request(sale({{11, "000003"}})))) == std::vector<std::string>{"000001"});
  CHECK(by_number.size() == 2);
  Matching by_bytes({.requests_max = 100, .bytes_max = 250});
  open(by_bytes, request(sale({{11, "000001"}})));
  open(by_bytes, request(sale({{11, "000002"}})));
  CHECK(stans(by_bytes.open(request(sale({{11, "000003"}})))) == std::vector<std::string>{"000001"});
  CHECK(answered(by_bytes, answer({{11, "000002"}})) == "000002");
  open(by_bytes, request(sale({{11, "000004"}})));
}
