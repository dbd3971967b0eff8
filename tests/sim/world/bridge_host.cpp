#include "tests/sim/world/bridge_host.hpp"

#include <utility>

#include "proto/base/assert.hpp"
#include "proto/wire/codec.hpp"
#include "tests/sim/story/messages.hpp"

namespace whole {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kBudgetBytes = 64U << 20U;
// Less than any configuration may say, and room for one gateway's least share.
constexpr std::uint64_t kSmallBudgetBytes = 512U << 10U;
// What a batch may take beyond its estimate (Budget, (1)).
constexpr std::uint64_t kBeyondBudget = 1U << 20U;
constexpr auto kSessionTime = 10s;
// No machine asks for so much in one go.
constexpr int kOutputsMax = 100'000;

}  // namespace

BridgeHost::BridgeHost(Env& env, Broker& broker, Central& central, Group& group, const base::Hasher& hasher,
                       std::uint64_t number)
    : Process(env),
      broker_(broker),
      central_(central),
      group_(group),
      hasher_(hasher),
      number_(number),
      budget_bytes_(env.faults.small_budget ? kSmallBudgetBytes : kBudgetBytes) {}

void BridgeHost::start() {
  env_.story.tell([&] { return fmt::format("bridge {} starts", number_); });
  begin_life();
  program_ = std::make_unique<Program>(budget_bytes_);
  for (std::uint32_t p = 0; p < central_.partitions(); ++p) {
    bridge::ShardGroupSettings settings{.bridge_id = fmt::format("bridge-{}", number_),
                                        .program = "sim",
                                        .partition = p,
                                        .partitions = central_.partitions()};
    program_->parts.push_back({std::make_unique<bridge::ShardGroup>(hasher_, env_.random, program_->budget,
                                                                    program_->counters, std::move(settings))});
  }
  program_->stream =
      std::make_unique<StreamClient>(env_, central_, *this, static_cast<stream::Owner&>(*this), [this] { join(); });
  join();
}

void BridgeHost::join() {
  group_.join(number_, of_this_life([this](const std::set<std::uint32_t>& ours) {
                env_.story.tell([&] { return fmt::format("bridge {} is given {} partitions", number_, ours.size()); });
                program_->stream->assign(ours);
              }));
}

void BridgeHost::kill() {
  if (!running()) return;
  env_.story.tell([&] { return fmt::format("bridge {} is killed", number_); });
  for (const Part& part : program_->parts) broker_.abandon(part.connection);
  end_life();
  program_.reset();
  env_.clock.after(kSessionTime, [this] {
    if (!running()) group_.remove(number_);
  });
}

// Others take over meanwhile; it wakes up and goes on as if nothing had been.
void BridgeHost::pause(base::Instant::duration time) {
  if (!running() || asleep()) return;
  env_.story.tell([&] { return fmt::format("bridge {} sleeps for {} s", number_, time / 1s); });
  sleep();
  env_.clock.after(kSessionTime, [this] {
    if (asleep()) group_.remove(number_);
  });
  env_.clock.after(time, [this] {
    if (!asleep()) return;
    env_.story.tell([&] { return fmt::format("bridge {} wakes up", number_); });
    wake();
    after(3s, [this] {
      if (!group_.has(number_)) join();
    });
  });
}

void BridgeHost::settle() {
  for (Part& part : program_->parts) settle(part);
  check_bounds();
}

void BridgeHost::settle(Part& part) {
  bridge::ShardGroup& machine = *part.group;
  const std::uint32_t partition = machine.settings().partition;
  for (int i = 0; auto output = machine.poll(env_.clock.now()); ++i) {
    if (i > kOutputsMax) return env_.story.fail(fmt::format("bridge {} never comes to rest", number_));
    if (auto* send = std::get_if<bridge::Send>(&*output)) {
      const bool to_all = send->topic.ends_with("/all");
      if (!to_all)
        env_.story.tell([&] {
          return fmt::format("bridge {} ▼ {}: {}", number_, send->topic.substr(send->topic.rfind('/') + 1),
                             sim::describe(*wire::decode_down(send->payload)));
        });
      broker_.publish(part.connection, send->topic, std::move(send->payload), false);
    } else if (auto* begin = std::get_if<bridge::Begin>(&*output)) {
      env_.story.tell([&] {
        return fmt::format("bridge {} begins transaction {} of partition {}: {} records", number_, begin->id.value(),
                           partition, begin->transaction.records.size());
      });
      program_->stream->begin(partition, begin->id, std::move(begin->transaction));
    } else if (auto* connect = std::get_if<bridge::Connect>(&*output)) {
      part.connection = broker_.connect(*this, std::move(connect->filters));
      env_.story.tell([&] { return fmt::format("bridge {} connects by {}", number_, part.connection); });
    } else {
      // Its end is not told to the machine, as the product's connection does not either.
      broker_.abandon(std::exchange(part.connection, 0));
    }
  }
  wake_at(machine.wakeup_at());
}

void BridgeHost::check_bounds() {
  if (program_->budget.used() <= program_->budget.bytes_max() + kBeyondBudget) return;
  env_.story.fail(fmt::format("bridge {} holds {} bytes of events; its limit is {}", number_, program_->budget.used(),
                              program_->budget.bytes_max()));
}

// --- the broker ----------------------------------------------------------------------------------

BridgeHost::Part* BridgeHost::part_of(Connection connection) {
  for (Part& part : program_->parts) {
    if (part.connection == connection) return &part;
  }
  return nullptr;
}

void BridgeHost::on_connected(Connection connection) {
  enter([this, connection] {
    Part* part = part_of(connection);
    if (part == nullptr) return;
    env_.story.tell([&] { return fmt::format("bridge {} is connected by {}", number_, connection); });
    part->group->on_online(env_.clock.now());
  });
}

void BridgeHost::on_lost(Connection connection, const std::string& reason) {
  enter([this, connection, reason] {
    Part* part = part_of(connection);
    if (part == nullptr) return;
    env_.story.tell([&] { return fmt::format("bridge {} has lost connection {}: {}", number_, connection, reason); });
    part->connection = 0;
    part->group->on_offline(reason, env_.clock.now());
  });
}

void BridgeHost::on_message(Connection connection, const std::string& topic, const base::Bytes& payload) {
  enter([this, connection, topic, payload] {
    if (Part* part = part_of(connection)) part->group->on_message(topic, payload, env_.clock.now());
  });
}

void BridgeHost::on_acknowledged(Connection /*connection*/, std::uint8_t /*code*/, std::size_t /*bytes*/) {
  ASSERT(false);  // a bridge publishes with QoS 0
}

// --- the stream ----------------------------------------------------------------------------------

void BridgeHost::on_owned(stream::Partition partition, std::vector<tillstream::v1::Progress> progress) {
  env_.story.tell([&] { return fmt::format("bridge {} owns partition {}", number_, partition.value()); });
  machine(partition).on_owned(progress, true, env_.clock.now());
}

void BridgeHost::on_lost(stream::Partition partition, std::string reason) {
  env_.story.tell([&] { return fmt::format("bridge {} loses partition {}: {}", number_, partition.value(), reason); });
  machine(partition).on_lost(std::move(reason), env_.clock.now());
}

void BridgeHost::on_committed(stream::Partition partition, stream::TransactionId id) {
  machine(partition).on_committed(id, program_->stream->may_begin(partition.value()), env_.clock.now());
}

// The simulated stream blocks nobody: it is slow, or down.
void BridgeHost::on_ready(stream::Partition partition) { machine(partition).on_ready(env_.clock.now()); }

}  // namespace whole
