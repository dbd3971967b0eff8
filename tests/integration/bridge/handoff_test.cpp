// The whole bridge program between a real broker and its real stream, killed at will: against a real handoff::Sender,
// and against a gateway that says what a test tells it to say.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <map>

#include "cloud-bridge/adapters/paho/connection.hpp"
#include "proto/handoff/sender.hpp"
#include "proto/handoff/topics.hpp"
#include "proto/platform/system.hpp"
#include "proto/wire/codec.hpp"
#include "tests/integration/gateway/broker.hpp"
#include "tests/support/bridge/scripted_gateway.hpp"
#include "tests/support/handoff/model_journal.hpp"
#include "tests/support/stream/stream_db.hpp"
#include "tests/support/temp_folder.hpp"

using namespace std::chrono_literals;
using support::ScriptedGateway;
namespace v1 = tillstream::v1;

namespace {

// tillstream-bridge as a process of its own, on a stream in the test's folder.
class BridgeProcess {
 public:
  explicit BridgeProcess(std::uint16_t broker_port) : admin_port_(testing::free_port()) {
    std::ofstream(config()) << "[bridge]\nid = \"bridge-1\"\n[broker]\nurl = \"mqtt://127.0.0.1:" << broker_port
                            << "\"\n[stream]\nkind = \"sqlite\"\n[stream.sqlite]\npath = \"" << stream()
                            << "\"\n[admin]\nlisten = \"127.0.0.1:" << admin_port_ << "\"\n";
    start();
  }
  BridgeProcess(const BridgeProcess&) = delete;
  BridgeProcess& operator=(const BridgeProcess&) = delete;
  ~BridgeProcess() { kill9(); }

  void start() {
    const std::string config_path = config();  // nothing is allocated between fork and exec
    process_ = fork();
    REQUIRE(process_ >= 0);
    if (process_ != 0) return;
    execl(TILLSTREAM_BRIDGE, TILLSTREAM_BRIDGE, "run", "--config", config_path.c_str(), nullptr);
    _exit(127);
  }
  void kill9() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
    process_ = -1;
  }
  void restart() {
    kill9();
    start();
  }
  [[nodiscard]] std::string stream() const { return (folder_.path() / "stream.db").string(); }

 private:
  [[nodiscard]] std::string config() const { return (folder_.path() / "bridge.toml").string(); }

  support::TempFolder folder_;
  std::uint16_t admin_port_;
  pid_t process_ = -1;
};

// A gateway's line to the broker.
class Line {
 public:
  Line(std::uint16_t port, const std::string& id)
      : up_(handoff::up_topic(handoff::shard_of(platform::hasher(), id), id)),
        down_(handoff::down_topic(handoff::shard_of(platform::hasher(), id), id)),
        owner_(handoff::owner_topic(handoff::shard_of(platform::hasher(), id))),
        connection_(settings(port, id), [] {}) {
    connection_.connect({down_, owner_});
    REQUIRE(testing::wait_until([this] {
      const auto event = connection_.next();
      return event && std::holds_alternative<paho::Online>(*event);
    }));
  }

  void say(const base::Bytes& payload) { say_on(up_, payload); }
  void say_on(const std::string& topic, const base::Bytes& payload) { REQUIRE(connection_.publish(topic, payload)); }
  // What the bridge has said since.
  std::optional<v1::Down> next() {
    while (auto event = connection_.next()) {
      const auto* message = std::get_if<paho::Message>(&*event);
      v1::Down down;
      if (message != nullptr && down.ParseFromString(message->payload)) return down;
    }
    return std::nullopt;
  }

 private:
  static paho::Settings settings(std::uint16_t port, const std::string& id) {
    paho::Settings settings;
    settings.host = "127.0.0.1";
    settings.port = port;
    settings.client_id = id;
    settings.connect_timeout = 20s;
    return settings;
  }

  std::string up_;
  std::string down_;
  std::string owner_;
  paho::Connection connection_;
};

// A gateway without a program: the real sender, on a journal in memory.
class RealGateway {
 public:
  RealGateway(std::uint16_t port, const std::string& id)
      : journal_(platform::hasher(), random_),
        line_(port, id),
        sender_(platform::hasher(), random_, {.gateway_id = id, .batch_events = 16}) {
    sender_.on_opened(journal_.open(random_), now());
    sender_.on_connected({}, now());
  }

