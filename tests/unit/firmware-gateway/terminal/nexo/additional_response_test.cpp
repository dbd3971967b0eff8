#include "firmware-gateway/terminal/nexo/additional_response.hpp"

#include <doctest/doctest.h>

#include <string>

using terminal::nexo::Pairs;
using terminal::nexo::read_additional_response;
using terminal::nexo::read_event_details;

TEST_CASE("additional response: pairs as in URLs, only names of the list") {
  const Pairs pairs = read_additional_response(
      "tid=46403161&cardHolderName=TEST%20CARD&expiryYear=2030&cardBin=411111&alias=K1&shopperEmail=a%40b&"
      "refusalReason=101%20Invalid+card%20number&store=Caf%C3%A9&empty=&offline=false");
  CHECK(pairs == Pairs{{"tid", "46403161"},
                       {"refusalReason", "101 Invalid card number"},
                       {"store", "Café"},
                       {"offline", "false"}});
}

TEST_CASE("additional response: JSON in base64, nested or not, with and without padding") {
  // {"additionalData":{"authCode":"65","cardBin":"555555"},"store":"V","n":[{"store":"later"}]}
  const std::string text =
      "eyJhZGRpdGlvbmFsRGF0YSI6eyJhdXRoQ29kZSI6IjY1IiwiY2FyZEJpbiI6IjU1NTU1NSJ9LCJzdG9yZSI6IlYiLCJuIjpbeyJzdG9yZSI6Imxh"
      "dGVyIn1dfQ";
  CHECK(read_additional_response(text) == Pairs{{"authCode", "65"}, {"store", "V"}});
  CHECK(read_additional_response(text + "==") == Pairs{{"authCode", "65"}, {"store", "V"}});
}

TEST_CASE("additional response: whatever cannot be decoded has no pairs, and harms nothing") {
  for (const std::string& wrong : {std::string(), std::string("%%%"), std::string("e30="), std::string("eyJ"),
                                   std::string("store"), std::string("=x&&=&"), std::string("store=%FF%FE"),
                                   std::string("store=a%00b"), "store=" + std::string(5000, 'x')}) {
    CAPTURE(wrong);
    CHECK(read_additional_response(wrong).empty());
  }
  CHECK(read_additional_response("store=100%&tid=%4") == Pairs{{"store", "100%"}, {"tid", "%4"}});
  // JSON that breaks off gives what stands before.
  CHECK(read_additional_response("eyJzdG9yZSI6IlYiLCJ4") == Pairs{{"store", "V"}});
}

TEST_CASE("additional response: a name given twice keeps the first") {
  CHECK(read_additional_response("store=a&store=b") == Pairs{{"store", "a"}});
}

TEST_CASE("event details: their own list") {
  CHECK(read_event_details("oldstate=CONNECTED&newstate=DISCONNECTED&barcode=4111111111111111") ==
        Pairs{{"oldstate", "CONNECTED"}, {"newstate", "DISCONNECTED"}});
  CHECK(read_event_details("authCode=1").empty());
}
