#include "firmware-gateway/terminal/nexo/reference.hpp"

#include <doctest/doctest.h>

#include "proto/platform/system.hpp"

namespace {

std::string reference(std::initializer_list<std::string_view> parts) {
  return terminal::nexo::reference_of(parts, platform::hasher());
}

}  // namespace

TEST_CASE("reference: its parts, as long as they can be read") {
  CHECK(reference({"", "BV0q001669201741000.LWK58Z8RZ5GNG5W2"}) == "BV0q001669201741000.LWK58Z8RZ5GNG5W2");
  CHECK(reference({"Event", "Abort", "", "7"}) == "Event/Abort/7");
  CHECK(reference({}).empty());
  const std::string longest(64, 'x');
  CHECK(reference({longest}) == longest);
}

TEST_CASE("reference: too long or not to be shown, a hash that is the same for ever") {
  const std::string hashed = reference({"Payment", std::string(64, 'x')});
  // Kept in journals: another value would make every stored one a new event.
  CHECK(hashed == "Payment~6pya3vuutygdht7guufy7ijbub");
  CHECK(reference({"Payment", std::string(65, 'x')}) != hashed);
  CHECK(reference({"a\nb"}).size() <= 64);
  CHECK(reference({"a\nb"}) != reference({"a\nc"}));
  CHECK(reference({std::string(300, 'x')}).size() <= 64);
  CHECK(reference({"\xff"}).size() <= 64);
}

TEST_CASE("reference: no hash of a card number is made") {
  const std::string filler(60, 'x');
  CHECK(reference({"Payment", filler, "4111111111111111"}) == reference({"Payment", filler, "5555555555554444"}));
}
