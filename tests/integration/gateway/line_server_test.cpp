#include "firmware-gateway/adapters/net/line_server.hpp"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "firmware-gateway/terminal/framed.hpp"
#include "tests/support/raw_client.hpp"

namespace {

using namespace std::string_view_literals;

// A frame without fields.
constexpr std::string_view kRequest = "\0\0\0\0"sv;
constexpr std::string_view kHalf = "\0\0\0\x10half"sv;

// Answers at once, or when the test does.
class ScriptedIntake final : public net::Intake {
 public:
  void submit(redact::Draft /*draft*/, redact::Channel /*channel*/, Answered answered) override {
    if (!holds) return answered(terminal::Stored{});
    held.push_back(std::move(answered));
  }
  void on_refused(redact::Reason /*reason*/) override {}
  void on_unreadable(const terminal::Shape& /*shape*/) override {}
  void on_ignored() override {}
  [[nodiscard]] std::string currency_of(std::string_view /*terminal_id*/) const override { return "EUR"; }

  bool holds = false;
  std::vector<Answered> held;
};

// Its loop runs only while the test waits for something: no threads, no races.
class Bench {
 public:
  explicit Bench(std::size_t max_connections) {
    auto started = net::LineServer::start(
        io, {.listen = "127.0.0.1:0", .tls = {}, .max_connections = max_connections},
        [] { return std::make_unique<terminal::FramedDialogue>(); }, intake);
    REQUIRE(started.has_value());
    server = *std::move(started);
  }

  bool until(const std::function<bool()>& condition) { return support::run_until(io, condition); }

  boost::asio::io_context io{1};
  ScriptedIntake intake;
  std::unique_ptr<net::LineServer> server;
};

class Line : public support::RawClient {
 public:
  explicit Line(Bench& bench, const char* source = "127.0.0.1")
      : support::RawClient(bench.io, support::port_of(bench.server->address()), source), bench_(bench) {}

  void send(std::string_view bytes) { REQUIRE(support::RawClient::send(bytes)); }
  // Whether an answer has come.
  bool answered() { return !receive().empty(); }
  bool await_answer() {
    return bench_.until([&] { return answered(); });
  }

 private:
  Bench& bench_;
};

}  // namespace

TEST_CASE("framed: at a full door who owes a frame gives way, whatever it has begun") {
  for (const std::string_view begun : {""sv, "\0"sv, kHalf}) {
    CAPTURE(begun.size());
    Bench bench(2);
    Line first(bench);
    first.send(begun);
    REQUIRE(bench.until([&] { return bench.server->connections() == 1; }));
    Line second(bench);
    second.send(begun);
    REQUIRE(bench.until([&] { return bench.server->connections() == 2; }));
    Line third(bench);
    third.send(kRequest);
    CHECK(third.await_answer());
    CHECK_FALSE(second.ended());
    CHECK(bench.server->connections() == 2);
    CHECK(bench.server->displaced_connections() == 1);
    CHECK(bench.server->refused_connections() == 0);
    CHECK(bench.server->dropped_connections() == 0);
  }
}

TEST_CASE("framed: a frame answered a moment ago keeps its place, an older one does not") {
  Bench bench(2);
  Line older(bench);
  older.send(kRequest);
  REQUIRE(older.await_answer());
  Line younger(bench);
  younger.send(kRequest);
  REQUIRE(younger.await_answer());
  Line newcomer(bench);
  newcomer.send(kRequest);
  CHECK(newcomer.await_answer());
  CHECK(older.await_end());
  CHECK_FALSE(younger.ended());
}

TEST_CASE("framed: one address with all places takes none from another, and loses one to it") {
  Bench bench(4);
  Line terminal(bench);
  terminal.send(kRequest);
  REQUIRE(terminal.await_answer());
  std::vector<std::unique_ptr<Line>> strangers;
  for (int i = 0; i < 3; ++i) strangers.push_back(std::make_unique<Line>(bench, "127.0.0.2"));
  REQUIRE(bench.until([&] { return bench.server->connections() == 4; }));
  // A fourth and a fifth of theirs: places of their own, although the terminal has been quiet for longest.
  for (int i = 0; i < 2; ++i) {
    strangers.push_back(std::make_unique<Line>(bench, "127.0.0.2"));
    strangers.back()->send(kRequest);
    CHECK(strangers.back()->await_answer());
  }
  CHECK_FALSE(terminal.ended());
  Line another(bench);
  another.send(kRequest);
  CHECK(another.await_answer());
  CHECK_FALSE(terminal.ended());
  CHECK(bench.server->displaced_connections() == 3);
}

TEST_CASE("framed: who is being answered keeps its place; a newcomer waits for it, and not for ever") {
  Bench bench(1);
  bench.intake.holds = true;
  Line first(bench);
  first.send(kRequest);
  REQUIRE(bench.until([&] { return bench.intake.held.size() == 1; }));
  Line second(bench);
  second.send(kRequest);
  CHECK(second.await_end());
  CHECK(bench.server->refused_connections() == 1);
  CHECK(bench.server->displaced_connections() == 0);
  CHECK_FALSE(first.ended());
  for (auto& answered : std::exchange(bench.intake.held, {})) answered(terminal::Stored{});
  CHECK(first.await_answer());
}
