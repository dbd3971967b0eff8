// The machine with a journal in memory, a link in the test's hand, and the bridge's own end of the handoff.
#include "firmware-gateway/gateway/gateway.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "firmware-gateway/status/report.hpp"
#include "firmware-gateway/terminal/json_event.hpp"
#include "proto/handoff/receiver.hpp"
#include "proto/handoff/topics.hpp"
#include "proto/platform/system.hpp"
#include "proto/wire/codec.hpp"
#include "tests/support/memory_journal.hpp"
#include "tests/support/seeded_random.hpp"

namespace {

using namespace std::chrono_literals;

constexpr std::string_view id = "shop-1";

class OnlyUtc final : public ingest::TimeZones {
 public:
  [[nodiscard]] std::optional<std::chrono::seconds> offset_at(std::string_view /*zone*/,
                                                              base::UtcTime /*utc*/) const override {
    return std::chrono::seconds(0);
  }
};

gateway::Settings settings(std::chrono::seconds retention) {
  gateway::Settings settings;
  settings.gateway_id = id;
  settings.version = "0";
  settings.retention = retention;
  settings.sender.gateway_id = id;
  settings.uplink.backoff = {.base = 10ms, .cap = 10ms};
  settings.ingest.terminals.defaults.currency = "EUR";
  return settings;
}

class Shop {
 public:
  struct Closed {};
  explicit Shop(std::chrono::seconds kept = 35 * 24h) : Shop(Closed{}, kept) { open_journal(); }
  explicit Shop(Closed /*closed*/, std::chrono::seconds kept = 35 * 24h) : retention(kept) {}

  // A sale; returns its ticket.
  gateway::Ticket sell(const std::string& ref, std::int64_t amount_minor = 100) {
    auto draft = terminal::read_json_event(fmt::format(
        R"({{"type":"sale","terminal_id":"t1","terminal_ref":"{}","occurred_at":"2026-11-24T12:00:00Z","amount_minor":{},"outcome":"approved"}})",
        ref, amount_minor));
    REQUIRE(draft);
    const gateway::Ticket ticket(++tickets_);
    machine.submit(std::move(*draft), {.tls = false, .peer_is_loopback = true}, ticket, now);
    run();
    return ticket;
  }
  const terminal::Stored& stored(gateway::Ticket ticket) {
    REQUIRE(answers.count(ticket) == 1);
    REQUIRE(std::holds_alternative<terminal::Stored>(answers.at(ticket)));
    return std::get<terminal::Stored>(answers.at(ticket));
  }
  redact::Reason refused(gateway::Ticket ticket) {
    REQUIRE(answers.count(ticket) == 1);
    REQUIRE(std::holds_alternative<terminal::Refusal>(answers.at(ticket)));
    return std::get<terminal::Refusal>(answers.at(ticket)).reason;
  }

  void open_journal() {
    journal.emplace(disk, support::MemoryJournal::Settings{.limits = {512U << 20U, 16U << 20U}, .retention = retention},
                    platform::hasher(), random);
    machine.on_journal_opened(journal->opened(), journal->hash_key(), journal->opened_tallies(), now);
  }
  void pass(std::chrono::milliseconds time) {
    now.instant += time;
    now.utc += time;
    run();
  }
  void connect(std::uint32_t packet_bytes_max = 0) {
    machine.start(now);
    run();
    if (dead) return;
    REQUIRE(attempt);
    machine.on_link(uplink::Connected{.attempt = *attempt, .packet_bytes_max = packet_bytes_max}, now);
    run();
  }
  // Everything the gateway asks for, until it asks for nothing.
  void run() {
    while (!dead) {
      auto output = machine.poll(now);
      if (!output) return;
      if (auto* reply = std::get_if<gateway::Reply>(&*output)) {
        CHECK(answers.emplace(reply->ticket, std::move(reply->answer)).second);
      } else if (auto* request = std::get_if<gateway::JournalRequest>(&*output)) {
        if (dies_before && requests++ == *dies_before) {
          dead = true;
        } else if (journal_stuck) {
          stuck.push_back(std::move(*request));
        } else {
          serve(std::move(*request));
        }
      } else if (const auto* connect = std::get_if<uplink::Connect>(&*output)) {
        attempt = connect->attempt;
      } else if (const auto* disconnect = std::get_if<uplink::Disconnect>(&*output)) {
        machine.on_link(uplink::Lost{.attempt = disconnect->attempt, .reason = "disconnected"}, now);
      } else if (auto* publish = std::get_if<gateway::Publish>(&*output)) {
        on_publish(*publish);
      } else if (auto* found = std::get_if<gateway::HistoryFound>(&*output)) {
        history.emplace(found->ticket, std::move(*found->events));
      } else if (const auto* verified = std::get_if<gateway::RowsVerified>(&*output)) {
        if (!verified->step) verify_failures.push_back(verified->ticket);
      } else if (const auto* exported = std::get_if<gateway::RowsExported>(&*output)) {
        if (!exported->rows) export_failures.push_back(exported->ticket);
      } else if (auto* line = std::get_if<gateway::LogLine>(&*output)) {
        log.push_back(std::move(*line));
      }
    }
  }
  void serve(gateway::JournalRequest request) {
    auto reply = gateway::serve(*journal, std::move(request));
    const bool failed = !reply.result && reply.result.error() == journal::Error::broken;
    machine.on_journal(std::move(reply), now);
    if (failed) machine.on_journal_failed(journal::Error::broken, "disk I/O error", now);
  }

