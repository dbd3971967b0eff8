#include <doctest/doctest.h>

#include <functional>
#include <set>
#include <sstream>

#include "cloud-bridge/status/observe.hpp"
#include "cloud-bridge/status/snapshot.hpp"
#include "proto/platform/system.hpp"
#include "tests/support/bridge/scripted_gateway.hpp"
#include "tests/support/seeded_random.hpp"

using namespace std::chrono_literals;

namespace {

status::Snapshot healthy() {
  status::Snapshot snapshot;
  snapshot.bridge_id = "bridge-1";
  snapshot.version = "1.2.3";
  snapshot.broker.url = "mqtt://127.0.0.1:1883";
  snapshot.broker.connected = true;
  snapshot.stream_kind = "sqlite";
  snapshot.stream.up = true;
  snapshot.partitions.push_back({.owned = true, .lost_reason = "", .shards = 256, .waiting_for = std::nullopt});
  return snapshot;
}

std::set<std::string> codes(const status::Snapshot& snapshot) {
  std::set<std::string> codes;
  for (const auto& reason : status::ill_health(snapshot, {})) codes.insert(reason.code);
  return codes;
}

}  // namespace

TEST_CASE("health: fine when all works; each thing that stops progress is named, and nothing else") {
  CHECK(codes(healthy()).empty());
  const std::vector<std::pair<std::string, std::function<void(status::Snapshot&)>>> faults{
      {"stream_down", [](auto& s) { s.stream.up = false; }},
      {"stream_blocked", [](auto& s) { s.stream.blocked = "full"; }},
      {"partition_not_owned", [](auto& s) { s.partitions[0].owned = false; }},
      {"commit_stalled", [](auto& s) { s.partitions[0].waiting_for = 11s; }},
      {"broker_unreachable",
       [](auto& s) {
         s.broker.connected = false;
         s.broker.offline_for = 16s;
       }},
      {"gateways_held", [](auto& s) { s.held_total = 1; }},
      {"progress_unreadable", [](auto& s) { s.unreadable_total = 1; }}};
  for (const auto& [code, fault] : faults) {
    auto snapshot = healthy();
    fault(snapshot);
    CHECK(codes(snapshot) == std::set<std::string>{code});
    CHECK(status::health_json(status::ill_health(snapshot, {})).find(code) != std::string::npos);
    CHECK(status::to_json(snapshot, {}).find("\"healthy\":false") != std::string::npos);
  }
}

TEST_CASE("health: a moment without broker, a short wait and a quarantined gateway are no ill health") {
  auto snapshot = healthy();
  snapshot.broker.connected = false;
  snapshot.broker.offline_for = 14s;
  snapshot.partitions[0].waiting_for = 9s;
  snapshot.quarantined_total = 1;
  CHECK(codes(snapshot).empty());
  REQUIRE(status::unreadiness(snapshot, {}).size() == 1);
  CHECK(status::unreadiness(snapshot, {})[0].code == "broker_offline");
  CHECK(status::alarms(snapshot).size() == 1);
}

TEST_CASE("status: the stream's last error stays with its time when it is over") {
  auto snapshot = healthy();
  CHECK(status::to_json(snapshot, {}).find("last_error") == std::string::npos);
  snapshot.stream.last_error = "disk I/O error";
  snapshot.stream.last_error_at = base::UtcTime(1'795'000'000'000ms);
  CHECK(status::to_json(snapshot, {})
            .find(R"("last_error":"disk I/O error","last_error_at":"2026-11-18T11:06:40.000Z")") != std::string::npos);
  CHECK(codes(snapshot).empty());
}

TEST_CASE("status: what this process has committed stands among its counters, not under the stream") {
  auto snapshot = healthy();
  snapshot.counters.committed = 7;
  const std::string json = status::to_json(snapshot, {});
  CHECK(json.find(R"("committed_records":7)") != std::string::npos);
  CHECK(json.find("records_total") == std::string::npos);
}

TEST_CASE("health: a stream that is down says why; where its partitions do, it tells no older story beside them") {
  auto snapshot = healthy();
  snapshot.stream.up = false;
  snapshot.stream.last_error = "fenced";
  CHECK(status::ill_health(snapshot, {}).front().message == "the stream is down: fenced");
  snapshot.stream.shares = {{.partition = stream::Partition(0), .owned = false, .reason = "being taken"}};
  CHECK(status::ill_health(snapshot, {}).front().message == "the stream is down");
}

TEST_CASE("status: foreign text stays text, whatever is in it") {
  auto snapshot = healthy();
  status::GatewayState gateway;
  gateway.gateway_id = "shop-1";
  gateway.version = "\"},{\"x\":<script>\n\x01";
  snapshot.gateways.push_back(gateway);
  const std::string json = status::to_json(snapshot, {});
  CHECK(json.find("\\\"},{\\\"x\\\":<script>\\n\\u0001") != std::string::npos);
  CHECK(json.find('\n') == std::string::npos);
}

