#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <functional>
#include <set>
#include <thread>

#include "cloud-bridge/adapters/rdkafka/kafka_stream.hpp"
#include "cloud-bridge/adapters/rdkafka/topics.hpp"
#include "cloud-bridge/stream/dead_letter.hpp"
#include "tests/contract/stream/stream_rig.hpp"

namespace test {
namespace {

constexpr std::chrono::milliseconds session{1'000};
constexpr std::chrono::milliseconds transaction_limit{2'000};
constexpr std::chrono::milliseconds limit{30'000};

// Given by tests/support/kafka/with_kafka.py.
std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  REQUIRE_MESSAGE(value != nullptr, "run it by with_kafka.py: it names the brokers");
  return value;
}

std::string_view view(const void* data, std::size_t size) { return {static_cast<const char*>(data), size}; }

std::string header(const rd_kafka_message_t& message, const char* name) {
  rd_kafka_headers_t* headers = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
      rd_kafka_header_get_last(headers, name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return {};
  return std::string(view(value, size));
}

std::string behind(const std::string& text, std::string_view prefix) {
  CHECK(text.starts_with(prefix));
  return text.substr(prefix.size());
}

stream::Record record_of(const rd_kafka_message_t& message) {
  stream::Record record;
  record.event_id = header(message, "ce_id");
  record.gateway_id = behind(header(message, "ce_source"), "/gateways/");
  record.epoch = header(message, "ce_epoch");
  if (const auto seq = header(message, "ce_sequence"); !seq.empty()) record.seq = std::stoull(seq);
  record.key = view(message.key, message.key_len);
  record.type = behind(header(message, "ce_type"), "tillstream.");
  record.occurred_at = header(message, "ce_time");
  record.received_at = header(message, "ce_recordedtime");
  record.value = view(message.payload, message.len);
  return record;
}

stream::DeadLetter letter_of(const rd_kafka_message_t& message) {
  stream::DeadLetter letter{.gateway_id = header(message, "gateway_id"),
                            .topic = header(message, "topic"),
                            .reason = header(message, "reason"),
                            .detail = header(message, "detail"),
                            .epoch = header(message, "epoch"),
                            .digest = header(message, "digest"),
                            .at = base::UtcTime(std::chrono::milliseconds(1'800'000'000'000)),
                            .size = std::stoull(header(message, "bytes")),
                            .payload = std::nullopt};
  CHECK(header(message, "at") == base::to_rfc3339(letter.at));
  if (message.len > 0) letter.payload = base::Bytes(view(message.payload, message.len));
  return letter;
}

class KafkaRig final : public StreamRig {
 public:
  explicit KafkaRig(std::uint32_t events_partitions) {
    static int rigs = 0;
    const std::string prefix = "contract-" + std::to_string(getpid()) + "-" + std::to_string(++rigs);
    topics_ = {.events = prefix + ".events",
               .gateways = prefix + ".gateways",
               .progress = prefix + ".progress",
               .dead_letters = prefix + ".dead"};
    const stream::TopicNames names{.events = topics_.events,
                                   .gateways = topics_.gateways,
                                   .progress = topics_.progress,
                                   .dead_letters = topics_.dead_letters};
    const auto plans = stream::plan_topics(
        names, {.events_partitions = events_partitions, .progress_partitions = 1, .replication = 1});
    const auto made = kafka::create_topics({.properties = properties_, .names = names, .bridge_id = "contract"}, plans,
                                           kafka::Repeats::refused, [](const std::string& /*line*/) {});
    REQUIRE_MESSAGE(made.has_value(), (made ? "" : made.error()));
  }
  ~KafkaRig() override { finish_hang(); }
  KafkaRig(const KafkaRig&) = delete;
  KafkaRig& operator=(const KafkaRig&) = delete;

  Started start(stream::Post post) override {
    kafka::KafkaStreamSettings settings{.properties = properties_,
                                        .topics = topics_,
                                        .bridge_id = "contract",
                                        .session_timeout = session,
                                        .transaction_limit = transaction_limit,
                                        .refused = [](const std::vector<std::string>& problems) {
                                          for (const auto& problem : problems) FAIL_CHECK(problem);
                                        }};
    auto made = kafka::KafkaStream::start(std::move(settings), std::move(post));
    REQUIRE_MESSAGE(made.has_value(), (made ? "" : made.error()));
    stream::StreamReader* reader = &(*made)->reader();
    return {.stream = std::move(*made), .reader = reader};
  }

  CommittedView committed() override {
    finish_hang();
    CommittedView view_of;
    each(topics_.events, [&](const auto& message) {
      view_of.records.push_back(record_of(message));
      // The headers do not say it, the value does; the contract's values have none.
      view_of.records.back().published_at = "2026-11-24T12:00:00.002Z";
    });
    std::set<std::string> keys;  // one of each is what compaction leaves
    each(topics_.dead_letters, [&](const auto& message) {
      if (keys.emplace(view(message.key, message.key_len)).second) view_of.dead_letters.push_back(letter_of(message));
    });
    each(topics_.gateways, [&](const auto& message) {
      view_of.gateways[std::string(view(message.key, message.key_len))] = view(message.payload, message.len);
    });
    return view_of;
  }

  // As a producer does that flushes and then changes its mind.
  void leave_aborted(const std::vector<stream::Record>& records) override {
    auto properties = properties_;
    properties.insert(properties.end(),
                      {{"transactional.id", topics_.progress + "-foreign"}, {"partitioner", "murmur2_random"}});
    auto conf = kafka::make_conf(properties);
    REQUIRE(conf.has_value());
    const auto client = kafka::make_client(RD_KAFKA_PRODUCER, std::move(*conf));
    REQUIRE(client.has_value());
    const auto wait = static_cast<int>(limit.count());
    const auto done = [](rd_kafka_error_t* error) { return kafka::Error(error) == nullptr; };
    REQUIRE(done(rd_kafka_init_transactions(client->get(), wait)));
    const auto known = kafka::learn_topics(client->get(), {topics_.events}, limit);
    REQUIRE(done(rd_kafka_begin_transaction(client->get())));
    for (const auto& record : records) {
      REQUIRE(kafka::produce(client->get(), topics_.events, RD_KAFKA_PARTITION_UA, record.key, record.value, nullptr) ==
              RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    REQUIRE(rd_kafka_flush(client->get(), wait) == RD_KAFKA_RESP_ERR_NO_ERROR);
    REQUIRE(done(rd_kafka_abort_transaction(client->get(), wait)));
  }

  [[nodiscard]] bool remove_records() override {
    auto conf = kafka::make_conf(properties_);
    REQUIRE(conf.has_value());
    const auto client = kafka::make_client(RD_KAFKA_PRODUCER, std::move(*conf));
    REQUIRE(client.has_value());
    const std::int32_t count = partitions_of(client->get(), topics_.events);
    const kafka::Partitions before(rd_kafka_topic_partition_list_new(count));
    for (std::int32_t partition = 0; partition < count; ++partition) {
      rd_kafka_topic_partition_list_add(before.get(), topics_.events.c_str(), partition)->offset = RD_KAFKA_OFFSET_END;
    }
    rd_kafka_DeleteRecords_t* request = rd_kafka_DeleteRecords_new(before.get());
    const kafka::Queue queue(rd_kafka_queue_new(client->get()));
    rd_kafka_DeleteRecords(client->get(), &request, 1, nullptr, queue.get());
    rd_kafka_DeleteRecords_destroy(request);
    const kafka::Event done(rd_kafka_queue_poll(queue.get(), static_cast<int>(limit.count())));
    REQUIRE(done);
    REQUIRE(rd_kafka_event_error(done.get()) == RD_KAFKA_RESP_ERR_NO_ERROR);
    return true;
  }

  void fail_next_commit(Fault fault) override {
    if (fault == Fault::certain_failure) return fence();
    const auto pid = static_cast<pid_t>(std::stol(environment("TILLSTREAM_KAFKA_PID")));
    REQUIRE(kill(pid, SIGSTOP) == 0);
    hang_ = std::thread([pid] {
      std::this_thread::sleep_for(transaction_limit + transaction_limit / 4);
      kill(pid, SIGCONT);
    });
  }

 private:
  // As another owner would.
  void fence() {
    for (int turn = 0; turn < static_cast<int>(kafka::kTurns); ++turn) {
      auto other = kafka::Producer::make({.properties = properties_,
                                          .transactional_id = topics_.progress + "-0-" + std::to_string(turn),
                                          .topics = topics_,
                                          .progress_partition = 0,
                                          .transaction_limit = transaction_limit});
      REQUIRE(other.has_value());
      REQUIRE((*other)->initialise(limit, [] { return false; }).ending == kafka::Ending::done);
    }
  }

  void finish_hang() {
    if (hang_.joinable()) hang_.join();
  }

  void each(const std::string& topic, const std::function<void(const rd_kafka_message_t&)>& visit) const {
    auto properties = properties_;
    properties.insert(properties.end(), {{"group.id", "contract-judge"},
                                         {"isolation.level", "read_committed"},
                                         {"enable.partition.eof", "true"},
                                         {"enable.auto.commit", "false"},
                                         // The brokers let who is at the end wait half a second for more.
                                         {"fetch.wait.max.ms", "10"}});
    auto conf = kafka::make_conf(properties);
    REQUIRE(conf.has_value());
    const auto client = kafka::make_client(RD_KAFKA_CONSUMER, std::move(*conf));
    REQUIRE(client.has_value());
    std::set<std::int32_t> open;
    const auto all = rd_kafka_topic_partition_list_new(4);
    const kafka::Partitions owned(all);
    for (std::int32_t partition = 0; partition < partitions_of(client->get(), topic); ++partition) {
      rd_kafka_topic_partition_list_add(all, topic.c_str(), partition)->offset = RD_KAFKA_OFFSET_BEGINNING;
      open.insert(partition);
    }
    REQUIRE(rd_kafka_assign(client->get(), all) == RD_KAFKA_RESP_ERR_NO_ERROR);
    while (!open.empty()) {
      const kafka::Message message(rd_kafka_consumer_poll(client->get(), static_cast<int>(limit.count())));
      REQUIRE(message);
      if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        open.erase(message->partition);
      } else {
        REQUIRE(message->err == RD_KAFKA_RESP_ERR_NO_ERROR);
        visit(*message);
      }
    }
  }

  static std::int32_t partitions_of(rd_kafka_t* client, const std::string& topic) {
    const std::unique_ptr<rd_kafka_topic_t, kafka::Destroy<rd_kafka_topic_destroy>> handle(
        rd_kafka_topic_new(client, topic.c_str(), nullptr));
    const struct rd_kafka_metadata* found = nullptr;
    REQUIRE(rd_kafka_metadata(client, 0, handle.get(), &found, static_cast<int>(limit.count())) ==
            RD_KAFKA_RESP_ERR_NO_ERROR);
    const int count = found->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(found);
    return count;
  }

  kafka::Properties properties_{{"bootstrap.servers", environment("TILLSTREAM_KAFKA_BOOTSTRAP")}};
  kafka::Topics topics_;
  std::thread hang_;
};

}  // namespace

// One partition, so that the topic has one order.
std::unique_ptr<StreamRig> make_rig() { return std::make_unique<KafkaRig>(1U); }
std::unique_ptr<StreamRig> make_spread_rig() { return std::make_unique<KafkaRig>(3U); }

}  // namespace test
