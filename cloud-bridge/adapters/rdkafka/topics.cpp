#include "cloud-bridge/adapters/rdkafka/topics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

namespace kafka {
namespace {

using Clock = std::chrono::steady_clock;
using Topic = std::unique_ptr<rd_kafka_topic_t, Destroy<rd_kafka_topic_destroy>>;
using Resource = std::unique_ptr<rd_kafka_ConfigResource_t, Destroy<rd_kafka_ConfigResource_destroy>>;
using NewTopic = std::unique_ptr<rd_kafka_NewTopic_t, Destroy<rd_kafka_NewTopic_destroy>>;
using Options = std::unique_ptr<rd_kafka_AdminOptions_t, Destroy<rd_kafka_AdminOptions_destroy>>;

constexpr std::array kRoles{stream::TopicRole::events, stream::TopicRole::gateways, stream::TopicRole::progress,
                            stream::TopicRole::dead_letters};
constexpr std::string_view kCheckKey = "#check";
constexpr Milliseconds settling_pause{50};

const std::string& name_of(const stream::TopicNames& names, stream::TopicRole role) {
  switch (role) {
    case stream::TopicRole::events:
      return names.events;
    case stream::TopicRole::gateways:
      return names.gateways;
    case stream::TopicRole::progress:
      return names.progress;
    case stream::TopicRole::dead_letters:
      break;
  }
  return names.dead_letters;
}

std::expected<Handle, std::string> make_asker(const Properties& given) {
  Properties properties = given;
  properties.insert(properties.end(), {{"group.id", "tillstream-topics"},
                                       {"enable.auto.commit", "false"},
                                       {"enable.partition.eof", "true"},
                                       {"isolation.level", "read_uncommitted"},
                                       {"allow.auto.create.topics", "false"},
                                       {"socket.nagle.disable", "true"}});
  auto conf = make_conf(properties);
  if (!conf) return std::unexpected(conf.error());
  return make_client(RD_KAFKA_CONSUMER, std::move(*conf));
}

bool is_unreachable(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
         code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__RESOLVE ||
         code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE || code == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE;
}

void note_metadata(stream::SeenTopic& seen, const rd_kafka_metadata_topic& topic) {
  if (topic.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || topic.err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC) return;
  if (topic.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    seen.error = describe("cannot be described", topic.err);
    return;
  }
  seen.exists = true;
  seen.partitions = static_cast<std::uint32_t>(topic.partition_cnt);
  for (int i = 0; i < topic.partition_cnt; ++i)
    seen.replication = std::max(seen.replication, static_cast<std::uint32_t>(topic.partitions[i].replica_cnt));
}

std::expected<void, std::string> ask_metadata(rd_kafka_t* client, const std::string& name, stream::SeenTopic& seen,
                                              Milliseconds limit) {
  const Topic topic(rd_kafka_topic_new(client, name.c_str(), nullptr));
  const struct rd_kafka_metadata* metadata = nullptr;
  const auto code = rd_kafka_metadata(client, 0, topic.get(), &metadata, whole_ms(limit));
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(describe("the brokers' metadata", code));
  if (metadata->topic_cnt == 1) note_metadata(seen, metadata->topics[0]);
  rd_kafka_metadata_destroy(metadata);
  return {};
}

void note_settings(stream::SeenTopic& seen, const rd_kafka_ConfigResource_t* resource) {
  std::size_t count = 0;
  const rd_kafka_ConfigEntry_t* const* const entries = rd_kafka_ConfigResource_configs(resource, &count);
  for (std::size_t i = 0; i < count; ++i) {
    const char* const value = rd_kafka_ConfigEntry_value(entries[i]);
    if (value != nullptr) seen.settings.emplace(rd_kafka_ConfigEntry_name(entries[i]), value);
  }
}

std::expected<Event, std::string> wait_for(rd_kafka_queue_t* answers, std::string_view what, Milliseconds limit) {
  Event answer(rd_kafka_queue_poll(answers, whole_ms(limit)));
  if (!answer) return std::unexpected(describe(what, RD_KAFKA_RESP_ERR__TIMED_OUT));
  if (const auto code = rd_kafka_event_error(answer.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return std::unexpected(describe(what, code, rd_kafka_event_error_string(answer.get())));
  return answer;
}

// Without the right to see them the settings stay unknown.
std::expected<void, std::string> ask_settings(rd_kafka_t* client, const std::string& name, stream::SeenTopic& seen,
                                              Milliseconds limit) {
  const Queue answers(rd_kafka_queue_new(client));
  const Resource resource(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name.c_str()));
  std::array<rd_kafka_ConfigResource_t*, 1> asked{resource.get()};
  rd_kafka_DescribeConfigs(client, asked.data(), asked.size(), nullptr, answers.get());
  const auto answer = wait_for(answers.get(), "the topics' settings", limit);
  if (!answer) return std::unexpected(answer.error());
  std::size_t count = 0;
  const auto* const resources =
      rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(answer->get()), &count);
  if (count == 1 && rd_kafka_ConfigResource_error(resources[0]) == RD_KAFKA_RESP_ERR_NO_ERROR)
    note_settings(seen, resources[0]);
  return {};
}

// It is the first record that was ever written to the partition, and compaction keeps the order. Whether its
// transaction is finished already does not matter: it says the same either way.
std::expected<std::optional<std::uint32_t>, std::string> ask_layout(rd_kafka_t* client, const std::string& topic,
                                                                    Milliseconds limit) {
  const auto from = one_partition(topic, 0, RD_KAFKA_OFFSET_BEGINNING);
  if (const auto code = rd_kafka_assign(client, from.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return std::unexpected(describe("assign", code));
  const auto until = Clock::now() + limit;
  while (Clock::now() < until) {
    const Message message(rd_kafka_consumer_poll(client, whole_ms(Milliseconds(100))));
    if (!message || is_unreachable(message->err)) continue;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) return std::nullopt;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(describe("topic " + topic, message->err));
    if (std::string_view(static_cast<const char*>(message->key), message->key_len) != stream::kLayoutKey)
      return std::nullopt;
    return stream::parse_layout({static_cast<const char*>(message->payload), message->len});
  }
  return std::unexpected(fmt::format("topic {}: its first record cannot be read within {} ms", topic, limit.count()));
}

// --- a transaction of our own, for checks and for the layout ---

struct Sent {
  std::string topic;
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
};
using Reports = std::vector<Sent>;

void on_report(rd_kafka_t* /*client*/, const rd_kafka_message_t* message, void* opaque) {
  static_cast<Reports*>(opaque)->push_back({.topic = rd_kafka_topic_name(message->rkt), .code = message->err});
}

std::expected<Handle, std::string> make_writer(const TopicsSettings& settings, Reports& reports) {
  Properties properties = settings.properties;
  properties.insert(properties.end(),
                    {{"transactional.id", fmt::format("{}-topics-{}", settings.names.progress, settings.bridge_id)},
                     {"message.timeout.ms", std::to_string(settings.limit.count())},
                     {"transaction.timeout.ms", std::to_string(settings.limit.count())}});
  auto conf = make_conf(properties);
  if (!conf) return std::unexpected(conf.error());
  rd_kafka_conf_set_opaque(conf->get(), &reports);
  rd_kafka_conf_set_dr_msg_cb(conf->get(), on_report);
  return make_client(RD_KAFKA_PRODUCER, std::move(*conf));
}

std::expected<void, std::string> put(rd_kafka_t* client, const std::string& topic, std::int32_t partition,
                                     std::string_view key, std::string_view value) {
  const auto code = produce(client, topic, partition, key, value, nullptr);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(describe("topic " + topic, code));
  return {};
}

std::string told(std::string_view what, const rd_kafka_error_t* error) {
  return describe(what, rd_kafka_error_code(error), rd_kafka_error_string(error));
}

bool is_a_right(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
         code == RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED ||
         code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED || code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
}

std::expected<void, std::string> begin(rd_kafka_t* client) {
  if (const Error error(rd_kafka_begin_transaction(client)); error)
    return std::unexpected(told("begin_transaction", error.get()));
  return {};
}

std::expected<void, std::string> write_layout(const TopicsSettings& settings, std::uint32_t partitions) {
  Reports reports;
  const auto client = make_writer(settings, reports);
  if (!client) return std::unexpected(client.error());
  const int limit = whole_ms(settings.limit);
  if (const Error error(rd_kafka_init_transactions(client->get(), limit)); error)
    return std::unexpected(told("init_transactions", error.get()));
  if (auto begun = begin(client->get()); !begun) return begun;
  for (std::uint32_t partition = 0; partition < partitions; ++partition) {
    auto done = put(client->get(), settings.names.progress, static_cast<std::int32_t>(partition), stream::kLayoutKey,
                    stream::render_layout(partitions));
    if (!done) return done;
  }
  if (const Error error(rd_kafka_commit_transaction(client->get(), limit)); error)
    return std::unexpected(told("the layout's transaction", error.get()));
  return {};
}

// A topic just made takes its time to be known to every broker, and to have leaders.
bool is_settling(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
         code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

std::expected<std::int64_t, std::string> ask_end(rd_kafka_t* client, const std::string& topic, std::int32_t partition,
                                                 Milliseconds limit) {
  for (const auto until = Clock::now() + limit;;) {
    std::int64_t low = 0;
    std::int64_t high = 0;
    const auto code = rd_kafka_query_watermark_offsets(client, topic.c_str(), partition, &low, &high, whole_ms(limit));
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return high;
    if (!is_settling(code) || Clock::now() >= until) return std::unexpected(describe("topic " + topic, code));
    std::this_thread::sleep_for(settling_pause);
  }
}

// Whether no record was ever written to the topic.
std::expected<bool, std::string> is_untouched(rd_kafka_t* client, const std::string& topic, std::uint32_t partitions,
                                              Milliseconds limit) {
  for (std::uint32_t partition = 0; partition < partitions; ++partition) {
    const auto end = ask_end(client, topic, static_cast<std::int32_t>(partition), limit);
    if (!end) return std::unexpected(end.error());
    if (*end > 0) return false;
  }
  return true;
}

std::expected<bool, std::string> create(rd_kafka_t* client, const stream::TopicPlan& plan, Milliseconds limit) {
  std::array<char, 256> why{};
  const NewTopic topic(rd_kafka_NewTopic_new(plan.name.c_str(), static_cast<int>(plan.partitions),
                                             static_cast<int>(plan.replication), why.data(), why.size()));
  if (!topic) return std::unexpected(fmt::format("topic {}: {}", plan.name, why.data()));
  for (const auto& [name, value] : plan.settings)
    rd_kafka_NewTopic_set_config(topic.get(), name.c_str(), value.c_str());
  const Options options(rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS));
  rd_kafka_AdminOptions_set_operation_timeout(options.get(), whole_ms(limit), why.data(), why.size());
  const Queue answers(rd_kafka_queue_new(client));
  std::array<rd_kafka_NewTopic_t*, 1> asked{topic.get()};
  rd_kafka_CreateTopics(client, asked.data(), asked.size(), options.get(), answers.get());
  const auto answer = wait_for(answers.get(), "creating topic " + plan.name, 2 * limit);
  if (!answer) return std::unexpected(answer.error());
  std::size_t count = 0;
  const auto* const results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(answer->get()), &count);
  const auto code = count == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR__BAD_MSG;
  if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) return false;
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return true;
  return std::unexpected(describe("creating topic " + plan.name, code, rd_kafka_topic_result_error_string(results[0])));
}

// Also of a topic that somebody else has made, or we before we were interrupted; not once it holds anything.
std::expected<void, std::string> ensure_layout(rd_kafka_t* client, const TopicsSettings& settings) {
  stream::SeenTopic seen;
  for (const auto until = Clock::now() + settings.limit; !seen.exists;) {
    if (auto asked = ask_metadata(client, settings.names.progress, seen, settings.limit); !asked) return asked;
    if (seen.exists) break;
    if (Clock::now() >= until) return std::unexpected(fmt::format("topic {} does not appear", settings.names.progress));
    std::this_thread::sleep_for(settling_pause);
  }
  const auto untouched = is_untouched(client, settings.names.progress, seen.partitions, settings.limit);
  if (!untouched) return std::unexpected(untouched.error());
  return *untouched ? write_layout(settings, seen.partitions) : std::expected<void, std::string>();
}

}  // namespace