TEST_CASE("metrics: every family has help and type, every sample a known family, and counters end in _total") {
  auto snapshot = healthy();
  snapshot.counters.commit_time.add(3ms);
  std::istringstream lines(status::to_metrics(snapshot, {}));
  std::set<std::string> families;
  std::string line, helped;
  int samples = 0;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string first, second, name, type;
    words >> first >> second >> name >> type;
    if (first == "#" && second == "HELP") {
      helped = name;
    } else if (first == "#") {
      CHECK(name == helped);
      CHECK(families.insert(name).second);
      CHECK(name.starts_with("tillstream_bridge_"));
      CHECK((type == "counter") == name.ends_with("_total"));
    } else {
      ++samples;
      std::string family = first.substr(0, first.find('{'));
      for (const char* suffix : {"_bucket", "_sum", "_count"}) {
        if (family.ends_with(suffix) && !families.contains(family))
          family.resize(family.size() - std::string(suffix).size());
      }
      CAPTURE(line);
      CHECK(families.contains(family));
      CHECK_FALSE(second.empty());
    }
  }
  CHECK(samples > 50);
}

TEST_CASE("metrics: the histogram's classes add up") {
  auto snapshot = healthy();
  for (const auto time : {100us, 900us, 900us, 20'000'000us}) snapshot.counters.commit_time.add(time);
  const std::string text = status::to_metrics(snapshot, {});
  CHECK(text.find("commit_seconds_bucket{le=\"0.00025\"} 1\n") != std::string::npos);
  CHECK(text.find("commit_seconds_bucket{le=\"0.001\"} 3\n") != std::string::npos);
  CHECK(text.find("commit_seconds_bucket{le=\"10\"} 3\n") != std::string::npos);
  CHECK(text.find("commit_seconds_bucket{le=\"+Inf\"} 4\n") != std::string::npos);
  CHECK(text.find("commit_seconds_count 4\n") != std::string::npos);
}

TEST_CASE("status: shows what the groups know: gateways heard last first, at most so many, and all of them counted") {
  support::SeededRandom random(1);
  bridge::Budget budget(64 << 20);
  bridge::Counters counters;
  bridge::ShardGroupSettings settings;
  settings.bridge_id = "b";
  bridge::ShardGroup group(platform::hasher(), random, budget, counters, settings);
  base::Now now{base::Instant(1h), base::UtcTime(1'795'000'000'000ms)};
  group.on_owned({}, true, now);
  const std::size_t gateways = status::gateways_shown_max + 7;
  for (std::size_t i = 0; i < gateways; ++i) {
    support::ScriptedGateway gateway(platform::hasher(), "shop-" + std::to_string(i));
    now.utc += 1ms;
    group.on_message(gateway.up_topic(), gateway.hello(1), now);
  }
  now.instant += 3s;
  status::Snapshot snapshot;
  status::Observation observation(snapshot, now);
  observation.add(group);
  observation.finish();
  CHECK(snapshot.gateways_total == gateways);
  CHECK(snapshot.gateways.size() == status::gateways_shown_max);
  CHECK(snapshot.gateways.front().gateway_id == "shop-" + std::to_string(gateways - 1));
  REQUIRE(snapshot.partitions.size() == 1);
  CHECK(snapshot.partitions[0].owned);
  CHECK(snapshot.partitions[0].waiting_for == 3s);
  CHECK_FALSE(snapshot.broker.connected);
  CHECK(snapshot.broker.offline_for == 3s);
}

TEST_CASE("status: another bridge's partition is no ill health; one that should be ours is, with its reason") {
  support::SeededRandom random(1);
  bridge::Budget budget(64 << 20);
  bridge::Counters counters;
  bridge::ShardGroupSettings settings;
  settings.bridge_id = "b";
  bridge::ShardGroup group(platform::hasher(), random, budget, counters, settings);
  base::Now now{base::Instant(1h), base::UtcTime(1'795'000'000'000ms)};
  group.on_owned({}, true, now);
  group.on_lost("given to another bridge", now);
  now.instant += 1h;
  status::Snapshot snapshot;
  snapshot.stream.up = true;
  snapshot.stream.shares.emplace();
  SUBCASE("another bridge's, though it was ours") {
    status::Observation observation(snapshot, now);
    observation.add(group);
    observation.finish();
    CHECK(snapshot.partitions.empty());
    CHECK(codes(snapshot).empty());
    CHECK(status::unreadiness(snapshot, {}).empty());
  }
  SUBCASE("ours, and never taken yet") {
    snapshot.stream.shares->push_back(
        {.partition = stream::Partition(3), .owned = false, .reason = "an open transaction"});
    status::Observation observation(snapshot, now);
    observation.add(group);
    observation.finish();
    REQUIRE(snapshot.partitions.size() == 1);
    CHECK(snapshot.partitions[0].partition == 3);
    CHECK(codes(snapshot) == std::set<std::string>{"partition_not_owned"});
    CHECK(status::ill_health(snapshot, {}).front().message == "partition 3 is not ours: an open transaction");
  }
  SUBCASE("taken, and not certain any more") {
    group.on_owned({}, true, now);
    snapshot.stream.shares->push_back(
        {.partition = stream::Partition(0), .owned = false, .reason = "the group is silent"});
    status::Observation observation(snapshot, now);
    observation.add(group);
    observation.finish();
    REQUIRE(snapshot.partitions.size() == 1);
    CHECK_FALSE(snapshot.partitions[0].owned);
    CHECK(codes(snapshot).contains("partition_not_owned"));
    CHECK(status::ill_health(snapshot, {}).front().message == "partition 0 is not ours: the group is silent");
  }
}
