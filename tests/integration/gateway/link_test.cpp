// The uplink's machine and libmosquitto together, against a real broker and against peers that misbehave.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <mqtt_protocol.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

#include "firmware-gateway/adapters/mosquitto/mosquitto_link.hpp"
#include "firmware-gateway/uplink/uplink.hpp"
#include "proto/platform/system.hpp"
#include "tests/integration/gateway/broker.hpp"
#include "tests/integration/gateway/certificates.hpp"
#include "tests/support/temp_folder.hpp"

namespace {

using namespace std::chrono_literals;
using support::TempFolder;
using testing::anonymous;
using testing::Authority;
using testing::Broker;
using testing::free_port;
using testing::RawPeer;
using testing::Relay;

mqtt::BrokerSettings plain(std::uint16_t port) {
  return {.host = "127.0.0.1",
          .port = port,
          .tls = false,
          .client_id = "shop-1",
          .subscriptions = {"down/shop-1", "down/all"},
          .keep_alive = 5s};
}

// An uplink with its link, stepped by the test's own thread. Impatient, so that tests are quick.
class Station {
 public:
  explicit Station(const mqtt::BrokerSettings& settings, std::chrono::milliseconds connect_timeout = 20s)
      : random_(platform::make_random()),
        uplink_({.connect_timeout = connect_timeout, .backoff = {.base = 20ms, .cap = 100ms}}, *random_),
        link_(settings, [this] { wake(); }) {
    uplink_.start(platform::now());
  }

  bool run_until(const std::function<bool()>& holds, std::chrono::milliseconds deadline = 20s) {
    const auto end = std::chrono::steady_clock::now() + deadline;
    while (step(), !holds()) {
      if (std::chrono::steady_clock::now() > end) {
        MESSAGE("gave up waiting; the uplink's last error: " << uplink_.last_error());
        return false;
      }
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, 5ms, [this] { return news_; });
      news_ = false;
    }
    return true;
  }
  bool goes_online() {
    return run_until([this] { return uplink_.online(); });
  }
  bool fails_with(const std::string& part) {
    return run_until([&] { return uplink_.last_error().find(part) != std::string::npos; });
  }
  void publish(const std::string& topic, const std::string& payload) {
    link_.publish(uplink_.on_publish(), topic, payload);
  }

  uplink::Uplink& uplink() { return uplink_; }
  mqtt::MosquittoLink& link() { return link_; }
  std::deque<uplink::Received>& received() { return received_; }

 private:
  void wake() {
    const std::lock_guard lock(mutex_);
    news_ = true;
    changed_.notify_one();
  }
  void step() {
    for (auto& event : link_.take_events()) {
      if (auto* message = std::get_if<uplink::Received>(&event)) {
        if (uplink_.current(*message)) received_.push_back(std::move(*message));
      } else {
        static_cast<void>(uplink_.on_link(event, platform::now()));
      }
    }
    while (auto output = uplink_.poll(platform::now())) {
      if (const auto* connect = std::get_if<uplink::Connect>(&*output)) link_.connect(connect->attempt);
      if (const auto* disconnect = std::get_if<uplink::Disconnect>(&*output)) link_.disconnect(disconnect->attempt);
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool news_ = false;
  std::unique_ptr<base::Random> random_;
  uplink::Uplink uplink_;
  std::deque<uplink::Received> received_;
  mqtt::MosquittoLink link_;
};

// TLS to "localhost", with a fresh authority and a valid certificate to begin with.
struct TlsScene {
  TempFolder folder;
  Authority authority{"Test authority"};
  std::string ca = folder.file("ca.pem");
  std::string certificate = folder.file("broker.pem");
  std::string key = folder.file("broker.key");
  std::uint16_t port = free_port();
  std::optional<Broker> broker;

  TlsScene() { authority.write(ca); }
  void start_broker(const testing::CertificateWish& wish, const Authority* signer = nullptr) {
    broker.reset();
    (signer != nullptr ? *signer : authority).issue(wish, certificate, key);
    broker.emplace(port, testing::tls_lines(certificate, key));
  }
  [[nodiscard]] mqtt::BrokerSettings settings() const {
    auto settings = plain(port);
    settings.host = "localhost";
    settings.tls = true;
    settings.ca = ca;
    return settings;
  }
};

const testing::CertificateWish valid{.name = "localhost", .alternative_name = "DNS:localhost"};

}  // namespace

TEST_CASE("link: what is published comes back on a subscription, and its PUBACK makes room") {
  Broker broker(free_port(), anonymous);
  Station station(plain(broker.port()));
  REQUIRE(station.goes_online());
  for (int round = 0; round < 100; ++round) {
    station.publish("down/shop-1", fmt::format("message {}", round));
    REQUIRE(station.run_until([&] { return !station.received().empty() && station.uplink().may_publish(); }));
    CHECK(station.received().front().payload == fmt::format("message {}", round));
    CHECK(station.received().front().topic == "down/shop-1");
    station.received().pop_front();
  }
}

TEST_CASE("link: a broker that is down at the start is found when it comes up, with little CPU in between") {
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    TlsScene scene;
    Station station(tls ? scene.settings() : plain(scene.port));
    REQUIRE(station.fails_with("refused"));
    const auto cpu = testing::cpu_time();
    static_cast<void>(station.run_until([] { return false; }, 1s));
    CHECK(testing::cpu_time() - cpu < 500ms);  // Retrying ten times a second here, not once a minute.
    if (tls) {
      scene.start_broker(valid);
    } else {
      scene.broker.emplace(scene.port, anonymous);
    }
    CHECK(station.goes_online());
  }
}

