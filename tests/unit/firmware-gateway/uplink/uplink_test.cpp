#include "firmware-gateway/uplink/uplink.hpp"

#include <doctest/doctest.h>

#include <random>

namespace {

using namespace std::chrono_literals;
using uplink::Attempt;
using uplink::Connect;
using uplink::Connected;
using uplink::Disconnect;
using uplink::Lost;
using uplink::Published;
using uplink::State;

class LargestRandom final : public base::Random {
 public:
  std::uint64_t next() override { return ~std::uint64_t{0}; }
};

// Drives an Uplink through its life with a clock of its own.
struct Scene {
  LargestRandom random;
  uplink::Uplink uplink{{}, random};
  base::Now now{.instant = base::Instant{} + 1h, .utc = base::UtcTime{} + 1h};

  void pass(std::chrono::milliseconds time) {
    now.instant += time;
    now.utc += time;
  }
  std::optional<Attempt> connect() {
    const auto output = uplink.poll(now);
    if (!output || !std::holds_alternative<Connect>(*output)) return std::nullopt;
    return std::get<Connect>(*output).attempt;
  }
  std::optional<Attempt> disconnect() {
    const auto output = uplink.poll(now);
    if (!output || !std::holds_alternative<Disconnect>(*output)) return std::nullopt;
    return std::get<Disconnect>(*output).attempt;
  }
  Attempt go_online(std::uint32_t receive_maximum = 65'535) {
    const auto attempt = connect();
    REQUIRE(attempt);
    const auto change = uplink.on_link(Connected{.attempt = *attempt, .receive_maximum = receive_maximum}, now);
    REQUIRE(std::holds_alternative<uplink::WentOnline>(change));
    return *attempt;
  }
  void lose(Attempt attempt, std::string reason = "gone") {
    REQUIRE(std::holds_alternative<uplink::WentOffline>(uplink.on_link(Lost{attempt, std::move(reason)}, now)));
  }
};

}  // namespace

TEST_CASE("uplink: the first attempt is made at once, a lost one is followed after the back-off") {
  Scene scene;
  scene.uplink.start(scene.now);
  const auto first = scene.connect();
  REQUIRE(first);
  scene.lose(*first);
  CHECK_FALSE(scene.connect());
  CHECK(scene.uplink.wakeup_at() == scene.now.instant + 1s);
  scene.pass(1s);
  const auto second = scene.connect();
  REQUIRE(second);
  CHECK(*second != *first);
}

TEST_CASE("uplink: being accepted and dropped over and over backs off; ack progress ends that") {
  Scene scene;
  scene.uplink.start(scene.now);
  for (const auto wait : {1s, 2s, 4s, 8s}) {
    scene.lose(scene.go_online());
    CHECK(scene.uplink.wakeup_at() == scene.now.instant + wait);
    scene.pass(wait);
  }
  const auto attempt = scene.go_online();
  scene.uplink.on_ack_progress();
  scene.lose(attempt);
  CHECK(scene.uplink.wakeup_at() == scene.now.instant + 1s);
}