  void append(std::uint64_t count) {
    std::vector<base::Bytes> records;
    for (std::uint64_t i = 0; i < count; ++i) records.push_back(ScriptedGateway::event(++events_));
    const handoff::Row first = journal_.append(records);
    sender_.on_appended(first, records, now());
  }
  [[nodiscard]] std::uint64_t pending() const { return sender_.pending(); }
  [[nodiscard]] const handoff::SenderCounters& counters() const { return sender_.counters(); }
  void turn() {
    while (const auto down = line_.next()) {
      if (down->has_ack()) sender_.on_ack(down->ack(), now());
      if (down->has_owner()) sender_.on_owner(down->owner(), now());
    }
    while (auto output = sender_.poll(now())) carry_out(*output);
  }

 private:
  static base::Instant now() { return platform::now().instant; }

  void carry_out(handoff::SenderOutput& output) {
    if (auto* send = std::get_if<handoff::Send>(&output)) line_.say(wire::encode(std::move(send->up)));
    if (auto* read = std::get_if<handoff::Read>(&output)) {
      sender_.on_rows(read->from, journal_.read(read->from, read->max_rows, read->max_bytes), now());
    }
    if (auto* store = std::get_if<handoff::StoreEpoch>(&output)) {
      journal_.start_epoch(store->start, store->run);
      sender_.on_epoch_stored(now());
    }
    if (auto* acked = std::get_if<handoff::Acked>(&output)) journal_.remember_acked(acked->mark);
  }

  support::SeededRandom random_{7};
  support::ModelJournal journal_;
  Line line_;
  handoff::Sender sender_;
  std::uint64_t events_ = 0;
};

std::string asked(const BridgeProcess& bridge, const std::string& sql) {
  return test::ForeignConnection(bridge.stream()).text(sql);
}

// What the stream holds of an epoch, as consumers order it: "1 2 3".
std::string seqs(const BridgeProcess& bridge, const std::string& epoch) {
  return asked(bridge, "SELECT group_concat(seq, ' ') FROM (SELECT seq FROM events WHERE epoch = '" + epoch +
                           "' ORDER BY position)");
}

// Says it again until the bridge answers as wanted: QoS 0 promises nothing while the bridge is away.
template <class Wanted>
void until_acked(Line& line, const base::Bytes& payload, const Wanted& wanted) {
  REQUIRE(testing::wait_until([&] {
    line.say(payload);
    return testing::wait_until(
        [&] {
          while (const auto down = line.next()) {
            if (down->has_ack() && wanted(down->ack())) return true;
          }
          return false;
        },
        500ms);
  }));
}

auto at_seq(std::uint64_t seq) {
  return [seq](const v1::Ack& ack) { return ack.seq() == seq && ack.reason() == v1::Ack::PROGRESS; };
}
auto with_reason(v1::Ack::Reason reason) {
  return [reason](const v1::Ack& ack) { return ack.reason() == reason; };
}
auto answering(std::uint64_t nonce) {
  return [nonce](const v1::Ack& ack) { return ack.has_nonce() && ack.nonce() == nonce; };
}

}  // namespace

TEST_CASE("bridge: a real sender's rows are in the stream once and in order, however often the bridge is killed") {
  testing::Broker broker(testing::free_port(), testing::anonymous);
  BridgeProcess bridge(broker.port());
  RealGateway gateway(broker.port(), "shop-1");
  for (int round = 0; round < 4; ++round) {
    gateway.append(200);
    const std::uint64_t half = gateway.pending() / 2;
    REQUIRE(testing::wait_until([&] {
      gateway.turn();
      return gateway.pending() <= half;
    }));
    bridge.restart();
    gateway.append(50);
  }
  REQUIRE(testing::wait_until([&] {
    gateway.turn();
    return gateway.pending() == 0;
  }));
  CHECK(asked(bridge,
              "SELECT count(*) || ' ' || count(DISTINCT event_id) || ' ' || min(seq) || ' ' || max(seq) FROM events") ==
        "1000 1000 1 1000");
  CHECK(asked(bridge, "SELECT count(*) FROM events a JOIN events b ON b.position > a.position AND b.seq < a.seq") ==
        "0");
  CHECK(asked(bridge, "SELECT count(*) FROM dead_letters") == "0");
}