TEST_CASE(
    "link: an expired certificate of the broker is refused and named, and a renewed one is accepted without a "
    "restart") {
  TlsScene scene;
  scene.start_broker({.name = "localhost", .alternative_name = "DNS:localhost", .not_before = -48h, .not_after = -1h});
  Station station(scene.settings());
  REQUIRE(station.fails_with("certificate has expired"));
  CHECK_FALSE(station.uplink().online());
  scene.start_broker(valid);
  CHECK(station.goes_online());
}

TEST_CASE("link: a certificate that is not valid yet (our clock is wrong) is refused, and accepted later") {
  TlsScene scene;
  scene.start_broker({.name = "localhost", .alternative_name = "DNS:localhost", .not_before = 24h, .not_after = 48h});
  Station station(scene.settings());
  REQUIRE(station.fails_with("certificate is not yet valid"));
  scene.start_broker(valid);
  CHECK(station.goes_online());
}

TEST_CASE("link: a certificate of an unknown authority is refused; the authority's file is read anew each time") {
  TlsScene scene;
  const Authority other("Another authority");
  scene.start_broker(valid, &other);
  Station station(scene.settings());
  REQUIRE(station.fails_with("the broker's certificate is refused"));
  other.write(scene.ca);
  CHECK(station.goes_online());
}

TEST_CASE("link: a certificate with another name is refused") {
  TlsScene scene;
  scene.start_broker({.name = "elsewhere.example", .alternative_name = "DNS:elsewhere.example"});
  Station station(scene.settings());
  REQUIRE(station.fails_with("does not carry localhost"));
  scene.start_broker(valid);
  CHECK(station.goes_online());
}

TEST_CASE("link: a numeric address must be in the certificate as an address") {
  TlsScene scene;
  auto settings = scene.settings();
  settings.host = "127.0.0.1";
  scene.start_broker(valid);
  Station station(settings);
  REQUIRE(station.fails_with("does not carry 127.0.0.1"));
  scene.start_broker({.name = "broker", .alternative_name = "IP:127.0.0.1"});
  CHECK(station.goes_online());
}

TEST_CASE("link: a broker that asks for our certificate gets it; without one it refuses us") {
  TlsScene scene;
  scene.authority.issue(valid, scene.certificate, scene.key);
  const std::string mine = scene.folder.file("gateway.pem");
  const std::string my_key = scene.folder.file("gateway.key");
  scene.authority.issue({.name = "shop-1", .alternative_name = {}}, mine, my_key);
  scene.broker.emplace(scene.port, testing::tls_lines(scene.certificate, scene.key) +
                                       fmt::format("cafile {}\nrequire_certificate true\n", scene.ca));
  {
    Station without(scene.settings());
    CHECK(without.fails_with("127.0.0.1"));
    CHECK_FALSE(without.uplink().online());
  }
  auto settings = scene.settings();
  settings.certificate = mine;
  settings.key = my_key;
  Station with(settings);
  CHECK(with.goes_online());
}

