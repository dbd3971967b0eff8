#include "tests/sim/world/broker.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace whole {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kQueueMax = 1'000;
constexpr std::size_t kSmallQueueMax = 12;
// Whoever hangs in connecting gives it up then, at the latest.
constexpr std::chrono::microseconds kConnectTime = 25s;
constexpr std::uint8_t kNotAuthorised = 0x87;
constexpr std::uint8_t kQuotaExceeded = 0x97;

}  // namespace

Broker::Broker(Env& env) : env_(env), queue_max_(env.faults.small_queue ? kSmallQueueMax : kQueueMax) {}

Broker::Line* Broker::alive(Connection connection) {
  const auto found = lines_.find(connection);
  return found == lines_.end() ? nullptr : &found->second;
}

Connection Broker::connect(Peer& peer, std::vector<std::string> filters) {
  const Connection connection = ++last_;
  Line& line = lines_[connection];
  line.peer = &peer;
  line.filters = std::move(filters);
  const bool hangs = env_.strikes(env_.faults.refused, 6);
  const bool refused = env_.strikes(env_.faults.refused, 3) || env_.clock.at() < refused_until_;
  env_.clock.after(hangs ? kConnectTime : env_.between(1ms, 200ms), [this, connection, fails = hangs || refused] {
    if (fails) return end(connection, "refused");
    connected(connection);
  });
  return connection;
}

void Broker::connected(Connection connection) {
  Line* line = alive(connection);
  if (line == nullptr) return;
  line->up = true;
  for (const std::string& filter : line->filters) subscribers_[filter].push_back(connection);
  line->peer->on_connected(connection);
}

void Broker::forget(Connection connection) {
  const auto found = lines_.find(connection);
  if (found == lines_.end()) return;
  if (found->second.up) {
    for (const std::string& filter : found->second.filters) std::erase(subscribers_[filter], connection);
  }
  lines_.erase(found);
}

void Broker::end(Connection connection, const std::string& reason) {
  const Line* line = alive(connection);
  if (line == nullptr) return;
  Peer* peer = line->peer;
  forget(connection);
  env_.clock.after(1us, [peer, connection, reason] { peer->on_lost(connection, reason); });
}

void Broker::abandon(Connection connection) { forget(connection); }

void Broker::publish(Connection from, const std::string& topic, base::Bytes payload, bool acknowledged) {
  Line* line = alive(from);
  if (line == nullptr || line->half_open) return;
  // A bridge greets every shard it owns; most of them have no gateway.
  if (!acknowledged && !subscribers_.contains(topic)) return;
  ++messages_;
  line->last_up = std::max(line->last_up + 1us, env_.clock.at() + env_.between(100us, 5ms));
  env_.clock.after(line->last_up - env_.clock.at(),
                   [this, from, topic, payload = std::make_shared<const base::Bytes>(std::move(payload)),
                    acknowledged] { arrived(from, topic, payload, acknowledged); });
}

void Broker::arrived(Connection from, const std::string& topic, const Payload& payload, bool acknowledged) {
  Line* line = alive(from);
  if (line == nullptr || line->half_open) return;
  const bool refused = acknowledged && env_.strikes(env_.faults.refusal, 30);
  const std::uint8_t code = !refused ? 0 : env_.random.one_in(2) ? kNotAuthorised : kQuotaExceeded;
  if (acknowledged) {
    line->last_acknowledged = std::max(line->last_acknowledged + 1us, env_.clock.at() + env_.between(100us, 5ms));
    env_.clock.after(line->last_acknowledged - env_.clock.at(), [this, from, code, bytes = payload->size()] {
      if (Line* to = alive(from); to != nullptr && !to->half_open) to->peer->on_acknowledged(from, code, bytes);
    });
  }
  if (refused) return;
  if (env_.strikes(env_.faults.drop, 12)) {
    ++dropped_;
    return;
  }
  if (env_.strikes(env_.faults.late, 60)) {
    env_.clock.after(env_.between(1s, env_.random.one_in(4) ? 600s : 20s),
                     [this, topic, payload] { route(topic, payload); });
    if (env_.random.one_in(2)) return;
  }
  route(topic, payload);
}

void Broker::route(const std::string& topic, const Payload& payload) {
  const std::size_t last = topic.rfind('/');
  const std::string one_level = topic.substr(0, last + 1) + "+";
  const std::string two_levels = topic.substr(0, topic.rfind('/', last - 1) + 1) + "+/+";
  for (const std::string& filter : {topic, one_level, two_levels}) {
    const auto found = subscribers_.find(filter);
    if (found == subscribers_.end()) continue;
    for (const Connection to : found->second) queue(to, topic, payload);
  }
}

void Broker::queue(Connection to, const std::string& topic, const Payload& payload) {
  Line& line = lines_.at(to);
  if (line.queued >= queue_max_) {
    ++dropped_;
    return;
  }
  const bool overtakes = env_.chaos && env_.faults.reordering;
  base::Instant& last = line.last_down[overtakes ? topic : std::string()];
  const auto most = overtakes ? 200ms : 5ms;
  last = std::max(last + 1us, env_.clock.at() + env_.between(100us, most));
  deliver(to, topic, payload, last - env_.clock.at());
  if (env_.strikes(env_.faults.duplication, 8))
    deliver(to, topic, payload, last - env_.clock.at() + env_.between(1us, 2s));
}

void Broker::deliver(Connection to, const std::string& topic, const Payload& payload, base::Instant::duration delay) {
  ++lines_.at(to).queued;
  env_.clock.after(delay, [this, to, topic, payload] {
    Line* line = alive(to);
    if (line == nullptr) return;
    --line->queued;
    if (line->half_open) return;
    env_.story.trace({to, payload->size()});
    line->peer->on_message(to, topic, *payload);
  });
}

// --- faults --------------------------------------------------------------------------------------

Connection Broker::some_connection() {
  if (lines_.empty()) return 0;
  auto found = lines_.begin();
  std::advance(found, static_cast<std::ptrdiff_t>(env_.random.below(lines_.size())));
  return found->first;
}

void Broker::cut_one() {
  const Connection connection = some_connection();
  env_.story.tell([&] { return fmt::format("connection {} is cut", connection); });
  end(connection, "cut");
}

// Until the client's keep-alive notices, or its watchdog.
void Broker::make_half_open() {
  const Connection connection = some_connection();
  Line* line = alive(connection);
  if (line == nullptr || line->half_open) return;
  env_.story.tell([&] { return fmt::format("connection {} is half open", connection); });
  line->half_open = true;
  env_.clock.after(env_.between(30s, 90s), [this, connection] { end(connection, "keep-alive"); });
}

void Broker::restart() {
  env_.story.tell([] { return std::string("the broker restarts"); });
  std::vector<Connection> all;
  for (const auto& [connection, line] : lines_) all.push_back(connection);
  for (const Connection connection : all) end(connection, "the broker restarts");
  refuse_until(env_.clock.at() + env_.between(100ms, 30s));
}

void Broker::calm() {
  refused_until_ = {};
  queue_max_ = kQueueMax;
}

}  // namespace whole
