#include "cloud-bridge/adapters/rdkafka/membership.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "proto/platform/log.hpp"

namespace kafka {
namespace {

constexpr Milliseconds poll_wait{100};
constexpr int heartbeats_per_session = 12;

}  // namespace

std::expected<std::unique_ptr<Membership>, std::string> Membership::make(MembershipSettings settings, Emit emit) {
  std::unique_ptr<Membership> membership(new Membership(std::move(settings), std::move(emit)));
  const auto& own = membership->settings_;
  Properties properties = own.properties;
  properties.insert(properties.end(),
                    {{"group.id", own.group},
                     {"client.id", own.member},
                     {"partition.assignment.strategy", "range"},
                     {"session.timeout.ms", std::to_string(own.session_timeout.count())},
                     {"heartbeat.interval.ms", std::to_string(own.session_timeout.count() / heartbeats_per_session)},
                     {"enable.auto.commit", "false"},
                     {"enable.auto.offset.store", "false"},
                     {"auto.offset.reset", "latest"},
                     {"socket.nagle.disable", "true"}});
  auto conf = make_conf(properties);
  if (!conf) return std::unexpected(conf.error());
  rd_kafka_conf_set_opaque(conf->get(), membership.get());
  rd_kafka_conf_set_rebalance_cb(conf->get(), on_rebalance);
  auto client = make_client(RD_KAFKA_CONSUMER, std::move(*conf));
  if (!client) return std::unexpected(client.error());
  membership->client_ = std::move(*client);
  rd_kafka_poll_set_consumer(membership->client_.get());
  return membership;
}

std::expected<void, std::string> Membership::subscribe() {
  const auto topics = one_partition(settings_.topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_OFFSET_INVALID);
  if (const auto code = rd_kafka_subscribe(client_.get(), topics.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return std::unexpected(describe("subscribe", code));
  return {};
}

std::expected<void, std::string> Membership::join() {
  if (auto done = subscribe(); !done) return done;
  thread_ = std::thread([this] { attend(); });
  return {};
}

void Membership::attend() {
  while (!leaving_) {
    // librdkafka joins anew for a subscription that it has already.
    if (rejoin_.exchange(false)) {
      if (const auto done = subscribe(); !done)
        platform::log::limited("kafka.group", platform::log::Level::warn, "{}", done.error());
    }
    const Message message(rd_kafka_consumer_poll(client_.get(), whole_ms(poll_wait)));
    if (message && message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      std::string reason = describe("group " + settings_.group, message->err, rd_kafka_message_errstr(message.get()));
      platform::log::limited("kafka.group", platform::log::Level::warn, "{}", reason);
      emit_(Outside{std::move(reason)});
    }
  }
  rd_kafka_consumer_close(client_.get());
  emit_(Left{});
}

void Membership::on_rebalance(rd_kafka_t* client, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t* partitions,
                              void* opaque) {
  if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    rd_kafka_assign(client, partitions);
    rd_kafka_pause_partitions(client, partitions);
    static_cast<Membership*>(opaque)->assigned(partitions);
  } else {
    static_cast<Membership*>(opaque)->revoked();
    rd_kafka_assign(client, nullptr);
  }
}

void Membership::assigned(rd_kafka_topic_partition_list_t* partitions) {
  Assignment assignment;
  if (char* const id = rd_kafka_memberid(client_.get()); id != nullptr) {
    assignment.member_id = id;
    rd_kafka_mem_free(client_.get(), id);
  }
  for (int i = 0; i < partitions->cnt; ++i) assignment.partitions.push_back(partitions->elems[i].partition);
  {
    const std::lock_guard lock(mutex_);
    assignment.number = assignment_.number + 1;
    assignment_ = assignment;
  }
  if (!leaving_) emit_(std::move(assignment));
}

void Membership::revoked() {
  const std::lock_guard lock(mutex_);
  assignment_.partitions.clear();
}

std::optional<std::uint64_t> Membership::assignment_of(std::int32_t partition) const {
  const std::lock_guard lock(mutex_);
  const auto& ours = assignment_.partitions;
  if (std::find(ours.begin(), ours.end(), partition) == ours.end()) return std::nullopt;
  return assignment_.number;
}

// An offset commit is refused to whoever is not a member of the present generation; the offset itself means nothing.
// The coordinator does not look whose the partition is: that is our part, before and after.
std::expected<void, std::string> Membership::confirm(std::int32_t partition, Milliseconds limit,
                                                     const std::function<bool()>& stop) {
  const auto assignment = assignment_of(partition);
  if (!assignment) return std::unexpected("the group does not give us the partition at this moment");
  const Queue answers(rd_kafka_queue_new(client_.get()));
  const auto offsets = one_partition(settings_.topic, partition, 0);
  if (const auto code = rd_kafka_commit_queue(client_.get(), offsets.get(), answers.get(), nullptr, nullptr);
      code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return std::unexpected(describe("the group", code));
  const auto until = std::chrono::steady_clock::now() + limit;
  Event answer;
  while (!answer && !stop() && std::chrono::steady_clock::now() < until) {
    answer.reset(rd_kafka_queue_poll(answers.get(), whole_ms(poll_wait)));
  }
  if (!answer) return std::unexpected(describe("the group", RD_KAFKA_RESP_ERR__TIMED_OUT));
  if (const auto code = rd_kafka_event_error(answer.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return std::unexpected(describe("the group", code));
  if (assignment_of(partition) != assignment) return std::unexpected("the group has shared out anew meanwhile");
  return {};
}

void Membership::leave() {
  leaving_ = true;
  if (!thread_.joinable()) emit_(Left{});
}

Membership::~Membership() {
  leaving_ = true;
  if (thread_.joinable()) thread_.join();
}

}  // namespace kafka