TEST_CASE("link: a missing or unreadable certificate file is named, and works once it is there") {
  TlsScene scene;
  scene.start_broker(valid);
  auto settings = scene.settings();
  settings.ca = scene.folder.file("later.pem");
  Station station(settings);
  REQUIRE(station.fails_with("uplink.ca " + settings.ca));
  scene.authority.write(settings.ca);
  CHECK(station.goes_online());
}

TEST_CASE("link: a refused connection is retried until it is accepted") {
  const auto port = free_port();
  std::optional<Broker> broker;
  broker.emplace(port, "allow_anonymous false\n");
  Station station(plain(port));
  REQUIRE(station.fails_with("refused the connection"));
  broker.reset();
  broker.emplace(port, anonymous);
  CHECK(station.goes_online());
}

TEST_CASE("link: every refusal that MQTT 5 knows ends the attempt with its name, and the next one follows") {
  std::atomic<int> code{0x80};
  RawPeer peer([&](int descriptor, const std::atomic<bool>&) {
    std::array<char, 1'024> request{};
    static_cast<void>(::read(descriptor, request.data(), request.size()));
    const std::array<unsigned char, 5> connack{0x20, 0x03, 0x00, static_cast<unsigned char>(code.load()), 0x00};
    static_cast<void>(::write(descriptor, connack.data(), connack.size()));
  });
  Station station(plain(peer.port()));
  for (const int refusal : {MQTT_RC_UNSPECIFIED,
                            MQTT_RC_MALFORMED_PACKET,
                            MQTT_RC_PROTOCOL_ERROR,
                            MQTT_RC_IMPLEMENTATION_SPECIFIC,
                            MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION,
                            MQTT_RC_CLIENTID_NOT_VALID,
                            MQTT_RC_BAD_USERNAME_OR_PASSWORD,
                            MQTT_RC_NOT_AUTHORIZED,
                            MQTT_RC_SERVER_UNAVAILABLE,
                            MQTT_RC_SERVER_BUSY,
                            MQTT_RC_BANNED,
                            MQTT_RC_BAD_AUTHENTICATION_METHOD,
                            MQTT_RC_TOPIC_NAME_INVALID,
                            MQTT_RC_PACKET_TOO_LARGE,
                            MQTT_RC_QUOTA_EXCEEDED,
                            MQTT_RC_PAYLOAD_FORMAT_INVALID,
                            MQTT_RC_RETAIN_NOT_SUPPORTED,
                            MQTT_RC_QOS_NOT_SUPPORTED,
                            MQTT_RC_USE_ANOTHER_SERVER,
                            MQTT_RC_SERVER_MOVED,
                            MQTT_RC_CONNECTION_RATE_EXCEEDED}) {
    code = refusal;
    CAPTURE(refusal);
    CHECK(station.fails_with(fmt::format("(0x{:02x})", refusal)));
  }
}

TEST_CASE("link: a handshake that stalls is given up, costs little CPU, and the next attempt follows") {
  RawPeer peer([](int descriptor, const std::atomic<bool>& stopping) {
    std::array<char, 4'096> request{};
    while (!stopping && ::read(descriptor, request.data(), request.size()) > 0) {
    }
  });
  // One authority, not the system's 140: reading those costs more than what is measured here.
  TlsScene scene;
  const std::string ca = scene.ca;
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    auto settings = plain(peer.port());
    settings.tls = tls;
    settings.ca = ca;
    const int before = peer.connections();
    const auto cpu = testing::cpu_time();
    Station station(settings, 700ms);
    CHECK(station.fails_with("no connection within"));
    CHECK(station.run_until([&] { return peer.connections() >= before + 2; }));
    CHECK(testing::cpu_time() - cpu < 300ms);
  }
}

