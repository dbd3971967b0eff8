// POST /v1/nexo over a real connection: what is answered, and when.
#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "firmware-gateway/adapters/net/terminal_routes.hpp"
#include "tests/support/raw_client.hpp"

namespace {

// Holds every draft until the test answers it.
class HoldingIntake final : public net::Intake {
 public:
  void submit(redact::Draft draft, redact::Channel /*channel*/, Answered answered) override {
    drafts.push_back(std::move(draft));
    held.push_back(std::move(answered));
  }
  void on_refused(redact::Reason reason) override { refused.push_back(reason); }
  void on_unreadable(const terminal::Shape& /*shape*/) override {}
  void on_ignored() override { ++ignored; }
  [[nodiscard]] std::string currency_of(std::string_view terminal_id) const override {
    return terminal_id == "V400m-346403161" ? "EUR" : "";
  }

  std::vector<redact::Draft> drafts;
  std::vector<Answered> held;
  std::vector<redact::Reason> refused;
  int ignored = 0;
};

std::string vector_text(const std::string& name) {
  std::ifstream file(TILLSTREAM_SOURCE_DIR "/tests/unit/firmware-gateway/terminal/nexo/vectors/" + name + ".json");
  REQUIRE(file.good());
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string post(const std::string& body) {
  return "POST /v1/nexo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

const terminal::Stored stored{.event_id = "id", .epoch = "ab", .seq = 7};

class Bench {
 public:
  Bench() {
    auto started = platform::start_http_server(
        io, {.listen = "127.0.0.1:0", .tls = {}, .max_body_bytes = &net::terminal_body_bytes_max},
        net::terminal_routes(intake));
    REQUIRE(started.has_value());
    server = *std::move(started);
    client = std::make_unique<support::RawClient>(io, support::port_of(server->address()));
  }

  void send(const std::string& bytes) { REQUIRE(client->send(bytes)); }
  bool holds(std::size_t drafts) {
    return support::run_until(io, [&] { return intake.held.size() == drafts; });
  }
  bool receives(std::string_view text) { return client->await(text); }
  [[nodiscard]] bool silent() {
    for (int i = 0; i < 20; ++i) {
      io.restart();
      io.poll();
    }
    return client->receive().empty();
  }

  boost::asio::io_context io{1};
  HoldingIntake intake;
  std::unique_ptr<platform::HttpServer> server;
  std::unique_ptr<support::RawClient> client;
};

}  // namespace

TEST_CASE("nexo door: a payment is answered after it is stored, and not before") {
  Bench bench;
  bench.send(post(vector_text("payment_response_success_contactless")));
  REQUIRE(bench.holds(1));
  CHECK(bench.silent());
  CHECK(bench.intake.drafts[0].fields.number(redact::Field::amount_minor) == 1250);
  bench.intake.held[0](stored);
  CHECK(bench.receives("HTTP/1.1 200 OK"));
  CHECK(
      bench.receives(R"({"answer":"[accepted]","events":[{"event_id":"id","epoch":"ab","seq":7,"duplicate":false}]})"));
}

TEST_CASE("nexo door: a notification hears [accepted], as its webhook wants it") {
  Bench bench;
  bench.send(post(vector_text("event_notification_network_disconnected")));
  REQUIRE(bench.holds(1));
  CHECK(bench.silent());
  bench.intake.held[0](stored);
  CHECK(bench.receives("\r\n\r\n[accepted]"));
}

TEST_CASE("nexo door: several totals are answered together; one that cannot be stored asks for all again") {
  Bench bench;
  std::string totals = vector_text("reconciliation_response");
  const auto second = totals.rfind("\"EUR\"");
  totals.replace(second, 5, "\"USD\"");
  bench.send(post(totals));
  REQUIRE(bench.holds(2));
  bench.intake.held[1](stored);
  CHECK(bench.silent());
  bench.intake.held[0](terminal::Refusal{redact::Reason::busy, {}, "full", std::chrono::seconds(30)});
  CHECK(bench.receives("HTTP/1.1 503"));
  CHECK(bench.receives("Retry-After: 30"));
}

TEST_CASE("nexo door: pipelined messages are answered in their order, and what is none ends nothing") {
  Bench bench;
  bench.send(post("{}") + post(vector_text("refund_response_success")) + "GET /v1/nexo HTTP/1.1\r\nHost: x\r\n\r\n");
  REQUIRE(bench.holds(1));
  CHECK(bench.receives("HTTP/1.1 400"));
  CHECK(bench.receives("must hold one of the objects SaleToPOIResponse and SaleToPOIRequest"));
  bench.intake.held[0](stored);
  CHECK(bench.receives("\"events\":[{"));
  CHECK(bench.receives("HTTP/1.1 405"));
  CHECK(bench.intake.refused == std::vector{redact::Reason::invalid_json, redact::Reason::method_not_allowed});
}

TEST_CASE("nexo door: a request is answered, counted, and handed to nobody") {
  Bench bench;
  bench.send(
      post(R"({"SaleToPOIRequest":{"MessageHeader":{"MessageCategory":"Payment","MessageType":"Request","POIID":"P"},)"
           R"("PaymentRequest":{}}})"));
  CHECK(bench.receives(R"("events":[],"note":"not for this gateway)"));
  CHECK(bench.intake.ignored == 1);
  CHECK(bench.intake.held.empty());
}

TEST_CASE("nexo door: a message beyond 256 KiB is refused, one below with a long receipt is not") {
  Bench bench;
  std::string text = vector_text("payment_response_success_contactless");
  const auto at = text.find("\"SaleData\"");
  text.insert(at, R"("PaymentReceipt":[{"OutputContent":")" + std::string(200'000, 'x') + "\"}],");
  bench.send(post(text));
  REQUIRE(bench.holds(1));
  bench.intake.held[0](stored);
  CHECK(bench.receives("HTTP/1.1 200"));
  bench.send(post(std::string(256 * 1024 + 1, ' ')));
  CHECK(bench.receives("HTTP/1.1 413"));
}
