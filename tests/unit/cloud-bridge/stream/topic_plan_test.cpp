#include "cloud-bridge/stream/topic_plan.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>

#include "cloud-bridge/stream/gateway_row.hpp"
#include "proto/wire/codec.hpp"

namespace {

using stream::SeenTopic;
using stream::SeenTopics;
using stream::TopicNames;
using stream::TopicRole;

const TopicNames names{.events = "e", .gateways = "g", .progress = "p", .dead_letters = "d"};

// What the brokers say about topics made as planned.
SeenTopics as_planned(const stream::TopicCounts& counts = {}) {
  SeenTopics seen;
  for (const auto& plan : stream::plan_topics(names, counts)) {
    SeenTopic& topic = seen.of(plan.role);
    topic = {
        .exists = true, .error = {}, .partitions = plan.partitions, .replication = plan.replication, .settings = {}};
    for (const auto& [name, value] : plan.settings) topic.settings[name] = value;
  }
  seen.recorded_partitions = counts.progress_partitions;
  return seen;
}

bool says(const std::vector<std::string>& lines, std::string_view text) {
  return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) { return line.contains(text); });
}

}  // namespace

TEST_CASE("topics: what was made as planned is found to be right, with one replica and with three") {
  for (const std::uint32_t replication : {1U, 2U, 3U, 5U}) {
    const auto seen = as_planned({.events_partitions = 7, .progress_partitions = 16, .replication = replication});
    CHECK(stream::find_problems(names, seen).empty());
  }
}

TEST_CASE("topics: progress is kept by compaction alone, in small segments that are cleaned often") {
  for (const auto& plan : stream::plan_topics(names, {})) {
    if (plan.role != TopicRole::progress) continue;
    const std::map<std::string, std::string> settings(plan.settings.begin(), plan.settings.end());
    CHECK(settings.at("cleanup.policy") == "compact");
    CHECK(settings.at("segment.bytes") == "16777216");
    CHECK(settings.at("segment.ms") == "600000");
    CHECK(settings.at("min.cleanable.dirty.ratio") == "0.1");
    CHECK(settings.at("max.compaction.lag.ms") == "600000");
    CHECK(settings.at("min.insync.replicas") == "2");
  }
}

TEST_CASE(
    "topics: replicas that are missing are a trouble when a topic needs them, and brokers that lead nothing always") {
  auto seen = as_planned();
  for (const auto role : {TopicRole::events, TopicRole::gateways, TopicRole::progress, TopicRole::dead_letters})
    seen.of(role).in_sync = 3;
  CHECK(stream::find_troubles(names, seen).empty());
  seen.events.in_sync = 2;
  CHECK(stream::find_troubles(names, seen).empty());
  seen.events.in_sync = 1;
  CHECK(says(stream::find_troubles(names, seen),
             "topic e: not enough replicas in sync: 1 of 3, min.insync.replicas is 2"));
  seen.events.settings.clear();
  CHECK(says(stream::find_troubles(names, seen), "topic e: 1 of 3 replicas are in sync"));
  seen.progress.leaderless = 2;
  CHECK(says(stream::find_troubles(names, seen), "topic p: 2 of 16 partitions have no leader"));
}

TEST_CASE("topics: a missing topic is named with its remedy") {
  for (const auto role : {TopicRole::events, TopicRole::gateways, TopicRole::progress, TopicRole::dead_letters}) {
    auto seen = as_planned();
    seen.of(role) = {};
    const auto problems = stream::find_problems(names, seen);
    REQUIRE(problems.size() == 1);
    CHECK(says(problems, "is missing"));
    CHECK(says(problems, "topics --create"));
  }
}

TEST_CASE("topics: no progress beside events is told with what follows from it, whether or not the topic is there") {
  auto seen = as_planned();
  seen.progress = {};
  seen.recorded_partitions.reset();
  CHECK(stream::tell_repeat_risk(names, seen).empty());
  seen.repeat_risk = "topic e holds records";
  for (const std::string_view what : {"topic p is missing", "topic p was never written to"}) {
    const auto problems = stream::find_problems(names, seen);
    REQUIRE(problems == std::vector{stream::tell_repeat_risk(names, seen)});
    CHECK(says(problems, what));
    CHECK(says(problems, "topic e holds records"));
    CHECK(says(problems, "topics --create --accept-repeats"));
    seen.progress = as_planned().progress;
  }
}

