#include "cloud-bridge/adapters/rdkafka/producer.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cloud-bridge/stream/dead_letter.hpp"
#include "cloud-bridge/stream/record.hpp"

namespace kafka {
namespace {

using Clock = std::chrono::steady_clock;

constexpr Milliseconds queue_full_pause{5};
// How soon a bridge that is to end is heard.
constexpr Milliseconds initialise_slice{1'000};

// Without a callback of its own the commit's flush looks every 10 ms only.
void on_delivery(rd_kafka_t* /*client*/, const rd_kafka_message_t* /*message*/, void* /*opaque*/) {}

// What the promise rests on; the operator's properties may not say otherwise (config refuses them).
Properties fixed(const ProducerSettings& settings) {
  return {{"transactional.id", settings.transactional_id},
          {"transaction.timeout.ms", std::to_string(settings.transaction_limit.count())},
          {"enable.idempotence", "true"},
          {"acks", "all"},
          {"partitioner", "murmur2_random"},
          // A message lives as long as its transaction may.
          {"message.timeout.ms", std::to_string(settings.transaction_limit.count())},
          {"message.max.bytes", std::to_string(settings.sizes.message_max)},
          {"socket.nagle.disable", "true"},
          {"queue.buffering.max.messages", "1000000"},
          {"log_level", "6"}};
}

// Time-outs and disconnects are about the line; of these two the coordinator says that the id is another's.
bool means_fenced(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
         code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

// The last eighth of the broker's time is left to it: whoever was fenced earlier was fenced by another owner.
Milliseconds commit_limit(const ProducerSettings& settings) { return settings.transaction_limit * 7 / 8; }

struct NotPut {
  rd_kafka_resp_err_t code;
  std::string what;
};

class Put {
 public:
  Put(rd_kafka_t* client, Clock::time_point until) : client_(client), until_(until) {}

  std::expected<void, NotPut> operator()(const std::string& topic, std::int32_t partition, std::string_view key,
                                         std::string_view value, rd_kafka_headers_t* headers) {
    for (;;) {
      const rd_kafka_resp_err_t code = produce(client_, topic, partition, key, value, headers);
      if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
      if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL || Clock::now() >= until_) {
        if (headers != nullptr) rd_kafka_headers_destroy(headers);
        return std::unexpected(NotPut{.code = code, .what = fmt::format("a record for {}", topic)});
      }
      rd_kafka_poll(client_, whole_ms(queue_full_pause));
    }
  }

 private:
  rd_kafka_t* client_;
  Clock::time_point until_;
};

void add_header(rd_kafka_headers_t* headers, std::string_view name, std::string_view value) {
  rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()), value.data(),
                      static_cast<ssize_t>(value.size()));
}

rd_kafka_headers_t* headers_of(const stream::Record& record) {
  rd_kafka_headers_t* const headers = rd_kafka_headers_new(12);
  stream::each_header(record,
                      [headers](std::string_view name, std::string_view value) { add_header(headers, name, value); });
  return headers;
}

rd_kafka_headers_t* headers_of(const stream::DeadLetter& letter) {
  rd_kafka_headers_t* const headers = rd_kafka_headers_new(8);
  stream::each_header(letter,
                      [headers](std::string_view name, std::string_view value) { add_header(headers, name, value); });
  return headers;
}

std::expected<void, NotPut> put_all(Put put, const Topics& topics, std::int32_t progress_partition,
                                    const stream::Transaction& transaction) {
  std::expected<void, NotPut> done;
  for (const auto& record : transaction.records) {
    done = put(topics.events, RD_KAFKA_PARTITION_UA, record.key, record.value, headers_of(record));
    if (!done) return done;
  }
  std::string bytes;
  for (const auto& progress : transaction.progress) {
    bytes.clear();
    progress.SerializeToString(&bytes);
    done = put(topics.progress, progress_partition, progress.gateway_id(), bytes, nullptr);
    if (!done) return done;
  }
  for (const auto& letter : transaction.dead_letters) {
    const base::Bytes none;
    done = put(topics.dead_letters, RD_KAFKA_PARTITION_UA, stream::key_of(letter), letter.payload.value_or(none),
               headers_of(letter));
    if (!done) return done;
  }
  for (const auto& row : transaction.gateways) {
    done = put(topics.gateways, RD_KAFKA_PARTITION_UA, row.gateway_id, row.value, nullptr);
    if (!done) return done;
  }
  return done;
}

}  // namespace