  support::SeededRandom random{7};
  OnlyUtc zones;
  base::Now now{.instant = base::Instant{} + 1h, .utc = base::UtcTime{} + 24h * 20'000};
  std::chrono::seconds retention;
  gateway::Gateway machine{settings(retention), zones, platform::hasher(), random};
  support::MemoryJournal::Disk disk;
  std::optional<support::MemoryJournal> journal;
  bool journal_stuck = false;
  std::vector<gateway::JournalRequest> stuck;
  // As by kill -9: this request of the journal and all that follow are never served.
  std::optional<std::uint64_t> dies_before;
  std::uint64_t requests = 0;
  bool dead = false;
  std::map<gateway::Ticket, terminal::Answer> answers;
  std::map<gateway::Ticket, std::vector<gateway::EventHistory>> history;
  std::vector<gateway::LogLine> log;
  std::vector<gateway::Ticket> verify_failures;
  std::vector<gateway::Ticket> export_failures;
  std::optional<uplink::Attempt> attempt;

  // The other end.
  bool bridge_hears = true;
  std::uint64_t publishes = 0;
  std::uint64_t sent_bytes = 0;
  // Of batches.
  std::size_t broker_takes = 1U << 30U;
  std::size_t largest = 0;
  handoff::Receiver bridge{platform::hasher(), std::string(id), {}, std::nullopt};
  std::vector<std::string> stream;  // terminal_refs, in order
  std::vector<tillstream::v1::Heartbeat> heartbeats;

 private:
  void on_publish(const gateway::Publish& publish) {
    ++publishes;
    const std::string shard = handoff::shard_of(platform::hasher(), id);
    CHECK(publish.topic == handoff::up_topic(shard, id));
    sent_bytes += bridge_hears ? publish.payload.size() : 0;
    auto up = wire::decode_up(publish.payload);
    REQUIRE(up.has_value());
    largest = std::max(largest, publish.payload.size());
    const bool refused = up->has_batch() && publish.payload.size() > broker_takes;
    machine.on_link(uplink::Published{.attempt = publish.attempt,
                                      .reason_code = refused ? uplink::packet_too_large : std::uint8_t{0},
                                      .bytes = publish.payload.size()},
                    now);
    if (!bridge_hears || refused) return;
    bridge.set_credit(1U << 20U);
    bridge.on_up(std::move(*up), now);
    while (auto output = bridge.poll()) on_bridge(*output, publish.attempt, handoff::down_topic(shard, id));
  }
  void on_bridge(const handoff::ReceiverOutput& output, uplink::Attempt on, const std::string& topic) {
    if (const auto* rows = std::get_if<handoff::Publish>(&output)) {
      for (const auto& row : rows->rows) {
        tillstream::v1::Event event;
        REQUIRE(event.ParseFromString(row.record));
        stream.push_back(event.terminal_ref());
      }
      bridge.on_committed(rows->ticket);
    } else if (const auto* reply = std::get_if<handoff::Reply>(&output)) {
      tillstream::v1::Down down;
      *down.mutable_ack() = reply->ack;
      machine.on_link(uplink::Received{.attempt = on, .topic = topic, .payload = down.SerializeAsString()}, now);
    } else if (const auto* heard = std::get_if<handoff::Heard>(&output)) {
      heartbeats.push_back(heard->heartbeat);
    }
  }

  std::uint64_t tickets_ = 0;
};

}  // namespace

TEST_CASE("gateway: what keeps events out is told in the log once, and that it is over") {
  Shop shop;
  const auto measured = [&shop](journal::Admission admission, bool disk_full) {
    shop.log.clear();
    journal::Usage usage;
    usage.admission = admission;
    usage.disk_full = disk_full;
    usage.free_disk_bytes = 2U << 20U;
    shop.machine.on_journal({.result = usage}, shop.now);
    shop.run();
    return shop.log.size() == 1 ? shop.log.front() : gateway::LogLine{};
  };
  CHECK(measured(journal::Admission::open, false).text.empty());
  const auto disk = measured(journal::Admission::closed, true);
  CHECK(disk.severity == gateway::Severity::error);
  CHECK(disk.text.find("the disk is full, 2048 KiB are free") != std::string::npos);
  CHECK(shop.machine.facts(shop.now).journal.condition == status::JournalCondition::full);
  CHECK(measured(journal::Admission::closed, true).text.empty());
  CHECK(measured(journal::Admission::open, false).severity == gateway::Severity::note);
  CHECK(measured(journal::Admission::money_only, false).severity == gateway::Severity::warning);
  CHECK(measured(journal::Admission::closed, false).text.find("quota") != std::string::npos);
}

TEST_CASE("gateway: an event is answered when it is on disk, without any link") {
  Shop shop;
  const auto first = shop.stored(shop.sell("r1"));
  CHECK(first.seq == 1);
  CHECK_FALSE(first.duplicate);
  CHECK(shop.stored(shop.sell("r2")).seq == 2);
  CHECK(shop.machine.facts(shop.now).pending_events == 2);
  CHECK(shop.publishes == 0);
}

TEST_CASE("gateway: nothing is answered before the journal has answered, and everything is afterwards") {
  Shop shop;
  shop.journal_stuck = true;
  const auto ticket = shop.sell("r1");
  shop.pass(1h);
  CHECK(shop.answers.count(ticket) == 0);
  shop.journal_stuck = false;
  for (auto& request : std::exchange(shop.stuck, {})) shop.serve(std::move(request));
  shop.run();
  CHECK(shop.stored(ticket).seq == 1);
}

TEST_CASE("gateway: a repeat gets the first one's answer, whether or not it has gone up since") {
  Shop shop;
  const auto first = shop.stored(shop.sell("r1"));
  const auto again = shop.stored(shop.sell("r1"));
  CHECK(again.duplicate);
  CHECK(again.event_id == first.event_id);
  CHECK(again.epoch == first.epoch);
  CHECK(again.seq == first.seq);
  shop.connect();
  CHECK(shop.stored(shop.sell("r1")).seq == first.seq);
  CHECK(shop.stream == std::vector<std::string>{"r1"});
}

TEST_CASE("gateway: what was stored without a link is in the stream once, in order, when the link comes") {
  Shop shop;
  std::vector<std::string> expected;
  for (int i = 0; i < 1'000; ++i) {
    expected.push_back(fmt::format("r{}", i));
    shop.sell(expected.back());
  }
  shop.connect();
  CHECK(shop.stream == expected);
  const auto facts = shop.machine.facts(shop.now);
  CHECK(facts.pending_events == 0);
  CHECK(facts.committed_seq == 1'000);
  REQUIRE(facts.pending_amounts);
  CHECK(facts.pending_amounts->empty());
  CHECK_FALSE(facts.oldest_pending);
}

TEST_CASE("gateway: a live event travels at once, alone") {
  Shop shop;
  shop.connect();
  const auto before = shop.publishes;
  shop.sell("r1");
  CHECK(shop.stream == std::vector<std::string>{"r1"});
  CHECK(shop.publishes == before + 1);
}

TEST_CASE("gateway: money that is pending is told by currency, and counted anew after a restart") {
  Shop shop;
  shop.sell("r1", 250);
  shop.sell("r2", 175);
  auto amounts = shop.machine.facts(shop.now).pending_amounts;
  REQUIRE(amounts);
  REQUIRE(amounts->size() == 1);
  CHECK(amounts->front().amount_minor == 425);
  CHECK(amounts->front().count == 2);
  shop.open_journal();
  shop.run();
  amounts = shop.machine.facts(shop.now).pending_amounts;
  REQUIRE(amounts);
  REQUIRE(amounts->size() == 1);
  CHECK(amounts->front().amount_minor == 425);
}

TEST_CASE("gateway: a disk that fails gives `storage`, and after it is open again events are stored") {
  Shop shop;
  shop.journal->fail_next(journal::Error::broken);
  CHECK(shop.refused(shop.sell("r1")) == redact::Reason::storage);
  CHECK(shop.machine.facts(shop.now).journal.condition == status::JournalCondition::broken);
  shop.open_journal();
  CHECK(shop.stored(shop.sell("r1")).seq >= 1);
  shop.connect();
  CHECK(shop.stream == std::vector<std::string>{"r1"});
}

TEST_CASE(
    "gateway: a journal that cannot be opened at start gives `busy`, health says why, and events are stored once it "
    "is") {
  Shop shop{Shop::Closed{}};
  shop.machine.on_journal_reopen_failed("the disk is full");
  shop.connect();
  for (int i = 0; i < 10; ++i) shop.pass(1s);
  CHECK(shop.refused(shop.sell("r1")) == redact::Reason::busy);
  CHECK(shop.machine.facts(shop.now).journal.failure == "the disk is full");
  CHECK(status::unready_reasons(shop.machine.facts(shop.now)).size() == 1);
  shop.open_journal();
  CHECK(shop.machine.facts(shop.now).journal.failure.empty());
  CHECK(shop.stored(shop.sell("r1")).seq == 1);
  for (int i = 0; i < 10; ++i) shop.pass(1s);
  CHECK(shop.stream == std::vector<std::string>{"r1"});
}

TEST_CASE("gateway: while a damaged journal is salvaged it says so, and not that nothing is pending") {
  Shop shop;
  shop.sell("r1", 250);
  REQUIRE(shop.machine.facts(shop.now).pending_events == 1);
  shop.machine.on_journal_failed(journal::Error::damaged, "row 1: its CRC differs", shop.now);
  shop.machine.on_journal_salvage("row 1: its CRC differs");
  shop.run();
  auto facts = shop.machine.facts(shop.now);
  CHECK(facts.journal.condition == status::JournalCondition::salvaging);
  CHECK(facts.journal.failure == "row 1: its CRC differs");
  CHECK_FALSE(facts.pending_events);
  CHECK_FALSE(facts.pending_amounts);
  CHECK_FALSE(facts.committed_seq);
  SUBCASE("it succeeds") {
    shop.open_journal();
    shop.run();
    facts = shop.machine.facts(shop.now);
    CHECK(facts.journal.condition == status::JournalCondition::open);
    CHECK(facts.pending_events == 1);
  }
  SUBCASE("it fails") {
    shop.machine.on_journal_reopen_failed("database or disk is full");
    facts = shop.machine.facts(shop.now);
    CHECK(facts.journal.condition == status::JournalCondition::broken);
    CHECK(facts.journal.failure == "database or disk is full");
    CHECK_FALSE(facts.pending_events);
  }
}

TEST_CASE("gateway: what a restored image lacks is told, whenever the process ends while its new epoch begins") {
  Shop before;
  before.sell("r1");
  before.connect();
  const support::MemoryJournal::Disk image = before.disk;
  before.sell("r2");
  before.sell("r3");
  REQUIRE(before.stream.size() == 3);
  bool ended_in_peace = false;
  for (std::uint64_t request = 0; !ended_in_peace; ++request) {
    CAPTURE(request);
    Shop killed{Shop::Closed{}};
    killed.random = support::SeededRandom(100 + request);
    killed.disk = image;
    killed.bridge.on_reset(before.bridge.committed());
    killed.dies_before = request;
    killed.open_journal();
    killed.connect();
    ended_in_peace = !killed.dead;
    Shop after{Shop::Closed{}};
    after.random = support::SeededRandom(1000 + request);
    after.disk = killed.disk;
    after.bridge.on_reset(killed.bridge.committed());
    after.open_journal();
    after.connect();
    for (int i = 0; i < 10; ++i) after.pass(1s);
    std::multiset<std::string> told;
    for (const auto& [row, stored] : after.disk.rows) {
      tillstream::v1::Event event;
      REQUIRE(event.ParseFromString(stored.record));
      told.insert(event.notice());
    }
    CHECK(told.contains("journal_epoch_started"));
    CHECK(told.contains("duplicate_window_shrunk"));
    CHECK(after.machine.facts(after.now).pending_events == 0);
  }
}

TEST_CASE("gateway: a connection on which the bridge does not answer is given up, and the next one carries on") {
  Shop shop;
  shop.bridge_hears = false;
  shop.connect();
  shop.sell("r1");
  const auto silent = shop.attempt;
  for (int i = 0; i < 120; ++i) shop.pass(1s);
  CHECK(shop.attempt != silent);
  shop.bridge_hears = true;
  shop.machine.on_link(uplink::Connected{.attempt = *shop.attempt}, shop.now);
  shop.run();
  for (int i = 0; i < 10; ++i) shop.pass(1s);
  CHECK(shop.stream == std::vector<std::string>{"r1"});
}

TEST_CASE("gateway: the age of the oldest pending event grows by this process' own clock") {
  Shop shop;
  shop.sell("r1");
  shop.now.utc -= 48h;
  shop.pass(90s);
  CHECK(shop.machine.facts(shop.now).oldest_pending == 90s);
}

TEST_CASE("gateway: an acknowledgement that came by another topic than its own does nothing") {
  Shop shop;
  shop.bridge_hears = false;
  shop.connect();
  shop.sell("r1");
  tillstream::v1::Down down;
  down.mutable_ack()->set_seq(1);
  shop.machine.on_link(
      uplink::Received{.attempt = *shop.attempt, .topic = "elsewhere", .payload = down.SerializeAsString()}, shop.now);
  shop.machine.on_link(uplink::Received{.attempt = *shop.attempt, .topic = "elsewhere", .payload = "\xff\xff"},
                       shop.now);
  shop.run();
  CHECK(shop.machine.facts(shop.now).pending_events == 1);
}

TEST_CASE("gateway: a message beyond the wire's limits is counted and does nothing") {
  Shop shop;
  shop.bridge_hears = false;
  shop.connect();
  shop.sell("r1");
  const std::string shard = handoff::shard_of(platform::hasher(), id);
  tillstream::v1::Down torn;
  torn.mutable_ack()->set_epoch("short");
  tillstream::v1::Down huge;
  huge.mutable_ack()->mutable_versions()->set_program(std::string(wire::kMessageBytesMax, 'x'));
  for (const auto* down : {&torn, &huge}) {
    shop.machine.on_link(
        uplink::Received{
            .attempt = *shop.attempt, .topic = handoff::down_topic(shard, id), .payload = down->SerializeAsString()},
        shop.now);
  }
  shop.run();
  const std::string metrics = status::metrics_text(shop.machine.facts(shop.now));
  CHECK(metrics.find("down_messages_unreadable_total 2\n") != std::string::npos);
  CHECK(shop.machine.facts(shop.now).pending_events == 1);
}

TEST_CASE("gateway: a backlog goes up compressed") {
  Shop shop;
  std::size_t record_bytes = 0;
  for (int i = 0; i < 500; ++i) shop.sell(fmt::format("r{}", i));
  const auto rows = shop.journal->read(journal::Row(1), 500, 1U << 20U);
  REQUIRE(rows.has_value());
  for (const auto& row : *rows) record_bytes += row.record.size();
  shop.connect();
  REQUIRE(shop.stream.size() == 500);
  CHECK(shop.sent_bytes < record_bytes / 2);
}

TEST_CASE("gateway: the heartbeat says until when everything is in the stream, and only with a clock that is right") {
  Shop shop;
  shop.connect();
  for (int i = 0; i < 10; ++i) shop.pass(1s);
  REQUIRE_FALSE(shop.heartbeats.empty());
  CHECK_FALSE(shop.heartbeats.back().has_complete_until_ms());
  shop.machine.on_clock(true);
  for (int i = 0; i < 10; ++i) shop.pass(1s);
  REQUIRE(shop.heartbeats.back().has_complete_until_ms());
  const auto at = shop.now.utc.time_since_epoch().count();
  CHECK(shop.heartbeats.back().complete_until_ms() <= at);
  CHECK(shop.heartbeats.back().complete_until_ms() > at - 7'000);
}

TEST_CASE("gateway: what a heartbeat tells as pending is of the moment in which it is sent") {
  std::size_t with_pending = 0;
  for (std::chrono::milliseconds offset{0}; offset < 5s; offset += 100ms) {
    Shop shop;
    shop.connect();
    shop.pass(offset);
    shop.bridge_hears = false;
    shop.sell("r1", 250);
    shop.pass(1s);
    shop.bridge_hears = true;
    for (int i = 0; i < 80; ++i) shop.pass(100ms);
    CHECK(shop.heartbeats.size() > 1);
    for (const auto& heartbeat : shop.heartbeats) {
      std::uint64_t count = 0;
      for (const auto& amount : heartbeat.pending_amounts()) count += amount.count();
      CHECK(count == heartbeat.pending_events());
      with_pending += heartbeat.pending_events();
    }
  }
  CHECK(with_pending > 0);
}

TEST_CASE("gateway: an event's way can be asked for") {
  Shop shop;
  shop.sell("r1");
  shop.machine.find_event("t1", "r1", gateway::Ticket(900));
  shop.machine.find_event("t1", "r2", gateway::Ticket(901));
  shop.run();
  REQUIRE(shop.history.at(gateway::Ticket(900)).size() == 1);
  CHECK_FALSE(shop.history.at(gateway::Ticket(900)).front().committed_at);
  CHECK(shop.history.at(gateway::Ticket(901)).empty());
  shop.connect();
  shop.machine.find_event("t1", "r1", gateway::Ticket(902));
  shop.run();
  CHECK(shop.history.at(gateway::Ticket(902)).front().committed_at);
}

TEST_CASE("gateway: verify and export hear of a journal that fails, each by its own answer") {
  Shop shop;
  shop.sell("r1");
  shop.journal->fail_next(journal::Error::broken);
  static_cast<void>(shop.sell("r2"));
  shop.machine.verify_rows(handoff::Row(1), gateway::Ticket(800));
  shop.machine.export_rows(handoff::Row(1), 10, 1'000, gateway::Ticket(801));
  shop.run();
  CHECK(shop.verify_failures == std::vector<gateway::Ticket>{gateway::Ticket(800)});
  CHECK(shop.export_failures == std::vector<gateway::Ticket>{gateway::Ticket(801)});
}

TEST_CASE("gateway: stopping refuses new events as busy and answers what waits") {
  Shop shop;
  shop.journal_stuck = true;
  const auto waiting = shop.sell("r1");
  shop.machine.stop(shop.now);
  const auto late = shop.sell("r2");
  CHECK(shop.refused(late) == redact::Reason::busy);
  CHECK_FALSE(shop.machine.settled());
  shop.journal_stuck = false;
  for (auto& request : std::exchange(shop.stuck, {})) shop.serve(std::move(request));
  shop.run();
  CHECK(shop.stored(waiting).seq == 1);
  CHECK(shop.machine.settled());
}

TEST_CASE(
    "gateway: committed rows older than the retention go while nothing happens, and rows that have not gone up stay") {
  for (const std::chrono::seconds retention : {10s, 60s, 1800s, 86'400s}) {
    CAPTURE(retention.count());
    Shop shop(retention);
    shop.connect();
    for (int i = 0; i < 7; ++i) shop.pass(retention / 10);
    for (int i = 0; i < 3000; ++i) shop.sell(fmt::format("r{}", i));
    REQUIRE(shop.stream.size() == 3000);
    shop.bridge_hears = false;
    shop.sell("pending");
    const auto committed_at = shop.now.instant;
    const auto idle_until = [&](base::Instant end) {
      while (const auto at = shop.machine.wakeup_at()) {
        if (*at >= end) break;
        shop.pass(std::chrono::ceil<std::chrono::milliseconds>(*at - shop.now.instant));
      }
    };
    idle_until(committed_at + retention - 1s);
    CHECK(shop.disk.rows.size() == 3001);
    idle_until(committed_at + retention + std::min<std::chrono::milliseconds>(retention / 10, 60s) + 2s);
    CHECK(shop.disk.rows.size() == 1);
  }
}

TEST_CASE("gateway: an idle machine asks to be woken at most once a second") {
  Shop shop;
  shop.connect();
  shop.sell("r1");
  shop.pass(1s);
  int wakeups = 0;
  const auto end = shop.now.instant + 60s;
  while (const auto at = shop.machine.wakeup_at()) {
    if (*at > end) break;
    CHECK(*at > shop.now.instant);
    shop.pass(std::chrono::ceil<std::chrono::milliseconds>(*at - shop.now.instant));
    if (++wakeups > 300) break;
  }
  CHECK(wakeups < 300);
}

namespace {

const status::Histogram& timing(const status::Facts& facts, std::string_view name) {
  const auto found = std::ranges::find(facts.timings, name, &status::Timing::name);
  REQUIRE(found != facts.timings.end());
  return found->histogram;
}

void expect_in_order(const Shop& shop, std::size_t count) {
  REQUIRE(shop.stream.size() == count);
  for (std::size_t i = 0; i < count; ++i) CHECK(shop.stream[i] == fmt::format("r{}", i));
}

}  // namespace

TEST_CASE("gateway: answer, append and acknowledgement are timed, each from its own beginning") {
  Shop shop;
  shop.journal_stuck = true;
  static_cast<void>(shop.sell("r0"));
  shop.pass(40ms);
  shop.journal_stuck = false;
  for (auto& request : std::exchange(shop.stuck, {})) shop.serve(std::move(request));
  shop.run();
  CHECK(timing(shop.machine.facts(shop.now), "send_ack_seconds").count() == 0);
  shop.connect();
  shop.pass(1ms);
  expect_in_order(shop, 1);
  const auto facts = shop.machine.facts(shop.now);
  for (const char* name : {"submit_answer_seconds", "append_seconds"}) {
    CAPTURE(name);
    CHECK(timing(facts, name).count() == 1);
    CHECK(timing(facts, name).sum_seconds() == doctest::Approx(0.04));
  }
  CHECK(timing(facts, "send_ack_seconds").count() == 1);
}

TEST_CASE("gateway: a batch that must be sent again is timed from its first sending") {
  Shop shop;
  shop.connect();
  shop.pass(1ms);
  shop.bridge_hears = false;
  static_cast<void>(shop.sell("r0"));
  shop.pass(300ms);
  shop.bridge_hears = true;
  for (int i = 0; i < 100; ++i) shop.pass(50ms);
  expect_in_order(shop, 1);
  const auto facts = shop.machine.facts(shop.now);
  CHECK(timing(facts, "send_ack_seconds").count() == 1);
  CHECK(timing(facts, "send_ack_seconds").sum_seconds() >= 0.3);
}

TEST_CASE("gateway: a broker that names a small packet size gets no larger one") {
  Shop shop;
  for (int i = 0; i < 200; ++i) static_cast<void>(shop.sell(fmt::format("r{}", i)));
  shop.broker_takes = 4'096;
  shop.connect(4'096);
  for (int i = 0; i < 20; ++i) shop.pass(10ms);
  expect_in_order(shop, 200);
  CHECK(shop.largest <= 4'096);
  CHECK(shop.machine.facts(shop.now).uplink.blocked.empty());
}

TEST_CASE("gateway: a broker that refuses large packets without a word before gets smaller ones") {
  Shop shop;
  for (int i = 0; i < 200; ++i) static_cast<void>(shop.sell(fmt::format("r{}", i)));
  shop.broker_takes = 3'000;
  shop.connect();
  for (int i = 0; i < 20; ++i) shop.pass(10ms);
  expect_in_order(shop, 200);
  CHECK(shop.machine.facts(shop.now).uplink.blocked.empty());
}

TEST_CASE("gateway: an event that alone is larger than the broker takes is told, loses nothing, and goes when it may") {
  for (const std::uint32_t named : {0U, 100U}) {
    CAPTURE(named);
    Shop shop;
    shop.broker_takes = 100;
    shop.connect(named);
    for (int i = 0; i < 5; ++i) static_cast<void>(shop.sell(fmt::format("r{}", i)));
    shop.pass(5s);
    CHECK(shop.stream.empty());
    CHECK(shop.machine.facts(shop.now).pending_events == 5);
    const std::string blocked = shop.machine.facts(shop.now).uplink.blocked;
    CHECK(blocked.find("larger than the broker takes") != std::string::npos);
    CHECK((blocked.find("(100)") != std::string::npos) == (named != 0));
    shop.broker_takes = 1U << 20U;
    for (int i = 0; i < 100; ++i) shop.pass(100ms);
    expect_in_order(shop, 5);
    CHECK(shop.machine.facts(shop.now).uplink.blocked.empty());
  }
}

TEST_CASE("gateway: a notice whose append failed and was stored all the same is stored once") {
  Shop shop;
  shop.journal_stuck = true;
  const gateway::Ticket ticket(901);
  shop.machine.tell("settings_changed", {}, ticket, shop.now);
  shop.run();
  for (auto& request : std::exchange(shop.stuck, {})) {
    const auto asker = request.asker;
    static_cast<void>(gateway::serve(*shop.journal, std::move(request)));
    shop.machine.on_journal({.asker = asker, .result = base::fail(journal::Error::broken)}, shop.now);
  }
  REQUIRE(shop.disk.rows.size() == 1);
  shop.journal_stuck = false;
  shop.machine.on_journal_failed(journal::Error::broken, "disk I/O error", shop.now);
  shop.run();
  CHECK(shop.answers.count(ticket) == 0);
  shop.open_journal();
  shop.run();
  CHECK(shop.disk.rows.size() == 1);
  CHECK(shop.stored(ticket).seq == 1);
  CHECK(shop.stored(shop.sell("r1")).seq == 2);
}

TEST_CASE("gateway: who waits for a notice is answered when it is on disk, and busy when it had to make room") {
  Shop shop;
  shop.run();
  shop.journal_stuck = true;
  const gateway::Ticket first(1'000);
  shop.machine.tell("tap_copies_lost", {{"count", "3"}}, first, shop.now);
  shop.run();
  CHECK(shop.answers.count(first) == 0);
  shop.journal_stuck = false;
  for (auto& request : std::exchange(shop.stuck, {})) shop.serve(std::move(request));
  shop.run();
  const terminal::Stored& stored = shop.stored(first);
  CHECK(stored.seq > 0);
  CHECK_FALSE(stored.epoch.empty());
  CHECK_FALSE(stored.duplicate);

  shop.journal_stuck = true;
  for (std::uint64_t i = 1; i <= gateway::NoticeLine::notices_max + 1; ++i)
    shop.machine.tell("tap_copies_lost", {{"count", "1"}}, gateway::Ticket(2'000 + i), shop.now);
  shop.run();
  CHECK(shop.refused(gateway::Ticket(2'001)) == redact::Reason::busy);
  shop.journal_stuck = false;
  for (auto& request : std::exchange(shop.stuck, {})) shop.serve(std::move(request));
  shop.run();
  for (std::uint64_t i = 2; i <= gateway::NoticeLine::notices_max + 1; ++i)
    CHECK(shop.stored(gateway::Ticket(2'000 + i)).seq > stored.seq);
}

TEST_CASE("gateway: a rejected message puts its terminal's batch in doubt, on disk with the notice, and once") {
  Shop shop;
  const auto rejected_at = shop.now.utc.time_since_epoch().count();
  const terminal::Shape shape{{"mti", "0220"}, {"reason", "field 4"}, {"field_41", "T1"}};
  shop.machine.reject_message(shape, shop.now);
  shop.pass(1s);
  shop.machine.reject_message(shape, shop.now);
  shop.pass(1s);
  const journal::Tallies& tallies = shop.disk.catalog.tallies;
  REQUIRE(tallies.sums().size() == 1);
  CHECK(tallies.sums().front().key == "T1\ndoubts");
  CHECK(tallies.sums().front().numbers->front() == rejected_at);
}

TEST_CASE("gateway: what a tap could not read is a notice, and the tap is answered when that is on disk") {
  Shop shop;
  shop.run();
  const terminal::Shape shape{{"mti", "0220"}, {"reason", "field 4"}, {"line", "tills"}};
  const auto by_tap = [&](std::uint64_t ticket) {
    return gateway::SeenByTap{.at = shop.now.utc, .ticket = gateway::Ticket(ticket)};
  };
  shop.journal_stuck = true;
  shop.machine.reject_message(shape, shop.now, by_tap(1'000));
  shop.run();
  CHECK(shop.answers.count(gateway::Ticket(1'000)) == 0);
  shop.journal_stuck = false;
  for (auto& request : std::exchange(shop.stuck, {})) shop.serve(std::move(request));
  shop.run();
  CHECK_FALSE(shop.stored(gateway::Ticket(1'000)).duplicate);
  const std::size_t rows = shop.disk.rows.size();

  shop.machine.reject_message(shape, shop.now, by_tap(1'001));
  shop.run();
  CHECK(shop.stored(gateway::Ticket(1'001)).duplicate);
  CHECK(shop.disk.rows.size() == rows);

  shop.pass(gateway::Gateway::rejected_again_after);
  shop.machine.reject_message(shape, shop.now, by_tap(1'002));
  shop.run();
  CHECK_FALSE(shop.stored(gateway::Ticket(1'002)).duplicate);
  CHECK(shop.disk.rows.size() == rows + 1);
}

TEST_CASE("gateway: a notice for a tap that had to make room is told again") {
  Shop shop;
  shop.run();
  shop.journal_stuck = true;
  const auto reject = [&](std::uint64_t i) {
    shop.machine.reject_message({{"reason", std::to_string(i)}}, shop.now,
                                gateway::SeenByTap{.at = shop.now.utc, .ticket = gateway::Ticket(2'000 + i)});
    shop.run();
  };
  for (std::uint64_t i = 0; i <= gateway::NoticeLine::notices_max; ++i) reject(i);
  std::uint64_t refused = 0;
  while (shop.answers.count(gateway::Ticket(2'000 + refused)) == 0) ++refused;
  REQUIRE(shop.refused(gateway::Ticket(2'000 + refused)) == redact::Reason::busy);
  shop.journal_stuck = false;
  for (auto& request : std::exchange(shop.stuck, {})) shop.serve(std::move(request));
  shop.run();
  shop.answers.erase(gateway::Ticket(2'000 + refused));
  reject(refused);
  CHECK_FALSE(shop.stored(gateway::Ticket(2'000 + refused)).duplicate);
}

TEST_CASE("gateway: a message that does not say whose it is puts every terminal's batch in doubt") {
  Shop shop;
  shop.machine.reject_message({{"mti", "0220"}, {"reason", "another dialect's"}}, shop.now);
  shop.pass(1s);
  REQUIRE(shop.disk.catalog.tallies.sums().size() == 1);
  CHECK(shop.disk.catalog.tallies.sums().front().key == "\ndoubts");
}

TEST_CASE(
    "gateway: what a card-scheme message told of and nobody can store becomes a notice with all that could be read") {
  Shop shop;
  const auto draft = [](std::string terminal, std::string stan) {
    redact::Draft made;
    made.fields.source = redact::Source::iso8583;
    made.fields.on_conflict = redact::OnConflict::store;
    made.fields.text(redact::Field::type) = "sale";
    made.fields.text(redact::Field::outcome) = "approved";
    made.fields.text(redact::Field::terminal_id) = std::move(terminal);
    made.fields.text(redact::Field::terminal_ref) = made.fields.text(redact::Field::stan) = std::move(stan);
    made.fields.text(redact::Field::rrn) = "632700004711";
    made.fields.number(redact::Field::amount_minor) = 1250;
    return made;
  };
  const auto reject = [&](redact::Draft of, std::uint64_t ticket) {
    shop.machine.submit(std::move(of), {}, gateway::Ticket(ticket), shop.now);
    shop.pass(1s);
    CHECK(shop.refused(gateway::Ticket(ticket)) == redact::Reason::invalid_field);
    tillstream::v1::Event notice;
    REQUIRE(notice.ParseFromString(shop.disk.rows.rbegin()->second.record));
    CHECK(notice.notice() == "message_rejected");
    return notice;
  };
  auto details = reject(draft("TE\x01M0001", "004711"), 3'001).details();
  CHECK(details.at("field_41_hex") == "5445014d30303031");
  CHECK(details.at("stan") == "004711");
  CHECK(details.at("rrn") == "632700004711");
  CHECK(details.at("amount_minor") == "1250");
  CHECK(details.at("reason").find("terminal_id") != std::string::npos);
  CHECK(shop.disk.catalog.tallies.sums().back().key == "\ndoubts");
  details = reject(draft("TERM0001",
                         "12\x01"
                         "56"),
                   3'002)
                .details();
  CHECK(details.at("field_41") == "TERM0001");
  CHECK(details.at("stan_hex") == "3132013536");
  CHECK(shop.disk.catalog.tallies.sums().back().key == "TERM0001\ndoubts");
}
