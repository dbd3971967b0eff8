// A fleet of gateways on a few MQTT connections: each a real handoff::Sender over a journal in memory, one event each
// ten seconds, heartbeats as a gateway sends them.
//
//   fleet_load HOW PORT GATEWAYS SECONDS
//
// HOW: handoff, or bare: each event goes to the gateway's own down topic, and the broker alone is the way. Port on
// 127.0.0.1. The gateways connect evenly over a ramp and are measured two intervals after it. Prints "measuring", then,
// SECONDS later, one line of JSON: milliseconds from the append to the ack. Publishes with QoS 0 where a gateway takes
// 1: the bridge sees no difference, and generator and broker leave it more of the machine.
#include <fmt/format.h>
#include <mosquitto.h>
#include <poll.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

#include "proto/base/assert.hpp"
#include "proto/handoff/sender.hpp"
#include "proto/handoff/topics.hpp"
#include "proto/platform/system.hpp"
#include "proto/wire/event.pb.h"
#include "tests/support/handoff/model_journal.hpp"
#include "tests/support/seeded_random.hpp"

namespace {

using base::Instant;
using handoff::Row;
using std::chrono::duration;
using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t connections = 8;
constexpr seconds interval{10};
constexpr std::size_t connects_a_second = 2'000;
// What a Batch with one such event takes.
constexpr std::size_t bare_bytes = 440;

Instant now() { return platform::now().instant; }

base::Bytes event(std::string_view gateway, std::uint64_t number) {
  tillstream::v1::Event sale;
  const auto at = duration_cast<milliseconds>(platform::now().utc.time_since_epoch()).count();
  sale.set_schema_version(1);
  base::Bytes id(16, '\x70');
  std::memcpy(id.data(), &number, sizeof number);
  sale.set_event_id(id);
  sale.set_type("sale");
  sale.set_source("framed");
  sale.set_terminal_id("T0010001");
  sale.set_terminal_ref(fmt::format("{:08}", number));
  sale.set_occurred_at_ms(at);
  sale.set_received_at_ms(at);
  sale.set_clock_synced(true);
  sale.set_merchant_id("M-1");
  sale.set_merchant_name(std::string(gateway));
  sale.set_till_id("till-03");
  sale.set_operator_id("0042");
  sale.set_amount_minor(1250);
  sale.set_currency("EUR");
  sale.set_currency_exponent(2);
  sale.set_effect_minor(1250);
  sale.set_outcome("approved");
  sale.set_card_last4("1111");
  sale.set_card_brand("visa");
  sale.set_entry_mode("contactless");
  sale.set_auth_code("123456");
  sale.set_rrn(fmt::format("6327{:08}", number));
  sale.set_business_date("2026-11-24");
  sale.set_business_key("MFRGGZDFMZTWQ2LKNNWG23TPOBYXE43UOV3HO6DZPIYDC");
  return sale.SerializeAsString();
}

class Line {
 public:
  Line(int port, std::size_t number, std::function<void(std::string_view topic, std::string_view payload)> heard)
      : heard_(std::move(heard)), handle_(mosquitto_new(fmt::format("fleet-{}", number).c_str(), true, this)) {
    ASSERT(mosquitto_int_option(handle_, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5) == MOSQ_ERR_SUCCESS);
    ASSERT(mosquitto_int_option(handle_, MOSQ_OPT_TCP_NODELAY, 1) == MOSQ_ERR_SUCCESS);
    mosquitto_connect_callback_set(handle_, [](mosquitto*, void* self, int code) {
      ASSERT(code == 0);
      static_cast<Line*>(self)->connected_ = true;
    });
    mosquitto_subscribe_callback_set(
        handle_, [](mosquitto*, void* self, int, int, const int*) { ++static_cast<Line*>(self)->granted_; });
    mosquitto_message_callback_set(handle_, [](mosquitto*, void* self, const mosquitto_message* message) {
      static_cast<Line*>(self)->heard_(
          message->topic, {static_cast<const char*>(message->payload), static_cast<std::size_t>(message->payloadlen)});
    });
    ASSERT(mosquitto_connect(handle_, "127.0.0.1", port, 60) == MOSQ_ERR_SUCCESS);
    until([this] { return connected_; });
    std::size_t asked = 0;
    for (std::size_t shard = number; shard < 256; shard += connections, ++asked) {
      const std::string topic = fmt::format("tillstream/v1/down/{:02x}/+", shard);
      ASSERT(mosquitto_subscribe(handle_, nullptr, topic.c_str(), 0) == MOSQ_ERR_SUCCESS);
    }
    until([&] { return granted_ == asked; });
  }
  ~Line() { mosquitto_destroy(handle_); }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  void publish(const std::string& topic, std::string_view payload) {
    ASSERT(mosquitto_publish(handle_, nullptr, topic.c_str(), static_cast<int>(payload.size()), payload.data(), 0,
                             false) == MOSQ_ERR_SUCCESS);
  }
  [[nodiscard]] pollfd wish() const {
    const auto writes = static_cast<short>(mosquitto_want_write(handle_) ? POLLOUT : 0);
    return {.fd = mosquitto_socket(handle_), .events = static_cast<short>(POLLIN | writes), .revents = 0};
  }
  void step(short seen) {
    if ((seen & POLLOUT) != 0) ASSERT(mosquitto_loop_write(handle_, 1) == MOSQ_ERR_SUCCESS);
    // So many packets at a time, that no other line waits long.
    for (int packets = 0; (seen & POLLIN) != 0 && packets < 64; ++packets) {
      ASSERT(mosquitto_loop_read(handle_, 1) == MOSQ_ERR_SUCCESS);
      pollfd more = {.fd = mosquitto_socket(handle_), .events = POLLIN, .revents = 0};
      ASSERT(poll(&more, 1, 0) >= 0);
      seen = more.revents;
    }
    ASSERT(mosquitto_loop_misc(handle_) == MOSQ_ERR_SUCCESS);
  }

