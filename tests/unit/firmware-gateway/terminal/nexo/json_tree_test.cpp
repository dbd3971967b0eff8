#include "firmware-gateway/terminal/nexo/json_tree.hpp"

#include <doctest/doctest.h>

#include <string>

using terminal::Reason;
using terminal::nexo::Node;
using terminal::nexo::read_tree;

TEST_CASE("tree: members by their path, numbers as they are written") {
  const auto tree = read_tree(R"({"PaymentResult":{"AmountsResp":{"AuthorizedAmount":12.50,"Currency":"EUR"},
    "OnlineFlag":false,"AuthenticationMethod":["OfflinePIN","Bypass"]},"SaleID":null})");
  REQUIRE(tree);
  CHECK(tree->text("PaymentResult.AmountsResp.AuthorizedAmount") == "12.50");
  CHECK(tree->text("PaymentResult.AmountsResp.Currency") == "EUR");
  CHECK(tree->text("PaymentResult.OnlineFlag") == "false");
  CHECK(tree->text("PaymentResult.AmountsResp") == "");
  CHECK(tree->text("PaymentResult.TipAmount") == "");
  CHECK(tree->find("SaleID")->kind == Node::Kind::null);
  REQUIRE(tree->find("PaymentResult.AuthenticationMethod")->members.size() == 2);
  CHECK(tree->find("PaymentResult.AuthenticationMethod")->members[1].value.view() == "Bypass");
}

TEST_CASE("tree: what is not read is not kept, however it is nested") {
  const auto tree =
      read_tree(R"({"PaymentReceipt":[{"OutputContent":{"SaleID":"no"}},{"a":[1,[2]]}],"CapturedSignature":{"SaleID":1},
    "SensitiveCardData":{"PAN":"4111111111111111","TrackData":[{"Value":"x"}]},"x":1,"SaleID":"yes"})");
  REQUIRE(tree);
  CHECK(tree->members.size() == 2);
  CHECK(tree->text("SaleID") == "yes");
  CHECK(tree->find("SensitiveCardData")->members.size() == 1);
}

TEST_CASE("tree: a member that is there twice is refused with its place; one that is not read may be") {
  const auto twice = read_tree(R"({"PaymentResponse":{"PaymentResult":{"Currency":"EUR","Currency":"USD"}}})");
  REQUIRE_FALSE(twice);
  CHECK(twice.error().reason == Reason::invalid_json);
  CHECK(twice.error().message == "PaymentResponse.PaymentResult.Currency is given twice");
  CHECK(read_tree(R"({"x":1,"x":2})"));
}

TEST_CASE("tree: bounded in depth and number") {
  CHECK(read_tree(std::string(terminal::nexo::depth_max + 1, '[')).error().reason == Reason::invalid_json);
  std::string many = "[0";
  for (std::size_t i = 0; i < terminal::nexo::nodes_max; ++i) many += ",0";
  CHECK(read_tree(many + "]").error().reason == Reason::too_large);
  CHECK(read_tree("{} {}").error().reason == Reason::invalid_json);
  CHECK(read_tree("\"text\"")->value.view() == "text");
}
