// The connection to a real broker, and to peers that misbehave.
#include "cloud-bridge/adapters/paho/connection.hpp"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "tests/integration/gateway/broker.hpp"
#include "tests/integration/gateway/certificates.hpp"
#include "tests/support/temp_folder.hpp"

using namespace std::chrono_literals;

namespace {

paho::Settings settings_for(std::uint16_t port, const std::string& client_id = "test") {
  paho::Settings settings;
  settings.host = "127.0.0.1";
  settings.port = port;
  settings.client_id = client_id;
  settings.connect_timeout = 20s;  // a busy machine is no reason to fail
  return settings;
}

// A connection whose events a test waits for.
class Client {
 public:
  explicit Client(paho::Settings settings)
      : connection(std::move(settings), [this] {
          const std::lock_guard lock(mutex_);
          ++wakes_;
          woken_.notify_all();
        }) {}

  // The next event, which must be of this kind.
  template <class Kind>
  Kind await(std::chrono::seconds deadline = 40s) {
    const auto end = std::chrono::steady_clock::now() + deadline;
    std::unique_lock lock(mutex_);
    while (true) {
      const int seen = wakes_;
      lock.unlock();
      auto event = connection.next();
      lock.lock();
      if (event) {
        const auto* lost = std::get_if<paho::Offline>(&*event);
        REQUIRE_MESSAGE(std::holds_alternative<Kind>(*event), (lost != nullptr ? lost->reason : "another event"));
        return std::get<Kind>(std::move(*event));
      }
      REQUIRE(woken_.wait_until(lock, end, [&] { return wakes_ != seen; }));
    }
  }
  void connect(const std::string& filter = "up/#") {
    connection.connect({filter});
    await<paho::Online>();
  }

 private:
  std::mutex mutex_;
  std::condition_variable woken_;
  int wakes_ = 0;

 public:
  paho::Connection connection;
};

// Of the connected sockets to this port: how many there are, and how many wait for no delayed ACK.
std::pair<int, int> sockets_without_delay(std::uint16_t port) {
  int all = 0, without = 0;
  for (int descriptor = 0; descriptor < 1024; ++descriptor) {
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &size) != 0 || ntohs(peer.sin_port) != port)
      continue;
    int on = 0;
    socklen_t on_size = sizeof on;
    getsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, &on_size);
    ++all;
    without += on != 0 ? 1 : 0;
  }
  return {all, without};
}

}  // namespace

TEST_CASE("connection: takes what its filters ask for, publishes what it is given, and waits for no delayed ACK") {
  testing::Broker broker(testing::free_port(), testing::anonymous);
  Client bridge(settings_for(broker.port(), "bridge"));
  Client gateway(settings_for(broker.port(), "gateway"));
  bridge.connect("up/#");
  gateway.connect("down/#");
  CHECK(sockets_without_delay(broker.port()) == std::pair(2, 2));
  const std::string bytes("\0\xff binary \0", 11);
  REQUIRE(gateway.connection.publish("up/1", bytes));
  const auto message = bridge.await<paho::Message>();
  CHECK(message.topic == "up/1");
  CHECK(message.payload == bytes);
  REQUIRE(bridge.connection.publish("down/1", ""));
  CHECK(gateway.await<paho::Message>().payload.empty());
}

TEST_CASE("connection: many messages come in their order, each once") {
  testing::Broker broker(testing::free_port(), testing::anonymous);
  Client bridge(settings_for(broker.port(), "bridge"));
  Client gateway(settings_for(broker.port(), "gateway"));
  bridge.connect();
  gateway.connect("down/#");
  const int count = 5'000;
  for (int i = 0; i < count; ++i) {
    REQUIRE(testing::wait_until([&] { return gateway.connection.publish("up/1", std::to_string(i)); }));
  }
  for (int i = 0; i < count; ++i) REQUIRE(bridge.await<paho::Message>().payload == std::to_string(i));
  CHECK(bridge.connection.counters().messages_dropped == 0);
}