TEST_CASE("link: a subscription that the broker refuses is no connection") {
  TempFolder folder;
  testing::write_file(folder.file("acl"), "topic write up/#\n");
  Broker broker(free_port(), anonymous + "acl_file " + folder.file("acl") + "\n");
  Station station(plain(broker.port()));
  // 2.0.11 grants every subscription and enforces the list when it delivers; newer brokers answer 0x87 here. Either is
  // fine, as long as one that is refused is never taken for a connection.
  CHECK(station.run_until([&] {
    return station.uplink().online() ||
           station.uplink().last_error().find("refused to let us hear") != std::string::npos;
  }));
}

TEST_CASE("link: a publish that the broker's access list denies becomes visible") {
  TempFolder folder;
  testing::write_file(folder.file("acl"), "topic read down/#\n");
  Broker broker(free_port(), anonymous + "acl_file " + folder.file("acl") + "\n");
  Station station(plain(broker.port()));
  REQUIRE(station.goes_online());
  station.publish("up/shop-1", "x");
  CHECK(station.fails_with("0x87 (not authorised"));
  CHECK(station.uplink().online());
}

TEST_CASE("link: a half-open connection is noticed by pings that nobody answers, and a new one is made") {
  Broker broker(free_port(), anonymous);
  Relay relay(broker.port());
  Station station(plain(relay.port()));
  REQUIRE(station.goes_online());
  relay.freeze(true);
  CHECK(station.run_until([&] { return !station.uplink().online(); }, 30s));
  CHECK(station.uplink().last_error().find("pings") != std::string::npos);
  relay.freeze(false);
  CHECK(station.goes_online());
}

TEST_CASE("link: a broker that is killed and started again is found again") {
  const auto port = free_port();
  std::optional<Broker> broker;
  broker.emplace(port, anonymous);
  Station station(plain(port));
  for (int round = 0; round < 3; ++round) {
    REQUIRE(station.goes_online());
    broker.reset();
    REQUIRE(station.run_until([&] { return !station.uplink().online(); }));
    broker.emplace(port, anonymous);
  }
  CHECK(station.goes_online());
}

TEST_CASE("link: a name that does not resolve is named, and the attempts go on") {
  auto settings = plain(1'883);
  settings.host = "broker.invalid";
  Station station(settings);
  CHECK(station.fails_with("cannot resolve broker.invalid"));
  CHECK(station.run_until([&] { return station.uplink().counters().attempts >= 3; }));
}

TEST_CASE("link: ending it takes no longer than a moment, in whatever state it is") {
  RawPeer silent([](int, const std::atomic<bool>& stopping) {
    static_cast<void>(testing::wait_until([&] { return stopping.load(); }, 60s));
  });
  for (const char* host : {"127.0.0.1", "slow.invalid"}) {
    auto settings = plain(silent.port());
    settings.host = host;
    settings.tls = true;
    std::optional<Station> station(std::in_place, settings);
    static_cast<void>(station->run_until([&] { return station->uplink().counters().attempts > 0; }));
    const auto start = std::chrono::steady_clock::now();
    station.reset();
    CHECK(std::chrono::steady_clock::now() - start < 1s);
  }
}

TEST_CASE("link: the user's name and password reach the broker, read anew from their file") {
  TempFolder folder;
  testing::write_file(folder.file("password"), "wrong\n");
  // mosquitto_passwd's format is a salted hash: made by the tool itself.
  testing::write_file(folder.file("users"), "");
  REQUIRE(std::system(fmt::format("mosquitto_passwd -b {} shop-1 right 2>/dev/null", folder.file("users")).c_str()) ==
          0);
  Broker broker(free_port(), fmt::format("allow_anonymous false\npassword_file {}\n", folder.file("users")));
  auto settings = plain(broker.port());
  settings.username = "shop-1";
  settings.password_file = folder.file("password");
  Station station(settings);
  REQUIRE(station.fails_with("refused the connection"));
  testing::write_file(folder.file("password"), "right\n");
  CHECK(station.goes_online());
}