std::expected<std::unique_ptr<Producer>, std::string> Producer::make(const ProducerSettings& settings) {
  std::unique_ptr<Producer> producer(new Producer(settings));
  Properties properties = settings.properties;
  for (auto& property : fixed(settings)) properties.push_back(std::move(property));
  // Above librdkafka's own default the operator's wish counts.
  if (settings.sizes.batch_max < MessageSizes{}.batch_max)
    properties.emplace_back("batch.size", std::to_string(settings.sizes.batch_max));
  auto conf = make_conf(properties);
  if (!conf) return std::unexpected(conf.error());
  rd_kafka_conf_set_dr_msg_cb(conf->get(), on_delivery);
  listen(conf->get(), producer->line_);
  auto client = make_client(RD_KAFKA_PRODUCER, std::move(*conf));
  if (!client) return std::unexpected(client.error());
  producer->client_ = std::move(*client);
  return producer;
}

Ended Producer::initialise(Milliseconds limit, const std::function<bool()>& stop) {
  const auto begun = Clock::now();
  Error error;
  // Called again after its time-out it goes on with what is under way.
  do {
    error.reset(rd_kafka_init_transactions(client_.get(), whole_ms(std::min(limit, initialise_slice))));
    poll();
  } while (error && rd_kafka_error_code(error.get()) == RD_KAFKA_RESP_ERR__TIMED_OUT && !stop() &&
           Clock::now() < begun + limit);
  if (error) return failed("init_transactions", error, begun);
  const Topics& topics = settings_.topics;
  known_ = learn_topics(client_.get(), {topics.events, topics.gateways, topics.progress, topics.dead_letters},
                        initialise_slice);
  if (!known_.missing.empty()) return {.reason = stream::tell_missing(known_.missing.front())};
  // Whatever shook before has nothing to do with a transaction.
  line_.take_shaken();
  return {.ending = Ending::done};
}

Ended Producer::commit(const stream::Transaction& transaction) {
  const auto begun = Clock::now();
  poll();
  line_.take_shaken();
  if (const Error error(rd_kafka_begin_transaction(client_.get())); error)
    return failed("begin_transaction", error, begun);
  const auto put = put_all(Put(client_.get(), begun + commit_limit(settings_)), settings_.topics,
                           settings_.progress_partition, transaction);
  if (!put) return failed(put.error().what, put.error().code, rd_kafka_err2str(put.error().code), begun);
  const auto left = std::chrono::duration_cast<Milliseconds>(begun + commit_limit(settings_) - Clock::now());
  const Error error(rd_kafka_commit_transaction(client_.get(), std::max(1, whole_ms(left))));
  poll();
  if (error) return failed("commit_transaction", error, begun);
  return {.ending = Ending::done,
          .reason = "the line to the brokers shook during a transaction",
          .spent = line_.take_shaken() || Clock::now() >= begun + commit_limit(settings_)};
}

void Producer::poll() { rd_kafka_poll(client_.get(), 0); }

Ended Producer::failed(std::string_view what, const Error& error, Clock::time_point begun) {
  return failed(what, rd_kafka_error_code(error.get()), rd_kafka_error_string(error.get()), begun);
}

// A client that was fenced says so to whatever it is asked next, also to a record that is put.
Ended Producer::failed(std::string_view what, rd_kafka_resp_err_t code, const char* words, Clock::time_point begun) {
  std::array<char, 256> text{};
  std::string reason = describe(what, code, words);
  if (const auto fatal = rd_kafka_fatal_error(client_.get(), text.data(), text.size())) {
    code = means_fenced(code) ? code : fatal;
    reason += fmt::format("; {}", describe("fatal", fatal, text.data()));
  }
  // Later the broker's own time-out looks alike.
  const bool in_time = Clock::now() < begun + settings_.transaction_limit;
  return {.ending = means_fenced(code) && in_time ? Ending::fenced : Ending::uncertain, .reason = std::move(reason)};
}

}  // namespace kafka
