// Well-known card numbers in every text of a message: none reaches a record or an answer.
#include <doctest/doctest.h>

#include <boost/json.hpp>

#include "tests/unit/firmware-gateway/redact/test_cards.hpp"
#include "tests/unit/firmware-gateway/terminal/nexo/nexo_door.hpp"

namespace json = boost::json;
using nexo_test::Door;

namespace {

// Every place of a text or number in the message.
void collect(json::value& node, std::vector<json::value*>& leaves) {
  if (node.is_object()) {
    for (auto& member : node.as_object()) collect(member.value(), leaves);
  } else if (node.is_array()) {
    for (auto& item : node.as_array()) collect(item, leaves);
  } else if (node.is_string() || node.is_number()) {
    leaves.push_back(&node);
  }
}

std::string digits_in(std::string_view text) {
  std::string digits;
  for (const char c : text)
    if (c >= '0' && c <= '9') digits += c;
  return digits;
}

// Text for text: digits of two of them side by side are no number.
bool shows(const tillstream::v1::Event& event, std::string_view number) {
  bool found = event.SerializeAsString().find(number) != std::string::npos;
  for (const std::string* text : {&event.terminal_id(), &event.terminal_ref(), &event.till_id(), &event.batch_no(),
                                  &event.merchant_id(), &event.auth_code(), &event.rrn(), &event.original_ref(),
                                  &event.card_brand(), &event.response_code(), &event.card_token(), &event.card_par()})
    found = found || digits_in(*text).find(number) != std::string::npos;
  for (const auto& [name, value] : event.attributes())
    found = found || digits_in(name).find(number) != std::string::npos ||
            digits_in(value).find(number) != std::string::npos;
  return found;
}

void check_hidden(const std::string& text, std::string_view number) {
  Door door;
  const auto answer = door.send(text);
  CHECK_MESSAGE(digits_in(answer.body).find(number) == std::string::npos, answer.body);
  for (std::size_t row = 1; row <= door.rows(); ++row) CHECK_MESSAGE(!shows(door.intake.record(row), number), text);
}

}  // namespace

TEST_CASE("canary: a card number in any text or number of any vector comes out nowhere") {
  for (const std::string& name : nexo_test::vector_names) {
    const std::string original = nexo_test::vector_text(name);
    const json::value message = json::parse(original);
    for (const std::string& spelling : redact_test::spellings("5555555555554444")) {
      json::value changed = message;
      std::vector<json::value*> leaves;
      collect(changed, leaves);
      REQUIRE(leaves.size() > 8);
      for (json::value* const leaf : leaves) {
        const json::value before = *leaf;
        *leaf = spelling;
        check_hidden(json::serialize(changed), "5555555555554444");
        *leaf = before;
      }
    }
  }
}

TEST_CASE("canary: nor as a number, nor in the pairs of AdditionalResponse, in either encoding") {
  const std::string sale = nexo_test::vector_text("payment_response_success_contactless");
  for (const char* number : {"4111111111111111", "41111111111111.11", "4111111111111111e0", "4111111111111111.0"})
    check_hidden(nexo_test::with(sale, "12.5,", std::string(number) + ","), "4111111111111111");
  for (const std::string name :
       {"store", "tid", "authCode", "AID", "cardSummary", "paymentMethod", "refusalReason", "currency"})
    check_hidden(nexo_test::with(sale, "tid=46403161", name + "=4111%2D1111+1111%201111"), "4111111111111111");
  // {"store":"4111 1111 1111 1111","4111111111111111":"x"}
  check_hidden(nexo_test::with(nexo_test::vector_text("payment_response_success_additionalresponse_base64"),
                               "eyJhZGRpdGlvbmFsRGF0YSI6",
                               "eyJzdG9yZSI6IjQxMTEgMTExMSAxMTExIDExMTEiLCI0MTExMTExMTExMTExMTExIjoieCIs"),
               "4111111111111111");
}
