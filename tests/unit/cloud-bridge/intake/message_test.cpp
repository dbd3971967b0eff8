#include "cloud-bridge/intake/message.hpp"

#include <doctest/doctest.h>

#include "proto/platform/system.hpp"
#include "tests/support/bridge/scripted_gateway.hpp"

using support::ScriptedGateway;

namespace {

std::variant<intake::Said, intake::Refused> read(const std::string& topic, const std::string& payload) {
  return intake::read(topic, payload, platform::hasher());
}

intake::Refusal refusal(const std::string& topic, const std::string& payload) {
  const auto result = read(topic, payload);
  REQUIRE(std::holds_alternative<intake::Refused>(result));
  return std::get<intake::Refused>(result).refusal;
}

}  // namespace

TEST_CASE("intake: takes each kind of message from its gateway's own topic") {
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  gateway.append_events(300);
  for (const std::string& payload : {gateway.hello(1), gateway.batch(1, 300), gateway.heartbeat(1, 0)}) {
    const auto result = read(gateway.up_topic(), payload);
    REQUIRE(std::holds_alternative<intake::Said>(result));
    CHECK(std::get<intake::Said>(result).gateway_id == "shop-1");
  }
  const auto result = read(gateway.up_topic(), gateway.batch(1, 300));
  CHECK(std::get<intake::Said>(result).up.batch().records().record_size() == 300);
}

TEST_CASE("intake: a message on any other topic is refused, whoever it says it is from") {
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  const std::string payload = gateway.hello(1);
  for (const char* topic : {"", "tillstream/v1/up/", "tillstream/v1/up/a/b", "tillstream/v1/down/00/shop-1",
                            "$SYS/broker", "tillstream/v1/up/0G/shop-1", "tillstream/v1/up/00/SHOP",
                            "tillstream/v1/up/00/all", "tillstream/v1/up/00/shop-1/x", "tillstream/v2/up/00/shop-1"}) {
    CAPTURE(topic);
    CHECK(refusal(topic, payload) == intake::Refusal::foreign_topic);
  }
  for (int shard = 0; shard < 256; ++shard) {
    const char byte = static_cast<char>(shard);
    const std::string topic = handoff::up_topic(base::to_hex(std::string_view(&byte, 1)), "shop-1");
    if (topic != gateway.up_topic()) CHECK(refusal(topic, payload) == intake::Refusal::shard_mismatch);
  }
}

TEST_CASE("intake: nobody speaks for another gateway") {
  ScriptedGateway one(platform::hasher(), "shop-1");
  ScriptedGateway two(platform::hasher(), "shop-2");
  CHECK(refusal(one.up_topic(), two.hello(1)) == intake::Refusal::gateway_mismatch);
  tillstream::v1::Up nameless;
  REQUIRE(nameless.ParseFromString(one.hello(1)));
  nameless.clear_gateway_id();
  CHECK(refusal(one.up_topic(), nameless.SerializeAsString()) == intake::Refusal::gateway_mismatch);
}

TEST_CASE("intake: garbage, every truncation, an unknown kind and an oversized message are refused by name") {
  ScriptedGateway gateway(platform::hasher(), "shop-1");
  gateway.append_events(2);
  CHECK(refusal(gateway.up_topic(), "\xff\xff") == intake::Refusal::undecodable);
  CHECK(refusal(gateway.up_topic(), std::string(3 << 20, 'x')) == intake::Refusal::too_large);
  tillstream::v1::Up unknown;
  unknown.set_gateway_id("shop-1");
  CHECK(refusal(gateway.up_topic(), unknown.SerializeAsString()) == intake::Refusal::unknown_message);
  const std::string whole = gateway.batch(1, 2);
  tillstream::v1::Up batch;
  REQUIRE(batch.ParseFromString(whole));
  auto bent = batch;
  bent.mutable_batch()->set_epoch("x");
  CHECK(refusal(gateway.up_topic(), bent.SerializeAsString()) == intake::Refusal::malformed);
  bent = batch;
  bent.mutable_batch()->clear_records();
  bent.mutable_batch()->set_zstd_records("no frame");
  CHECK(refusal(gateway.up_topic(), bent.SerializeAsString()) == intake::Refusal::undecodable);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    CHECK(std::holds_alternative<intake::Refused>(read(gateway.up_topic(), whole.substr(0, length))));
  }
}

TEST_CASE("intake: a batch's schema version is the newest that a record names, in whatever shape") {
  tillstream::v1::Batch batch;
  batch.set_schema_version(1);
  batch.mutable_records()->add_record(ScriptedGateway::event(1, 1));
  intake::raise_schema_version(batch);
  CHECK(batch.schema_version() == 1);
  batch.mutable_records()->add_record(ScriptedGateway::event(2, 200));
  intake::raise_schema_version(batch);
  CHECK(batch.schema_version() == 200);
  // Another writer may put the field last.
  tillstream::v1::Event versionless;
  REQUIRE(versionless.ParseFromString(ScriptedGateway::event(3)));
  versionless.clear_schema_version();
  tillstream::v1::Event version;
  version.set_schema_version(300);
  batch.mutable_records()->add_record(versionless.SerializeAsString() + version.SerializeAsString());
  intake::raise_schema_version(batch);
  CHECK(batch.schema_version() == 300);
}