TEST_CASE("uplink: an attempt that hangs is given up after the timeout, and the next one follows") {
  Scene scene;
  scene.uplink.start(scene.now);
  const auto attempt = scene.connect();
  REQUIRE(attempt);
  scene.pass(19'999ms);
  CHECK_FALSE(scene.uplink.poll(scene.now));
  scene.pass(1ms);
  CHECK(scene.disconnect() == attempt);
  CHECK_FALSE(scene.uplink.poll(scene.now));
  scene.lose(*attempt, "disconnected");
  CHECK(scene.uplink.last_error() == "no connection within 20 s");
  CHECK(scene.uplink.counters().connect_timeouts == 1);
  scene.pass(1s);
  CHECK(scene.connect());
}

TEST_CASE("uplink: what an older attempt still reports is ignored") {
  Scene scene;
  scene.uplink.start(scene.now);
  const auto old = scene.connect();
  REQUIRE(old);
  scene.lose(*old);
  scene.pass(1s);
  const auto attempt = scene.connect();
  REQUIRE(attempt);
  CHECK(std::holds_alternative<std::monostate>(scene.uplink.on_link(Connected{.attempt = *old}, scene.now)));
  CHECK(std::holds_alternative<std::monostate>(scene.uplink.on_link(Lost{*old, "late"}, scene.now)));
  CHECK(scene.uplink.state() == State::connecting);
  CHECK_FALSE(scene.uplink.current({.attempt = *old, .topic = "t", .payload = ""}));
}

TEST_CASE("uplink: open publishes stay within the broker's Receive Maximum and our own limit") {
  for (const auto& [receive_maximum, expected] : {std::pair{3U, 3U}, {65'535U, 16U}, {0U, 1U}}) {
    Scene scene;
    scene.uplink.start(scene.now);
    const auto attempt = scene.go_online(receive_maximum);
    unsigned open = 0;
    while (scene.uplink.may_publish()) {
      CHECK(scene.uplink.on_publish() == attempt);
      ++open;
    }
    CHECK(open == expected);
    static_cast<void>(scene.uplink.on_link(Published{.attempt = attempt + 1}, scene.now));
    CHECK_FALSE(scene.uplink.may_publish());
    static_cast<void>(scene.uplink.on_link(Published{.attempt = attempt}, scene.now));
    CHECK(scene.uplink.may_publish());
  }
}

TEST_CASE("uplink: open publishes of a lost connection do not count against the next one") {
  Scene scene;
  scene.uplink.start(scene.now);
  const auto attempt = scene.go_online(1);
  static_cast<void>(scene.uplink.on_publish());
  scene.lose(attempt);
  scene.pass(1s);
  scene.go_online(1);
  CHECK(scene.uplink.may_publish());
}

TEST_CASE("uplink: a refused publish is counted and named, and frees its place") {
  Scene scene;
  scene.uplink.start(scene.now);
  const auto attempt = scene.go_online(1);
  static_cast<void>(scene.uplink.on_publish());
  static_cast<void>(scene.uplink.on_link(Published{.attempt = attempt, .reason_code = 0x87}, scene.now));
  CHECK(scene.uplink.counters().publishes_refused == 1);
  CHECK(scene.uplink.last_error().find("0x87 (not authorised") != std::string::npos);
  CHECK(scene.uplink.may_publish());
}

TEST_CASE("uplink: a connection without progress is given up and nothing is published on it any more") {
  Scene scene;
  scene.uplink.start(scene.now);
  const auto attempt = scene.go_online();
  scene.uplink.give_up("no ack for 30 s");
  CHECK_FALSE(scene.uplink.may_publish());
  CHECK(scene.disconnect() == attempt);
  scene.lose(attempt, "disconnected");
  CHECK(scene.uplink.last_error() == "no ack for 30 s");
  CHECK(scene.uplink.state() == State::waiting);
}

TEST_CASE("uplink: new settings reconnect at once, without back-off") {
  Scene scene;
  scene.uplink.start(scene.now);
  const auto attempt = scene.go_online();
  scene.uplink.renew(scene.now);
  CHECK(scene.disconnect() == attempt);
  scene.lose(attempt);
  CHECK(scene.connect());
}

TEST_CASE("uplink: the same failure twice is reported as repeated, another one is not") {
  Scene scene;
  scene.uplink.start(scene.now);
  const auto fail = [&](const char* reason) {
    scene.pass(2min);
    const auto attempt = scene.connect();
    REQUIRE(attempt);
    return std::get<uplink::WentOffline>(scene.uplink.on_link(Lost{*attempt, reason}, scene.now)).repeated;
  };
  CHECK_FALSE(fail("refused"));
  CHECK(fail("refused"));
  CHECK_FALSE(fail("expired"));
}

TEST_CASE("uplink: after stop nothing is tried again") {
  Scene scene;
  scene.uplink.start(scene.now);
  const auto attempt = scene.go_online();
  scene.uplink.stop();
  CHECK(scene.disconnect() == attempt);
  scene.lose(attempt);
  scene.pass(1h);
  CHECK_FALSE(scene.uplink.poll(scene.now));
  CHECK_FALSE(scene.uplink.wakeup_at());
}

TEST_CASE("uplink: a publish that is too large is told with its size, any other refusal is not") {
  Scene scene;
  scene.uplink.start(scene.now);
  const Attempt attempt = scene.go_online();
  const auto answer = [&](std::uint8_t code) {
    static_cast<void>(scene.uplink.on_publish());
    return scene.uplink.on_link(Published{.attempt = attempt, .reason_code = code, .bytes = 5'000}, scene.now);
  };
  const auto change = answer(uplink::packet_too_large);
  REQUIRE(std::holds_alternative<uplink::TooLarge>(change));
  CHECK(std::get<uplink::TooLarge>(change).bytes == 5'000);
  CHECK(scene.uplink.last_error().find("0x95") != std::string::npos);
  CHECK(std::holds_alternative<std::monostate>(answer(0x87)));
  CHECK(std::holds_alternative<std::monostate>(answer(0)));
}