TEST_CASE("topics: cleaning that would lose something is refused") {
  for (const char* policy : {"delete", "compact,delete"}) {
    auto seen = as_planned();
    seen.progress.settings["cleanup.policy"] = policy;
    CHECK(says(stream::find_problems(names, seen), "topic p: cleanup.policy is"));
  }
  auto seen = as_planned();
  seen.gateways.settings["cleanup.policy"] = "delete";
  seen.events.settings["cleanup.policy"] = "compact";
  const auto problems = stream::find_problems(names, seen);
  CHECK(says(problems, "topic g: cleanup.policy is delete"));
  CHECK(says(problems, "topic e: cleanup.policy is compact"));
}

TEST_CASE("topics: another number of progress partitions than at the beginning is refused") {
  auto grown = as_planned({.progress_partitions = 16});
  grown.progress.partitions = 32;
  CHECK(says(stream::find_problems(names, grown), "was made with 16 partitions and has 32"));
  auto untold = as_planned();
  untold.recorded_partitions.reset();
  CHECK(says(stream::find_problems(names, untold), "does not say with how many partitions"));
}

TEST_CASE("topics: more in-sync replicas than there are replicas is refused, one of several is warned of") {
  auto seen = as_planned({.replication = 3});
  seen.events.settings["min.insync.replicas"] = "4";
  CHECK(says(stream::find_problems(names, seen), "min.insync.replicas is 4 and there are 3 replicas"));
  seen.events.settings["min.insync.replicas"] = "1";
  CHECK(stream::find_problems(names, seen).empty());
  CHECK(says(stream::find_warnings(names, seen), "topic e: min.insync.replicas is 1"));
  CHECK(stream::find_warnings(names, as_planned({.replication = 1})).empty());
}

TEST_CASE("topics: what cannot be described is a problem of its own") {
  auto seen = as_planned();
  seen.events = {.exists = false, .error = "cannot be described: TOPIC_AUTHORIZATION_FAILED", .settings = {}};
  const auto problems = stream::find_problems(names, seen);
  REQUIRE(problems.size() == 1);
  CHECK(says(problems, "topic e: cannot be described"));
}

TEST_CASE("topics: the layout that is written is the one that is read, and nothing else is one") {
  for (const std::uint32_t partitions : {1U, 16U, 256U})
    CHECK(stream::parse_layout(stream::render_layout(partitions)) == partitions);
  for (const char* text : {"", "{}", R"({"partitions":0})", R"({"partitions":257})", R"({"partitions":-1})",
                           R"({"partitions":1)", R"({"partitions":1}})", "16"})
    CHECK_FALSE(stream::parse_layout(text));
}

TEST_CASE("topics: a topic too small for the largest row that a gateway can cause is refused") {
  tillstream::v1::Heartbeat heartbeat;
  const std::string longest(wire::kTextBytesMax, '\x01');
  for (std::size_t i = 0; i < wire::kAmountsMax; ++i) {
    auto& amount = *heartbeat.add_pending_amounts();
    amount.set_currency(longest);
    amount.set_amount_minor(INT64_MIN);
    amount.set_count(UINT64_MAX);
  }
  heartbeat.mutable_versions()->set_program(longest);
  const auto row = stream::render_gateway_row(
      {.gateway_id = "shop-1", .last_heard_at = {}, .progress = std::nullopt, .heartbeat = &heartbeat});
  auto seen = as_planned();
  seen.gateways.settings["max.message.bytes"] = std::to_string(row.value.size() + 1024);
  CHECK(says(stream::find_problems(names, seen), "topic g: max.message.bytes"));
  seen.gateways.settings["max.message.bytes"] = "524288";
  CHECK(stream::find_problems(names, seen).empty());
}

TEST_CASE("topics: a topic that takes not even a notice is refused") {
  auto seen = as_planned();
  seen.events.settings["max.message.bytes"] = "8192";
  CHECK(stream::find_problems(names, seen).empty());
  seen.events.settings["max.message.bytes"] = "8191";
  REQUIRE(stream::find_problems(names, seen).size() == 1);
  CHECK(stream::find_problems(names, seen)[0].find("max.message.bytes") != std::string::npos);
}

TEST_CASE("topics: records may be as large as the topic takes, less what Kafka adds") {
  SeenTopic events;
  CHECK(stream::record_bytes_max(events) == 1'048'588 - 1024);
  events.settings["max.message.bytes"] = "10000";
  CHECK(stream::record_bytes_max(events) == 10'000 - 1024);
  events.settings["max.message.bytes"] = "100";
  CHECK(stream::record_bytes_max(events) == 0);
}