 private:
  template <class Condition>
  void until(Condition condition) {
    while (!condition()) {
      pollfd one = wish();
      ASSERT(poll(&one, 1, 5'000) == 1);
      step(one.revents);
    }
  }

  std::function<void(std::string_view, std::string_view)> heard_;
  mosquitto* handle_;
  bool connected_ = false;
  std::size_t granted_ = 0;
};

struct Result {
  Instant from{};
  Instant until{};
  std::vector<double> milliseconds_{};
  std::uint64_t events = 0;
  std::uint64_t alarms = 0;
  std::uint64_t reconnects = 0;

  void take(Instant submitted) {
    if (submitted < from || submitted >= until) return;
    milliseconds_.push_back(duration<double, std::milli>(now() - submitted).count());
  }
};

class Gateway {
 public:
  Gateway(std::string id, base::Random& random, Result& result, std::vector<std::unique_ptr<Line>>& lines, bool bare)
      : id_(std::move(id)),
        random_(random),
        result_(result),
        lines_(lines),
        bare_(bare),
        shard_(handoff::shard_of(platform::hasher(), id_)),
        up_(handoff::up_topic(shard_, id_)),
        down_(handoff::down_topic(shard_, id_)),
        journal_(platform::hasher(), random),
        sender_(platform::hasher(), random, {.gateway_id = id_, .program = "fleet_load"}) {
    sender_.on_opened(journal_.open(random_), now());
  }

  [[nodiscard]] const std::string& down() const { return down_; }
  [[nodiscard]] const std::string& shard() const { return shard_; }
  [[nodiscard]] const handoff::SenderCounters& counters() const { return sender_.counters(); }

  void connect() {
    if (!bare_) sender_.on_connected({}, now());
  }
  void submit() {
    const Instant at = now();
    if (at >= result_.from && at < result_.until) ++result_.events;
    if (bare_) {
      std::string payload(bare_bytes, '.');
      const auto ticks = at.time_since_epoch().count();
      std::memcpy(payload.data(), &ticks, sizeof ticks);
      return line().publish(down_, payload);
    }
    const std::vector<base::Bytes> records{event(id_, ++number_)};
    submitted_.push_back(at);
    const Row first = journal_.append(records);
    sender_.on_appended(first, records, at);
  }
  void hear(std::string_view payload) {
    if (bare_) {
      Instant::duration::rep ticks = 0;
      std::memcpy(&ticks, payload.data(), sizeof ticks);
      return result_.take(Instant(Instant::duration(ticks)));
    }
    tillstream::v1::Down down;
    ASSERT(down.ParseFromArray(payload.data(), static_cast<int>(payload.size())));
    if (down.has_ack()) sender_.on_ack(down.ack(), now());
    if (down.has_owner()) sender_.on_owner(down.owner(), now());
  }
  // Does what the sender says; when to come back.
  std::optional<Instant> settle() {
    if (bare_) return std::nullopt;
    while (const auto output = sender_.poll(now())) std::visit([this](const auto& one) { execute(one); }, *output);
    return sender_.wakeup_at();
  }

 private:
  Line& line() { return *lines_[std::stoul(shard_, nullptr, 16) % connections]; }

  void execute(const handoff::Send& send) { line().publish(up_, send.up.SerializeAsString()); }
  void execute(const handoff::Read& read) {
    sender_.on_rows(read.from, journal_.read(read.from, read.max_rows, read.max_bytes), now());
  }
  void execute(const handoff::StoreEpoch& store) {
    journal_.start_epoch(store.start, store.run);
    sender_.on_epoch_stored(now());
  }
  void execute(const handoff::Acked& acked) {
    journal_.remember_acked(acked.mark);
    for (; acked_ < acked.mark.row; ++acked_) {
      result_.take(submitted_.front());
      submitted_.pop_front();
    }
  }
  void execute(const handoff::Reconnect&) {
    ++result_.reconnects;
    sender_.on_disconnected(now());
    sender_.on_connected({}, now());
  }
  void execute(const handoff::AppendNotice&) { ++result_.alarms; }
  void execute(const handoff::Alarm&) { ++result_.alarms; }

  std::string id_;
  base::Random& random_;
  Result& result_;
  std::vector<std::unique_ptr<Line>>& lines_;
  bool bare_;
  std::string shard_;
  std::string up_;
  std::string down_;
  support::ModelJournal journal_;
  handoff::Sender sender_;
  std::deque<Instant> submitted_;
  Row acked_;
  std::uint64_t number_ = 0;
};

// Which gateway is due when: for its sender's timers, for its next event, for its connection.
enum class Due : std::uint8_t { timer, event, connect };
struct Entry {
  Instant at;
  std::size_t gateway = 0;
  Due due{};
  friend bool operator>(const Entry& one, const Entry& other) { return one.at > other.at; }
};

class Fleet {
 public:
  Fleet(bool bare, int port, std::size_t count, seconds measured) : measured_(measured) {
    for (std::size_t i = 0; i < connections; ++i) {
      lines_.push_back(std::make_unique<Line>(
          port, i, [this](std::string_view topic, std::string_view payload) { hear(topic, payload); }));
    }
    for (std::size_t i = 0; i < count; ++i) {
      gateways_.push_back(std::make_unique<Gateway>(fmt::format("shop-{:06}", i), random_, result_, lines_, bare));
      places_.emplace(gateways_.back()->down(), i);
      shards_[handoff::owner_topic(gateways_.back()->shard())].push_back(i);
    }
    timers_.resize(count, Instant::max());
    const Instant begin = now();
    const auto ramp = duration_cast<Instant::duration>(seconds(1)) * static_cast<int>(count) / connects_a_second;
    for (std::size_t i = 0; i < count; ++i) {
      const auto part = [&](Instant::duration whole) {
        return Instant::duration(whole.count() / static_cast<Instant::duration::rep>(count) *
                                 static_cast<Instant::duration::rep>(i));
      };
      due_.push({begin + part(ramp), i, Due::connect});
      due_.push({begin + ramp + part(interval), i, Due::event});
    }
    result_.from = begin + ramp + 2 * interval;
    result_.until = result_.from + measured_;
  }

  void run() {
    bool told = false;
    // What was submitted last may still be acked.
    while (now() < result_.until || (now() < result_.until + interval && open())) {
      if (!told && now() >= result_.from) {
        told = true;
        fmt::print("measuring\n");
        std::fflush(stdout);
      }
      turn();
    }
  }

  void print() {
    auto& times = result_.milliseconds_;
    std::ranges::sort(times);
    // Where nothing was acked: at least so long.
    const auto quantile = [&](double part) {
      if (times.empty()) return duration<double, std::milli>(interval + measured_).count();
      return times[static_cast<std::size_t>(static_cast<double>(times.size() - 1) * part)];
    };
    std::uint64_t repeats = 0;
    for (const auto& gateway : gateways_) repeats += gateway->counters().retransmissions;
    fmt::print(
        R"({{"events": {}, "acked": {}, "seconds": {}, "p50": {:.2f}, "p99": {:.2f}, "retransmissions": {}, "alarms": {}, "reconnects": {}}})"
        "\n",
        result_.events, times.size(), measured_.count(), quantile(0.5), quantile(0.99), repeats, result_.alarms,
        result_.reconnects);
  }

 private:
  [[nodiscard]] bool open() const { return result_.milliseconds_.size() < result_.events; }

  void turn() {
    std::array<pollfd, connections> polls{};
    for (std::size_t i = 0; i < connections; ++i) polls[i] = lines_[i]->wish();
    const auto wait = due_.empty() ? seconds(1) : due_.top().at - now();
    const auto patience = std::clamp<long>(duration_cast<milliseconds>(wait).count(), 0, 100);
    ASSERT(poll(polls.data(), polls.size(), static_cast<int>(patience)) >= 0);
    for (std::size_t i = 0; i < connections; ++i) lines_[i]->step(polls[i].revents);
    for (int turns = 0; turns < 256 && !due_.empty() && due_.top().at <= now(); ++turns) {
      const Entry entry = due_.top();
      due_.pop();
      begin(entry);
    }
  }
  void begin(const Entry& entry) {
    if (entry.due == Due::timer) {
      if (timers_[entry.gateway] != entry.at) return;  // it has moved
      timers_[entry.gateway] = Instant::max();
    }
    if (entry.due == Due::connect) gateways_[entry.gateway]->connect();
    if (entry.due == Due::event) {
      gateways_[entry.gateway]->submit();
      if (entry.at + interval < result_.until) due_.push({entry.at + interval, entry.gateway, Due::event});
    }
    settle(entry.gateway);
  }
  void settle(std::size_t gateway) {
    const auto at = gateways_[gateway]->settle();
    if (!at || *at == timers_[gateway]) return;
    timers_[gateway] = *at;
    due_.push({*at, gateway, Due::timer});
  }
  void hear(std::string_view topic, std::string_view payload) {
    if (const auto shard = shards_.find(std::string(topic)); shard != shards_.end()) {
      for (const std::size_t gateway : shard->second) hear(gateway, payload);
    } else if (const auto place = places_.find(std::string(topic)); place != places_.end()) {
      hear(place->second, payload);
    }
  }
  void hear(std::size_t gateway, std::string_view payload) {
    gateways_[gateway]->hear(payload);
    settle(gateway);
  }

  seconds measured_;
  support::SeededRandom random_{1};
  Result result_;
  std::vector<std::unique_ptr<Line>> lines_;
  std::vector<std::unique_ptr<Gateway>> gateways_;
  std::unordered_map<std::string, std::size_t> places_;               // by down topic
  std::unordered_map<std::string, std::vector<std::size_t>> shards_;  // by the shard's own topic
  std::vector<Instant> timers_;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> due_;
};

}  // namespace

int main(int argc, char** argv) {
  ASSERT(argc == 5);
  ASSERT(mosquitto_lib_init() == MOSQ_ERR_SUCCESS);
  Fleet fleet(std::string_view(argv[1]) == "bare", std::atoi(argv[2]), static_cast<std::size_t>(std::atoll(argv[3])),
              seconds(std::atoi(argv[4])));
  fleet.run();
  fleet.print();
}
