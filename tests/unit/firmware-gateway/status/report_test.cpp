#include "firmware-gateway/status/report.hpp"

#include <doctest/doctest.h>

#include "firmware-gateway/status/event_line.hpp"
#include "firmware-gateway/status/json.hpp"
#include "firmware-gateway/status/page.hpp"
#include "proto/wire/event.pb.h"

namespace {

using namespace std::chrono_literals;
using status::JournalCondition;

status::Facts healthy() {
  status::Facts facts{.gateway_id = "shop-1", .version = "1.2.3"};
  facts.journal.condition = JournalCondition::open;
  facts.next_seq = 1;
  facts.committed_seq = 0;
  facts.pending_events = 0;
  facts.uplink.connected = true;
  return facts;
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("health: a gateway that is up and connected is not healthy while an old event waits") {
  auto facts = healthy();
  CHECK(status::unhealthy_reasons(facts, 15min).empty());
  facts.pending_events = 7;
  facts.oldest_pending = 900s;
  CHECK(status::unhealthy_reasons(facts, 15min).empty());
  facts.oldest_pending = 901s;
  const auto reasons = status::unhealthy_reasons(facts, 15min);
  REQUIRE(reasons.size() == 1);
  CHECK(contains(reasons.front(), "7 pending events"));
  CHECK(status::unready_reasons(facts).empty());
}

TEST_CASE("health: a gateway without a link is healthy as long as nothing waits") {
  auto facts = healthy();
  facts.uplink.connected = false;
  facts.uplink.last_error = "refused";
  CHECK(status::unhealthy_reasons(facts, 15min).empty());
}

TEST_CASE("health: the journal's state decides readiness, with a reason each") {
  for (const auto condition :
       {JournalCondition::opening, JournalCondition::full, JournalCondition::broken, JournalCondition::salvaging}) {
    auto facts = healthy();
    facts.journal.condition = condition;
    CHECK(status::unready_reasons(facts).size() == 1);
    CHECK(status::unhealthy_reasons(facts, 15min).size() == 1);
  }
  auto facts = healthy();
  facts.journal.condition = JournalCondition::money_only;
  CHECK(status::unready_reasons(facts).empty());
  CHECK(status::unhealthy_reasons(facts, 15min).size() == 1);
  facts.stopping = true;
  CHECK(status::unready_reasons(facts).size() == 1);
}

TEST_CASE("health: a journal that cannot be opened, or has failed, says what was seen and nothing more") {
  auto facts = healthy();
  const auto check_reason = [&](JournalCondition condition, const std::string& reason) {
    facts.journal.condition = condition;
    CHECK(status::unready_reasons(facts) == std::vector{reason});
    CHECK(status::unhealthy_reasons(facts, 15min) == std::vector{reason});
  };
  facts.journal.failure = "database or disk is full";
  check_reason(JournalCondition::opening, "the journal cannot be opened: database or disk is full");
  facts.journal.failure = "row 5: its CRC differs";
  check_reason(JournalCondition::broken, "the journal has failed and is being opened again: row 5: its CRC differs");
  check_reason(JournalCondition::salvaging,
               "the journal is damaged, and what can be read is being saved: row 5: its CRC differs");
}

TEST_CASE("health: quarantine, an old bridge and an expired certificate are reasons") {
  for (const char* held : {"quarantined", "upgrade_bridge"}) {
    auto facts = healthy();
    facts.uplink.held = held;
    CHECK(status::unhealthy_reasons(facts, 15min).size() == 1);
  }
  auto facts = healthy();
  facts.certificate_days_left = 0;
  CHECK(status::unhealthy_reasons(facts, 15min).empty());
  facts.certificate_days_left = -1;
  CHECK(status::unhealthy_reasons(facts, 15min).size() == 1);
}

TEST_CASE("health: the answer is 200 without reasons and 503 with them, which it lists") {
  CHECK(status::verdict({}).http_status == 200);
  const auto verdict = status::verdict({"a \"quoted\" one"});
  CHECK(verdict.http_status == 503);
  CHECK(verdict.json == "{\"status\":\"failing\",\"reasons\":[\"a \\\"quoted\\\" one\"]}\n");
}

TEST_CASE("status: has every field that the manual names") {
  auto facts = healthy();
  facts.epoch = "0a";
  facts.next_seq = 43;
  facts.committed_seq = 41;
  facts.pending_events = 1;
  facts.pending_amounts = std::vector{status::PendingAmount{.currency = "EUR", .amount_minor = -500, .count = 1}};
  facts.oldest_pending = 3s;
  facts.listeners = {{.name = "http", .address = "127.0.0.1:8801"}};
  const std::string json = status::status_json(facts);
  for (const char* part :
       {R"("gateway_id":"shop-1")", R"("epoch":"0a")", R"("next_seq":43)", R"("committed_seq":41)",
        R"("pending_events":1)", R"("pending_amounts":[{"currency":"EUR","amount_minor":-500,"count":1}])",
        R"("oldest_pending_seconds":3)", R"("uplink":{"connected":true,"since":)", R"("last_error":)",
        R"("journal":{"bytes":)", R"("quota_bytes":)", R"("free_disk_bytes":)", R"("state":"open")",
        R"("clock":"unsynced")", R"("certificate_days_left":null)", R"("version":"1.2.3")",
        R"("listeners":{"http":"127.0.0.1:8801"})"}) {
    CAPTURE(part);
    CHECK(contains(json, part));
  }
}

TEST_CASE("status: while the pending rows are still being counted their amounts are null") {
  CHECK(contains(status::status_json(healthy()),
                 R"("pending_events":0,"pending_amounts":null,"oldest_pending_seconds":0)"));
}

TEST_CASE("status: what nobody knows while a journal is salvaged is null, and no metric says that nothing is pending") {
  status::Facts facts{.gateway_id = "shop-1", .version = "1.2.3"};
  facts.journal.condition = JournalCondition::salvaging;
  facts.journal.failure = "row 5: its CRC differs";
  const std::string json = status::status_json(facts);
  CHECK(contains(json,
                 R"("epoch":null,"next_seq":null,"committed_seq":null,"pending_events":null,"pending_amounts":null,)"
                 R"("oldest_pending_seconds":null)"));
  CHECK(contains(json, R"("state":"salvaging","failure":"row 5: its CRC differs")"));
  const std::string metrics = status::metrics_text(facts);
  for (const char* name : {"pending_events ", "oldest_pending_seconds ", "committed_seq ", "next_seq "}) {
    CAPTURE(name);
    CHECK_FALSE(contains(metrics, std::string("tillstream_gateway_") + name));
  }
}

TEST_CASE("metrics: each family is announced once, each sample has the prefix") {
  auto facts = healthy();
  facts.samples = {
      {.name = "events_total", .help = "h", .value = 3, .label = "outcome", .label_value = "stored"},
      {.name = "events_total", .help = "h", .value = 12345678901234, .label = "outcome", .label_value = "busy"}};
  const std::string text = status::metrics_text(facts);
  const auto first = text.find("# TYPE tillstream_gateway_events_total counter");
  REQUIRE(first != std::string::npos);
  CHECK(text.find("# TYPE tillstream_gateway_events_total", first + 1) == std::string::npos);
  CHECK(contains(text, "tillstream_gateway_events_total{outcome=\"stored\"} 3\n"));
  CHECK(contains(text, "tillstream_gateway_events_total{outcome=\"busy\"} 12345678901234\n"));
  CHECK(contains(text, "tillstream_gateway_pending_events 0\n"));
}

TEST_CASE(
    "metrics: a histogram's buckets are cumulative, a bound belongs to its bucket, and what is beyond all is counted") {
  status::Histogram histogram;
  for (const auto taken : {0ns, 500'000ns, 500'001ns, 30'000'000'000ns, 31'000'000'000ns, -5ns})
    histogram.observe(taken);
  auto facts = healthy();
  facts.timings = {{.name = "append_seconds", .help = "h", .histogram = histogram}};
  const std::string text = status::metrics_text(facts);
  for (const char* line :
       {"# TYPE tillstream_gateway_append_seconds histogram\n", "_append_seconds_bucket{le=\"0.0005\"} 3\n",
        "_append_seconds_bucket{le=\"0.001\"} 4\n", "_append_seconds_bucket{le=\"10\"} 4\n",
        "_append_seconds_bucket{le=\"30\"} 5\n", "_append_seconds_bucket{le=\"+Inf\"} 6\n", "_append_seconds_count 6\n",
        "_append_seconds_sum 61.001000001\n"}) {
    CAPTURE(line);
    CHECK(contains(text, line));
  }
}

TEST_CASE("health: an event that the broker will not take is a reason at once, in status, health and metrics") {
  auto facts = healthy();
  CHECK(contains(status::metrics_text(facts), "uplink_blocked 0\n"));
  CHECK_FALSE(contains(status::status_json(facts), "blocked"));
  facts.uplink.blocked = "too large";
  CHECK(status::unhealthy_reasons(facts, 15min) == std::vector<std::string>{"uplink: too large"});
  CHECK(status::unready_reasons(facts).empty());
  CHECK(contains(status::status_json(facts), R"("blocked":"too large")"));
  CHECK(contains(status::metrics_text(facts), "uplink_blocked 1\n"));
}

TEST_CASE("json: control characters, quotes and broken UTF-8 cannot leave their string") {
  CHECK(status::json_text("a\"\\\n\x7f") == "\"a\\\"\\\\\\u000a\\u007f\"");
  CHECK(status::json_text("\xff") == "\"\\ufffd\"");
  CHECK(status::json_text("für") == "\"für\"");
}

TEST_CASE("page: loads nothing from elsewhere and never makes markup of what it reads") {
  const std::string page(status::local_page());
  CHECK_FALSE(contains(page, "http://"));
  CHECK_FALSE(contains(page, "https://"));
  CHECK_FALSE(contains(page, "innerHTML"));
  CHECK_FALSE(contains(page, "document.write"));
  CHECK(contains(std::string(status::local_page_policy), "default-src 'none'"));
}

TEST_CASE("export: a line holds what was stored, and a record that cannot be read comes as it is") {
  tillstream::v1::Event event;
  event.set_type("sale");
  event.set_terminal_id("t1");
  event.set_amount_minor(1250);
  event.set_currency("EUR");
  (*event.mutable_attributes())["table"] = "7";
  const std::string line =
      status::event_line({.row = 5, .epoch = "ab", .seq = 4, .committed = true}, event.SerializeAsString());
  for (const char* part : {R"("row":5)", R"("epoch":"ab")", R"("seq":4)", R"("committed":true)", R"("type":"sale")",
                           R"("amount_minor":1250)", R"("attributes":{"table":"7"})"}) {
    CAPTURE(part);
    CHECK(contains(line, part));
  }
  CHECK(line.starts_with(R"({"row":5,"epoch":"ab","seq":4,"committed":true,)"));
  CHECK(line.ends_with("}\n"));
  CHECK(contains(status::event_line({.row = 1, .epoch = ""}, "\xff\xff"), R"("record":"ffff")"));
}