TEST_CASE("bridge: gap, overlap, repeat and a foreign epoch leave the stream as it should be, also across a kill -9") {
  testing::Broker broker(testing::free_port(), testing::anonymous);
  BridgeProcess bridge(broker.port());
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  ScriptedGateway clone(platform::hasher(), "shop-1", 2);
  gateway.append_events(9);
  clone.append_events(3);
  Line line(broker.port(), "shop-1");
  until_acked(line, gateway.hello(1), answering(1));
  until_acked(line, gateway.batch(1, 3), at_seq(3));
  until_acked(line, gateway.batch(5, 6), at_seq(3));  // a gap
  bridge.restart();
  until_acked(line, gateway.batch(2, 5), at_seq(5));  // an overlap, at a bridge that has read its progress back
  until_acked(line, gateway.batch(1, 5), at_seq(5));  // a repeat
  until_acked(line, clone.batch(1, 3), with_reason(v1::Ack::MISMATCH));
  until_acked(line, clone.hello(2), answering(2));  // supersedes nothing: changes nothing
  bridge.restart();
  until_acked(line, gateway.batch(6, 9), at_seq(9));
  CHECK(seqs(bridge, gateway.epoch_hex()) == "1 2 3 4 5 6 7 8 9");
  CHECK(asked(bridge, "SELECT count(*) FROM events") == "9");
}

TEST_CASE("bridge: poison ends as dead letters with their reason, leaves no gap, and a newer schema is held") {
  testing::Broker broker(testing::free_port(), testing::anonymous);
  BridgeProcess bridge(broker.port());
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  ScriptedGateway other(platform::hasher(), "shop-2");
  Line line(broker.port(), "shop-1");
  until_acked(line, gateway.hello(1), answering(1));
  gateway.append_events(1);
  gateway.append("\xff\xff\xffno event");
  v1::Event huge;
  REQUIRE(huge.ParseFromString(ScriptedGateway::event(3)));
  huge.set_merchant_name(std::string(70'000, 'x'));
  gateway.append(huge.SerializeAsString());
  gateway.append(ScriptedGateway::event(4));
  gateway.append(ScriptedGateway::event(5, 9));
  for (int i = 0; i < 3; ++i) {
    line.say("\xff\xff\xffno message");
    line.say(other.hello(1));
  }
  until_acked(line, gateway.batch(1, 4), at_seq(4));
  until_acked(line, gateway.batch(5, 5), with_reason(v1::Ack::UPGRADE_BRIDGE));
  bridge.restart();
  until_acked(line, gateway.batch(5, 5, 9), with_reason(v1::Ack::UPGRADE_BRIDGE));
  CHECK(seqs(bridge, gateway.epoch_hex()) == "1 2 3 4");
  CHECK(asked(bridge, "SELECT group_concat(type, ' ') FROM (SELECT type FROM events ORDER BY position)") ==
        "sale notice notice sale");
  CHECK(asked(bridge,
              "SELECT group_concat(reason, ' ') FROM (SELECT reason FROM dead_letters WHERE epoch <> '' ORDER BY "
              "reason)") == "too_large undecodable");
  CHECK(
      asked(
          bridge,
          "SELECT group_concat(reason, ' ') FROM (SELECT reason FROM dead_letters WHERE epoch = '' ORDER BY reason)") ==
      "gateway_mismatch undecodable");
}

TEST_CASE("bridge: an id that two boxes take from each other is quarantined, and stays so across a kill -9") {
  testing::Broker broker(testing::free_port(), testing::anonymous);
  BridgeProcess bridge(broker.port());
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  Line line(broker.port(), "shop-1");
  v1::Progress stored;
  const auto learning = [&stored](std::uint64_t nonce) {
    return [&stored, nonce](const v1::Ack& ack) {
      if (ack.has_nonce() && ack.nonce() == nonce && ack.has_progress()) stored = ack.progress();
      return ack.has_nonce() && ack.nonce() == nonce;
    };
  };
  until_acked(line, gateway.hello(1), learning(1));
  for (std::uint64_t nonce = 2; nonce <= 4; ++nonce) {
    const v1::Progress before = stored;
    gateway.begin_epoch();
    gateway.begin_run();
    until_acked(line, gateway.hello(nonce, &before), learning(nonce));
  }
  gateway.append_events(1);
  bridge.restart();
  until_acked(line, gateway.batch(1, 1), with_reason(v1::Ack::QUARANTINED));
  CHECK(asked(bridge, "SELECT count(*) FROM events WHERE value LIKE '%gateway_cloned%'") == "1");
  CHECK(seqs(bridge, gateway.epoch_hex()).empty());
}
