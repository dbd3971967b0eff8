#include "cloud-bridge/adapters/rdkafka/roll_call.hpp"

#include <algorithm>
#include <memory>
#include <span>
#include <utility>

namespace kafka {
namespace {

using Groups = std::unique_ptr<const rd_kafka_group_list, Destroy<rd_kafka_group_list_destroy>>;

constexpr int questions_per_session = 3;
// A question that failed is asked again sooner.
constexpr int retries_per_session = 12;
// As librdkafka has it.
constexpr Milliseconds reconnect_pause_max{10'000};
// Between two questions a session went by: the process or its machine was stopped.
constexpr const char* kStoodStill = "this bridge stood still";

// All brokers are asked together, and one that refuses a connection spoils the answer of all: a dead one is tried once
// in this time, and an answer waited for a third of it.
Milliseconds reconnect_pause(Milliseconds session) { return std::min(session, reconnect_pause_max); }

bool names(const rd_kafka_group_info& group, const std::string& member_id) {
  return std::ranges::any_of(std::span(group.members, static_cast<std::size_t>(group.member_cnt)),
                             [&](const auto& member) { return member_id == member.member_id; });
}

}  // namespace

std::expected<std::unique_ptr<RollCall>, std::string> RollCall::make(RollCallSettings settings, Emit emit) {
  const std::string pause = std::to_string(reconnect_pause(settings.session_timeout).count());
  Properties properties = settings.properties;
  properties.insert(properties.end(), {{"socket.timeout.ms", std::to_string(settings.session_timeout.count())},
                                       {"reconnect.backoff.ms", pause},
                                       {"reconnect.backoff.max.ms", pause},
                                       {"socket.nagle.disable", "true"}});
  auto conf = make_conf(properties);
  if (!conf) return std::unexpected(conf.error());
  auto client = make_client(RD_KAFKA_PRODUCER, std::move(*conf));
  if (!client) return std::unexpected(client.error());
  return std::unique_ptr<RollCall>(new RollCall(std::move(settings), std::move(*client), std::move(emit)));
}

RollCall::RollCall(RollCallSettings settings, Handle client, Emit emit)
    : settings_(std::move(settings)), client_(std::move(client)), emit_(std::move(emit)), thread_([this] { run(); }) {}

RollCall::~RollCall() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void RollCall::expect(std::string member_id) {
  const std::lock_guard lock(mutex_);
  member_id_ = std::move(member_id);
  heard_at_ = Clock::now();
  ask_at_ = heard_at_ + settings_.session_timeout / questions_per_session;
  changed_.notify_all();
}

void RollCall::run() {
  std::string reason = kStoodStill;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (member_id_.empty()) {
      changed_.wait(lock);
      continue;
    }
    judge(reason);
    if (Clock::now() < ask_at_) {
      changed_.wait_until(lock, ask_at_);
      continue;
    }
    const std::string member_id = member_id_;
    const auto asked_at = Clock::now();
    lock.unlock();
    const auto answer = ask(member_id);
    lock.lock();
    if (answer && member_id == member_id_) heard_at_ = std::max(heard_at_, asked_at);
    reason = answer ? kStoodStill : answer.error();
    ask_at_ = asked_at + settings_.session_timeout / (answer ? questions_per_session : retries_per_session);
  }
}

void RollCall::judge(const std::string& reason) {
  const bool silent = Clock::now() > heard_at_ + settings_.session_timeout;
  if (std::exchange(silent_, silent) == silent) return;
  silent ? emit_(Silent{reason}) : emit_(Heard{});
}

// Not by rd_kafka_DescribeConsumerGroups: librdkafka 2.0 aborts in it when the coordinator goes away.
std::expected<void, std::string> RollCall::ask(const std::string& member_id) const {
  const rd_kafka_group_list* found = nullptr;
  const auto code = rd_kafka_list_groups(client_.get(), settings_.group.c_str(), &found,
                                         whole_ms(reconnect_pause(settings_.session_timeout) / 3));
  const Groups groups(found);
  // Some broker did not answer; the group's own may have.
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR__PARTIAL)
    return std::unexpected(describe("the group's members", code));
  for (const auto& group : std::span(groups->groups, static_cast<std::size_t>(groups->group_cnt))) {
    if (names(group, member_id)) return {};
    if (group.err != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(describe("the group's members", group.err));
  }
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(describe("the group's members", code));
  return std::unexpected("this bridge is not among the group's members");
}

}  // namespace kafka