TEST_CASE("connection: takes a burst of publishes, one a shard and more, without dropping any") {
  testing::Broker broker(testing::free_port(), testing::anonymous);
  Client bridge(settings_for(broker.port(), "bridge"));
  Client gateway(settings_for(broker.port(), "gateway"));
  bridge.connect("up/#");
  gateway.connect("down/#");
  for (int i = 0; i < 1'000; ++i) CHECK(bridge.connection.publish("down/1", std::to_string(i)));
  for (int i = 0; i < 1'000; ++i) REQUIRE(gateway.await<paho::Message>().payload == std::to_string(i));
  CHECK(bridge.connection.counters().publishes_dropped == 0);
}

TEST_CASE("connection: a broker that is down is an Offline with its address; asked again when it is up, it connects") {
  const std::uint16_t port = testing::free_port();
  Client bridge(settings_for(port));
  bridge.connection.connect({"up/#"});
  CHECK(bridge.await<paho::Offline>().reason ==
        "tcp://127.0.0.1:" + std::to_string(port) + ": cannot connect: Connection refused");
  CHECK_FALSE(bridge.connection.publish("down/1", "x"));
  CHECK(bridge.connection.counters().publishes_dropped == 1);
  const testing::Broker broker(port, testing::anonymous);
  bridge.connect();
}

TEST_CASE("connection: a broker that dies is one Offline, and the next connect finds the new one") {
  const std::uint16_t port = testing::free_port();
  Client bridge(settings_for(port));
  for (int round = 0; round < 3; ++round) {
    {
      const testing::Broker broker(port, testing::anonymous);
      bridge.connect();
      CHECK(bridge.connection.publish("down/1", "x"));
    }
    bridge.await<paho::Offline>();
    CHECK_FALSE(bridge.connection.next());
  }
}

TEST_CASE("connection: what does not fit the queue is dropped and counted, and the line goes on") {
  testing::Broker broker(testing::free_port(), testing::anonymous);
  auto settings = settings_for(broker.port(), "bridge");
  settings.queue_messages_max = 10;
  Client bridge(settings);
  Client gateway(settings_for(broker.port(), "gateway"));
  bridge.connect();
  gateway.connect("down/#");
  const std::uint64_t count = 100;
  for (std::uint64_t i = 0; i < count; ++i) REQUIRE(gateway.connection.publish("up/1", std::to_string(i)));
  REQUIRE(testing::wait_until([&] { return bridge.connection.counters().messages_dropped == count - 10; }));
  CHECK(bridge.connection.counters().messages_waiting == 10);
  for (int i = 0; i < 10; ++i) CHECK(bridge.await<paho::Message>().payload == std::to_string(i));
  CHECK(bridge.connection.counters().bytes_waiting == 0);
  REQUIRE(gateway.connection.publish("up/1", "more"));
  CHECK(bridge.await<paho::Message>().payload == "more");
}

TEST_CASE("connection: the queue is bounded in bytes, too") {
  testing::Broker broker(testing::free_port(), testing::anonymous);
  auto settings = settings_for(broker.port(), "bridge");
  settings.queue_bytes_max = 100'000;
  Client bridge(settings);
  Client gateway(settings_for(broker.port(), "gateway"));
  bridge.connect();
  gateway.connect("down/#");
  for (int i = 0; i < 5; ++i) REQUIRE(gateway.connection.publish("up/1", std::string(40'000, 'x')));
  REQUIRE(testing::wait_until([&] { return bridge.connection.counters().messages_dropped == 3; }));
  CHECK(bridge.connection.counters().bytes_waiting <= 100'000);
}

TEST_CASE(
    "connection: a certificate of an unknown authority is refused with its reason, and its mending found without a "
    "restart") {
  const support::TempFolder folder;
  const testing::Authority ours("ours");
  const testing::Authority other("other");
  ours.issue({.name = "broker", .alternative_name = "IP:127.0.0.1,DNS:localhost"}, folder.file("b.pem"),
             folder.file("b.key"));
  other.write(folder.file("ca.pem"));
  const testing::Broker broker(testing::free_port(), testing::tls_lines(folder.file("b.pem"), folder.file("b.key")));
  auto settings = settings_for(broker.port());
  settings.host = "localhost";
  settings.tls = paho::Tls{.ca = folder.file("ca.pem"), .certificate = "", .key = ""};
  Client bridge(settings);
  bridge.connection.connect({"up/#"});
  const std::string reason = bridge.await<paho::Offline>().reason;
  CAPTURE(reason);
  CHECK(reason.find("the broker's certificate is refused: unable to get local issuer certificate") !=
        std::string::npos);
  ours.write(folder.file("ca.pem"));
  bridge.connect();
}

TEST_CASE(
    "connection: a certificate for another host, an expired one and one of tomorrow are refused with the reason") {
  const support::TempFolder folder;
  const testing::Authority authority("ours");
  authority.write(folder.file("ca.pem"));
  const std::vector<std::pair<testing::CertificateWish, std::string>> bad{
      {{.name = "broker", .alternative_name = "DNS:elsewhere.example"},
       "hostname mismatch (it does not carry localhost)"},
      {{.name = "broker", .alternative_name = "DNS:localhost", .not_before = -48h, .not_after = -24h},
       "certificate has expired"},
      {{.name = "broker", .alternative_name = "DNS:localhost", .not_before = 24h, .not_after = 48h},
       "certificate is not yet valid"}};
  for (const auto& [wish, why] : bad) {
    authority.issue(wish, folder.file("b.pem"), folder.file("b.key"));
    const testing::Broker broker(testing::free_port(), testing::tls_lines(folder.file("b.pem"), folder.file("b.key")));
    auto settings = settings_for(broker.port());
    settings.host = "localhost";
    settings.tls = paho::Tls{.ca = folder.file("ca.pem"), .certificate = "", .key = ""};
    Client bridge(settings);
    bridge.connection.connect({"up/#"});
    CHECK(bridge.await<paho::Offline>().reason ==
          "ssl://localhost:" + std::to_string(broker.port()) + ": the broker's certificate is refused: " + why);
  }
}

TEST_CASE("connection: files that cannot be used, and a broker that refuses ours, are told as what they are") {
  const support::TempFolder folder;
  const testing::Authority authority("ours");
  const testing::Authority stranger("a stranger");
  const std::string ca = folder.file("ca.pem");
  const std::string junk = folder.file("junk.pem");
  const std::string mine = folder.file("mine.pem");
  const std::string key = folder.file("mine.key");
  const std::string other_key = folder.file("other.key");
  authority.write(ca);
  testing::write_file(junk, "junk");
  authority.issue({.name = "bridge", .alternative_name = {}}, folder.file("other.pem"), other_key);
  authority.issue({.name = "localhost", .alternative_name = "DNS:localhost"}, folder.file("b.pem"),
                  folder.file("b.key"));
  const testing::Broker broker(testing::free_port(), testing::tls_lines(folder.file("b.pem"), folder.file("b.key")) +
                                                         "cafile " + ca + "\nrequire_certificate true\n");
  auto settings = settings_for(broker.port());
  settings.host = "localhost";
  Client bridge(settings);
  const auto offline = [&](const paho::Tls& tls) {
    settings.tls = tls;
    bridge.connection.configure(settings);
    bridge.connection.connect({"up/#"});
    return bridge.await<paho::Offline>().reason;
  };
  const auto says = [](const std::string& reason, const std::string& part) {
    CAPTURE(reason);
    CHECK(reason.find(part) != std::string::npos);
  };
  authority.issue({.name = "bridge", .alternative_name = {}}, mine, key);
  says(offline({.ca = junk, .certificate = mine, .key = key}), "broker.ca " + junk + ": no certificate");
  says(offline({.ca = ca, .certificate = mine, .key = other_key}), "broker.key " + other_key + ": key values mismatch");
  says(offline({.ca = ca, .certificate = {}, .key = {}}), "the broker refuses our side of TLS: ");
  stranger.issue({.name = "bridge", .alternative_name = {}}, mine, key);
  says(offline({.ca = ca, .certificate = mine, .key = key}), "the broker refuses our side of TLS: ");
  authority.issue({.name = "bridge", .alternative_name = {}, .not_before = -48h, .not_after = -24h}, mine, key);
  says(offline({.ca = ca, .certificate = mine, .key = key}), "certificate expired");
  // What went wrong before is told no more.
  authority.issue({.name = "bridge", .alternative_name = {}}, mine, key);
  settings.tls = paho::Tls{.ca = ca, .certificate = mine, .key = key};
  bridge.connection.configure(settings);
  bridge.connect();
}

TEST_CASE("connection: a peer that speaks no TLS, and one that says nothing, are told as what they are") {
  const testing::Broker plain(testing::free_port(), testing::anonymous);
  const support::TempFolder folder;
  const testing::Authority authority("ours");
  authority.write(folder.file("ca.pem"));
  auto settings = settings_for(plain.port());
  settings.tls = paho::Tls{.ca = folder.file("ca.pem"), .certificate = {}, .key = {}};
  Client bridge(settings);
  bridge.connection.connect({"up/#"});
  CHECK(bridge.await<paho::Offline>().reason.find("TLS handshake: ") != std::string::npos);
  const testing::RawPeer silent([](int, const std::atomic<bool>& stopping) {
    static_cast<void>(testing::wait_until([&] { return stopping.load(); }, 30s));
  });
  settings.port = silent.port();
  settings.connect_timeout = 2s;
  Client patient(settings);
  patient.connection.connect({"up/#"});
  CHECK(patient.await<paho::Offline>().reason.find("no TLS handshake within 3000 ms") != std::string::npos);
}

TEST_CASE("connection: a refused login, or a password that cannot be read, is an Offline that says so") {
  const support::TempFolder folder;
  testing::write_file(folder.file("secret"), "wrong\n");
  testing::write_file(folder.file("users"), "");
  const testing::Broker broker(testing::free_port(),
                               "allow_anonymous false\npassword_file " + folder.file("users") + "\n");
  auto settings = settings_for(broker.port());
  settings.username = "bridge";
  settings.password_file = folder.file("secret");
  Client bridge(settings);
  bridge.connection.connect({"up/#"});
  const std::string reason = bridge.await<paho::Offline>().reason;
  CAPTURE(reason);
  CHECK(reason.find("orized") != std::string::npos);
  settings.password_file = folder.file("none");
  bridge.connection.configure(settings);
  bridge.connection.connect({"up/#"});
  CHECK(bridge.await<paho::Offline>().reason.find("password_file") != std::string::npos);
}

TEST_CASE("connection: a peer that accepts and says nothing is given up, and keeps nobody from leaving") {
  const testing::RawPeer silent([](int, const std::atomic<bool>& stopping) {
    static_cast<void>(testing::wait_until([&] { return stopping.load(); }, 30s));
  });
  {
    auto settings = settings_for(silent.port());
    settings.connect_timeout = 2s;
    Client bridge(settings);
    bridge.connection.connect({"up/#"});
    bridge.await<paho::Offline>();
  }
  const auto begun = std::chrono::steady_clock::now();
  {
    auto settings = settings_for(silent.port());
    settings.connect_timeout = 30s;
    Client bridge(settings);
    bridge.connection.connect({"up/#"});
    REQUIRE(testing::wait_until([&] { return silent.connections() >= 1; }));
  }
  CHECK(std::chrono::steady_clock::now() - begun < 10s);
}