std::expected<stream::SeenTopics, std::string> inspect_topics(const TopicsSettings& settings) {
  const auto client = make_asker(settings.properties);
  if (!client) return std::unexpected(client.error());
  stream::SeenTopics seen;
  for (const auto role : kRoles) {
    const std::string& name = name_of(settings.names, role);
    if (auto asked = ask_metadata(client->get(), name, seen.of(role), settings.limit); !asked)
      return std::unexpected(asked.error());
    if (!seen.of(role).exists) continue;
    if (auto asked = ask_settings(client->get(), name, seen.of(role), settings.limit); !asked)
      return std::unexpected(asked.error());
  }
  if (seen.progress.exists) {
    auto layout = ask_layout(client->get(), settings.names.progress, settings.limit);
    if (!layout) return std::unexpected(layout.error());
    seen.recorded_partitions = *layout;
  }
  return seen;
}

std::expected<std::vector<std::string>, std::string> find_missing_rights(const TopicsSettings& settings) {
  Reports reports;
  const auto client = make_writer(settings, reports);
  if (!client) return std::unexpected(client.error());
  const int limit = whole_ms(settings.limit);
  if (const Error error(rd_kafka_init_transactions(client->get(), limit)); error) {
    if (!is_a_right(rd_kafka_error_code(error.get()))) return std::unexpected(told("init_transactions", error.get()));
    return std::vector{
        fmt::format("no right to write with transactional ids that begin with {}-: grant Write and "
                    "Describe on them",
                    settings.names.progress)};
  }
  if (auto begun = begin(client->get()); !begun) return std::unexpected(begun.error());
  for (const auto role : kRoles) {
    if (auto done = put(client->get(), name_of(settings.names, role), 0, kCheckKey, ""); !done)
      return std::unexpected(done.error());
  }
  rd_kafka_flush(client->get(), limit);
  std::vector<std::string> missing;
  for (const Sent& sent : reports) {
    if (is_a_right(sent.code))
      missing.push_back(fmt::format("no right to write to topic {}: grant Write on it", sent.topic));
  }
  const Error aborted(rd_kafka_abort_transaction(client->get(), limit));
  // Left open it would hold up the readers; without a right it cannot be ended in order, and that is said already.
  if (aborted && missing.empty()) return std::unexpected(told("abort_transaction", aborted.get()));
  return missing;
}

std::expected<std::vector<std::string>, std::string> create_topics(const TopicsSettings& settings,
                                                                   const std::vector<stream::TopicPlan>& plans) {
  const auto client = make_asker(settings.properties);
  if (!client) return std::unexpected(client.error());
  std::vector<std::string> done;
  for (const auto& plan : plans) {
    const auto made = create(client->get(), plan, settings.limit);
    if (!made) return std::unexpected(made.error());
    done.push_back(
        *made ? fmt::format("topic {}: made, {} partitions, {} replicas", plan.name, plan.partitions, plan.replication)
              : fmt::format("topic {}: is there, left as it is", plan.name));
    if (plan.role != stream::TopicRole::progress) continue;
    if (auto written = ensure_layout(client->get(), settings); !written) return std::unexpected(written.error());
  }
  return done;
}

}  // namespace kafka
