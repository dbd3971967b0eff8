#include "cloud-bridge/adapters/rdkafka/topics.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <set>
#include <thread>

#include "cloud-bridge/adapters/rdkafka/topic_consumer.hpp"

namespace kafka {
namespace {

using Clock = std::chrono::steady_clock;
using Resource = std::unique_ptr<rd_kafka_ConfigResource_t, Destroy<rd_kafka_ConfigResource_destroy>>;
using NewTopic = std::unique_ptr<rd_kafka_NewTopic_t, Destroy<rd_kafka_NewTopic_destroy>>;
using Options = std::unique_ptr<rd_kafka_AdminOptions_t, Destroy<rd_kafka_AdminOptions_destroy>>;

constexpr std::array kRoles{stream::TopicRole::events, stream::TopicRole::gateways, stream::TopicRole::progress,
                            stream::TopicRole::dead_letters};
constexpr std::string_view kCheckKey = "#check";
constexpr const char* kAskersGroup = "tillstream-topics";
constexpr Milliseconds settling_pause{50};
constexpr Milliseconds question_slice{2'000};
constexpr Milliseconds question_wait{100};
constexpr Milliseconds flush_slice{100};

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

// A client and what it hears.
struct Asker {
  std::unique_ptr<Line> line = std::make_unique<Line>();
  Handle client;  // behind the line: its threads write there
};

// `group` is asked about at most; it is never joined.
std::expected<Asker, std::string> make_asker(const Properties& given, const std::string& group) {
  Properties properties = given;
  properties.insert(properties.end(), {{"group.id", group},
                                       {"enable.auto.commit", "false"},
                                       {"enable.partition.eof", "true"},
                                       {"isolation.level", "read_uncommitted"},
                                       {"allow.auto.create.topics", "false"},
                                       {"socket.nagle.disable", "true"}});
  auto conf = make_conf(properties);
  if (!conf) return std::unexpected(conf.error());
  Asker asker;
  listen(conf->get(), *asker.line);
  auto client = make_client(RD_KAFKA_CONSUMER, std::move(*conf));
  if (!client) return std::unexpected(client.error());
  asker.client = std::move(*client);
  return asker;
}

bool is_unreachable(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
         code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__RESOLVE ||
         code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE || code == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE;
}

// A topic just made takes its time to be known to every broker, and to have leaders.
bool is_settling(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
         code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

bool is_a_right(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
         code == RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED ||
         code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED || code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
}

void note_metadata(stream::SeenTopic& seen, const rd_kafka_metadata_topic& topic) {
  if (topic.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || topic.err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC) return;
  if (topic.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    seen.error = describe("cannot be described", topic.err);
    return;
  }
  seen.exists = true;
  seen.partitions = static_cast<std::uint32_t>(topic.partition_cnt);
  for (int i = 0; i < topic.partition_cnt; ++i) {
    const auto& partition = topic.partitions[i];
    const auto in_sync = static_cast<std::uint32_t>(partition.isr_cnt);
    seen.replication = std::max(seen.replication, static_cast<std::uint32_t>(partition.replica_cnt));
    seen.in_sync = i == 0 ? in_sync : std::min(seen.in_sync, in_sync);
    seen.leaderless += partition.leader < 0 ? 1 : 0;
  }
}

// A call waits its whole time, also for brokers that have refused us already: then the rest of it is not waited for.
std::expected<void, std::string> ask_metadata(const Asker& asker, const std::string& name, stream::SeenTopic& seen,
                                              Milliseconds limit) {
  const Topic topic(rd_kafka_topic_new(asker.client.get(), name.c_str(), nullptr));
  const struct rd_kafka_metadata* metadata = nullptr;
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
  const auto until = Clock::now() + limit;
  do {
    code = rd_kafka_metadata(asker.client.get(), 0, topic.get(), &metadata, whole_ms(std::min(limit, question_slice)));
  } while (is_unreachable(code) && !asker.line->failed() && Clock::now() < until);
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

std::expected<stream::SeenTopics, std::string> ask_topics(const Asker& asker, const TopicsSettings& settings) {
  stream::SeenTopics seen;
  for (const auto role : kRoles) {
    const std::string& name = name_of(settings.names, role);
    stream::SeenTopic& topic = seen.of(role);
    if (auto asked = ask_metadata(asker, name, topic, settings.limit); !asked) return std::unexpected(asked.error());
    if (!topic.exists) continue;
    if (auto asked = ask_settings(asker.client.get(), name, topic, settings.limit); !asked)
      return std::unexpected(asked.error());
  }
  return seen;
}

struct Refusal {
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
  std::string text;
};

// It is the first record that was ever written to the partition, and compaction keeps the order. Whether its
// transaction is finished already does not matter: it says the same either way.
std::expected<std::optional<std::uint32_t>, Refusal> ask_layout(rd_kafka_t* client, const std::string& topic,
                                                                Milliseconds limit) {
  const auto from = one_partition(topic, 0, RD_KAFKA_OFFSET_BEGINNING);
  if (const auto code = rd_kafka_assign(client, from.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return std::unexpected(Refusal{.code = code, .text = describe("assign", code)});
  const auto until = Clock::now() + limit;
  while (Clock::now() < until) {
    const Message message(rd_kafka_consumer_poll(client, whole_ms(Milliseconds(100))));
    if (!message || is_unreachable(message->err) || is_settling(message->err) || is_of_no_group(message->err)) continue;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) return std::nullopt;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
      return std::unexpected(Refusal{.code = message->err, .text = describe("topic " + topic, message->err)});
    if (std::string_view(static_cast<const char*>(message->key), message->key_len) != stream::kLayoutKey)
      return std::nullopt;
    return stream::parse_layout({static_cast<const char*>(message->payload), message->len});
  }
  return std::unexpected(
      Refusal{.code = RD_KAFKA_RESP_ERR__TIMED_OUT,
              .text = fmt::format("topic {}: its first record cannot be read within {} ms", topic, limit.count())});
}

// --- a transaction of our own, for checks and for the layout ---

using Reports = std::vector<rd_kafka_resp_err_t>;

void on_report(rd_kafka_t* /*client*/, const rd_kafka_message_t* message, void* opaque) {
  static_cast<Reports*>(opaque)->push_back(message->err);
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
  const auto known = learn_topics(client->get(), {settings.names.progress}, question_slice);
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

// Whether a reader of committed data would find a record, or retention has removed some.
std::expected<bool, Refusal> look_for_records(const TopicsSettings& settings, const std::string& topic) {
  const auto passes = [](std::string why) { return std::unexpected(Refusal{.text = std::move(why)}); };
  const auto consumer = TopicConsumer::make({.properties = settings.properties,
                                             .topic = topic,
                                             .fetch_wait = question_wait,
                                             .limit = std::min(settings.limit, question_slice)});
  if (!consumer) return passes(consumer.error());
  const auto partitions = (*consumer)->count_partitions();
  if (!partitions) return passes(partitions.error());
  const auto beginnings = (*consumer)->find(Edge::beginning, *partitions);
  if (!beginnings) return passes(beginnings.error());
  if (std::ranges::any_of(*beginnings, [](const auto& one) { return one.second > 0; })) return true;
  if (auto assigned = (*consumer)->assign(*beginnings); !assigned) return passes(assigned.error());
  std::set<std::int32_t> ended;
  for (const auto until = Clock::now() + settings.limit; Clock::now() < until;) {
    const Polled polled = (*consumer)->poll(question_wait);
    if (std::holds_alternative<Fetched>(polled)) return true;
    if (const auto* failed = std::get_if<PollFailed>(&polled))
      return std::unexpected(Refusal{.code = failed->code, .text = failed->reason});
    if (const auto* end = std::get_if<EndReached>(&polled)) ended.insert(end->partition);
    if (ended.size() == static_cast<std::size_t>(*partitions)) return false;
  }
  return passes(describe("topic " + topic, RD_KAFKA_RESP_ERR__TIMED_OUT));
}

// A topic that somebody is just making has no leaders yet. Only a missing right stays, and is not waited for.
std::expected<bool, Refusal> holds_records(const TopicsSettings& settings, const std::string& topic) {
  for (const auto until = Clock::now() + settings.limit;;) {
    auto held = look_for_records(settings, topic);
    if (held || is_a_right(held.error().code) || Clock::now() >= until) return held;
    std::this_thread::sleep_for(settling_pause);
  }
}

// What it would be to begin with a new progress topic beside this events topic. The error: that cannot be seen now.
std::expected<std::string, std::string> find_repeat_risk(const TopicsSettings& settings,
                                                         const stream::SeenTopic& events) {
  const auto cannot_see = [&](std::string_view now, const std::string& why) {
    return fmt::format("whether topic {} holds records cannot be seen{} ({})", settings.names.events, now, why);
  };
  if (!events.error.empty()) return cannot_see("", events.error);
  if (!events.exists) return {};
  const auto held = holds_records(settings, settings.names.events);
  if (!held && is_a_right(held.error().code)) return cannot_see("", held.error().text);
  if (!held) return std::unexpected(cannot_see(" at this moment", held.error().text) + "; try again");
  return *held ? fmt::format("topic {} holds records, or has held some", settings.names.events) : std::string();
}

// As the brokers have it, once they know of it.
std::expected<stream::SeenTopic, std::string> await_topic(const Asker& asker, const std::string& name,
                                                          Milliseconds limit) {
  stream::SeenTopic seen;
  for (const auto until = Clock::now() + limit;;) {
    if (auto asked = ask_metadata(asker, name, seen, limit); !asked) return std::unexpected(asked.error());
    if (seen.exists) return seen;
    if (Clock::now() >= until) return std::unexpected(fmt::format("topic {} does not appear", name));
    std::this_thread::sleep_for(settling_pause);
  }
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

std::string tell_made(const stream::TopicPlan& plan) {
  return fmt::format("topic {}: made, {} partitions, {} replicas", plan.name, plan.partitions, plan.replication);
}

std::expected<std::string, std::string> tell_kept(const Asker& asker, const stream::TopicPlan& plan,
                                                  Milliseconds limit) {
  const auto seen = await_topic(asker, plan.name, limit);
  if (!seen) return std::unexpected(seen.error());
  const std::string other = seen->partitions == plan.partitions ? "" : fmt::format(", not {}", plan.partitions);
  return fmt::format("topic {}: is there and left as it is, {} partitions{}", plan.name, seen->partitions, other);
}

std::expected<std::string, std::string> create_or_keep(const Asker& asker, const stream::TopicPlan& plan,
                                                       Milliseconds limit) {
  const auto made = create(asker.client.get(), plan, limit);
  if (!made) return std::unexpected(made.error());
  return *made ? tell_made(plan) : tell_kept(asker, plan, limit);
}

// What is left to do after a failure; what was done has been told.
std::string tell_unmade(std::vector<stream::TopicPlan>::const_iterator first,
                        std::vector<stream::TopicPlan>::const_iterator last) {
  std::vector<std::string> names;
  for (auto plan = first; plan != last; ++plan) names.push_back(plan->name);
  return fmt::format("{}{}; the same command goes on from here",
                     names.empty() ? "" : "; not made: ", fmt::join(names, ", "));
}

// Also of a topic that somebody else has made, or we before we were interrupted; not once it holds anything.
std::expected<void, std::string> ensure_layout(const Asker& asker, const TopicsSettings& settings) {
  const auto seen = await_topic(asker, settings.names.progress, settings.limit);
  if (!seen) return std::unexpected(seen.error());
  const auto untouched = is_untouched(asker.client.get(), settings.names.progress, seen->partitions, settings.limit);
  if (!untouched) return std::unexpected(untouched.error());
  return *untouched ? write_layout(settings, seen->partitions) : std::expected<void, std::string>();
}

// Beginning a transaction twice is refused, and harmless; of one that has failed the refusal says why.
bool lacks_a_right(rd_kafka_t* client) {
  const Error error(rd_kafka_begin_transaction(client));
  return error && is_a_right(rd_kafka_error_code(error.get()));
}

enum class Lack : std::uint8_t { nothing, transactional_id, topic };

// What a transaction over these topics lacks. By a client of its own: one whose transaction has failed for want of a
// right cannot always begin another.
std::expected<Lack, std::string> try_to_write(const TopicsSettings& settings, const std::vector<std::string>& topics) {
  Reports reports;
  const auto writer = make_writer(settings, reports);
  if (!writer) return std::unexpected(writer.error());
  rd_kafka_t* const client = writer->get();
  const int limit = whole_ms(settings.limit);
  if (const Error error(rd_kafka_init_transactions(client, limit)); error) {
    if (is_a_right(rd_kafka_error_code(error.get()))) return Lack::transactional_id;
    return std::unexpected(told("init_transactions", error.get()));
  }
  const auto known = learn_topics(client, topics, question_slice);
  if (auto begun = begin(client); !begun) return std::unexpected(begun.error());
  for (const std::string& topic : topics) {
    if (auto done = put(client, topic, 0, kCheckKey, ""); !done) return std::unexpected(done.error());
  }
  bool refused = false;
  for (const auto until = Clock::now() + settings.limit; !refused && Clock::now() < until;) {
    if (rd_kafka_flush(client, whole_ms(flush_slice)) == RD_KAFKA_RESP_ERR_NO_ERROR) break;
    refused = lacks_a_right(client);
  }
  refused = refused || lacks_a_right(client) || std::any_of(reports.begin(), reports.end(), is_a_right);
  const Error aborted(rd_kafka_abort_transaction(client, limit));
  if (refused) return Lack::topic;
  const auto failed = std::find_if(reports.begin(), reports.end(), [](auto code) { return code != 0; });
  if (failed != reports.end()) return std::unexpected(describe("writing to the topics", *failed));
  if (reports.size() < topics.size())
    return std::unexpected(describe("writing to the topics", RD_KAFKA_RESP_ERR__TIMED_OUT));
  // Left open it would hold up the readers.
  if (aborted) return std::unexpected(told("abort_transaction", aborted.get()));
  return Lack::nothing;
}

std::expected<std::vector<std::string>, std::string> find_missing_rights_to_write(const TopicsSettings& settings) {
  std::vector<std::string> topics;
  topics.reserve(kRoles.size());
  for (const auto role : kRoles) topics.push_back(name_of(settings.names, role));
  const auto all = try_to_write(settings, topics);
  if (!all) return std::unexpected(all.error());
  std::vector<std::string> missing;
  if (*all == Lack::nothing) return missing;
  if (*all == Lack::transactional_id) {
    missing.push_back(
        fmt::format("no right to write with transactional ids that begin with {}-: grant Write and Describe on them",
                    settings.names.progress));
    return missing;
  }
  // A transaction that fails does not say by which topic.
  for (const std::string& topic : topics) {
    const auto one = try_to_write(settings, {topic});
    if (!one) return std::unexpected(one.error());
    if (*one != Lack::nothing)
      missing.push_back(fmt::format("no right to write to topic {}: grant Write on it", topic));
  }
  return missing;
}

// By an offset that means nothing. A group that has members refuses it otherwise: whose it is does not matter.
std::expected<bool, std::string> may_join(const TopicsSettings& settings) {
  const std::string& name = settings.names.progress;
  const auto asker = make_asker(settings.properties, name);
  if (!asker) return std::unexpected(asker.error());
  rd_kafka_t* const client = asker->client.get();
  const Queue answers(rd_kafka_queue_new(client));
  const auto offsets = one_partition(name, 0, 0);
  rd_kafka_resp_err_t code = rd_kafka_commit_queue(client, offsets.get(), answers.get(), nullptr, nullptr);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(describe("group " + name, code));
  for (const auto until = Clock::now() + settings.limit; Clock::now() < until;) {
    // Who may not even look for the coordinator hears that here.
    const Message message(rd_kafka_consumer_poll(client, 0));
    if (message && message->err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED) return false;
    const Event answer(rd_kafka_queue_poll(answers.get(), whole_ms(settling_pause)));
    if (!answer) continue;
    code = rd_kafka_event_error(answer.get());
    if (is_unreachable(code)) return std::unexpected(asker->line->explain(describe("group " + name, code)));
    return !is_a_right(code);
  }
  return std::unexpected(asker->line->explain(describe("group " + name, RD_KAFKA_RESP_ERR__TIMED_OUT)));
}

}  // namespace

std::expected<stream::SeenTopics, std::string> inspect_topics(const TopicsSettings& settings) {
  const auto asker = make_asker(settings.properties, kAskersGroup);
  if (!asker) return std::unexpected(asker.error());
  rd_kafka_t* const client = asker->client.get();
  auto seen = ask_topics(*asker, settings);
  if (!seen) return std::unexpected(asker->line->explain(seen.error()));
  if (!seen->progress.exists) {
    if (!seen->progress.error.empty()) return seen;
    auto risk = find_repeat_risk(settings, seen->events);
    if (!risk) return std::unexpected(asker->line->explain(risk.error()));
    seen->repeat_risk = std::move(*risk);
    return seen;
  }
  auto layout = ask_layout(client, settings.names.progress, settings.limit);
  if (!layout && !is_a_right(layout.error().code)) return std::unexpected(asker->line->explain(layout.error().text));
  if (!layout) {
    seen->progress.error = "no right to read it: grant Read on it";
  } else {
    seen->recorded_partitions = *layout;
  }
  if (!seen->recorded_partitions && seen->progress.error.empty()) {
    const auto untouched = is_untouched(client, settings.names.progress, seen->progress.partitions, settings.limit);
    if (!untouched) return std::unexpected(asker->line->explain(untouched.error()));
    auto risk = *untouched ? find_repeat_risk(settings, seen->events) : std::string();
    if (!risk) return std::unexpected(asker->line->explain(risk.error()));
    seen->repeat_risk = std::move(*risk);
  }
  return seen;
}

std::string find_cause(const TopicsSettings& settings) {
  const auto asker = make_asker(settings.properties, kAskersGroup);
  if (!asker) return asker.error();
  const auto seen = ask_topics(*asker, settings);
  if (!seen) return asker->line->explain(seen.error());
  auto lines = stream::find_problems_of_topics(settings.names, *seen);
  for (std::string& trouble : stream::find_troubles(settings.names, *seen)) lines.push_back(std::move(trouble));
  return fmt::format("{}", fmt::join(lines, "; "));
}

std::expected<std::vector<std::string>, std::string> find_missing_rights(const TopicsSettings& settings) {
  auto missing = find_missing_rights_to_write(settings);
  if (!missing) return missing;
  const auto group = may_join(settings);
  if (!group) return std::unexpected(group.error());
  if (!*group) missing->push_back(fmt::format("no right to be in group {}: grant Read on it", settings.names.progress));
  return missing;
}

std::expected<void, std::string> create_topics(const TopicsSettings& settings,
                                               const std::vector<stream::TopicPlan>& plans, Repeats repeats,
                                               const std::function<void(const std::string&)>& done) {
  if (repeats == Repeats::refused) {
    const auto seen = inspect_topics(settings);
    if (!seen) return std::unexpected(seen.error());
    if (auto risk = stream::tell_repeat_risk(settings.names, *seen); !risk.empty())
      return std::unexpected(std::move(risk));
  }
  const auto asker = make_asker(settings.properties, kAskersGroup);
  if (!asker) return std::unexpected(asker.error());
  for (auto plan = plans.begin(); plan != plans.end(); ++plan) {
    const auto told = create_or_keep(*asker, *plan, settings.limit);
    if (!told) return std::unexpected(asker->line->explain(told.error()) + tell_unmade(plan, plans.end()));
    done(*told);
    if (plan->role != stream::TopicRole::progress) continue;
    if (auto written = ensure_layout(*asker, settings); !written)
      return std::unexpected(written.error() + "; the number of its partitions is not written into it" +
                             tell_unmade(std::next(plan), plans.end()));
  }
  return {};
}

}  // namespace kafka
