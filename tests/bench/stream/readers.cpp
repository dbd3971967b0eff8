#include "tests/bench/stream/readers.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <array>

#include "proto/base/assert.hpp"

namespace bench {
namespace {

constexpr int patience_ms = 100;

}  // namespace

KafkaClient make_kafka(rd_kafka_type_t type, std::initializer_list<std::pair<const char*, std::string>> properties) {
  rd_kafka_conf_t* const conf = rd_kafka_conf_new();
  std::array<char, 512> why{};
  for (const auto& [name, value] : properties)
    ASSERT(rd_kafka_conf_set(conf, name, value.c_str(), why.data(), why.size()) == RD_KAFKA_CONF_OK);
  if (type == RD_KAFKA_PRODUCER)  // without one a commit's flush looks every 10 ms only
    rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t*, void*) {});
  KafkaClient client(rd_kafka_new(type, conf, why.data(), why.size()));
  ASSERT(client != nullptr);
  return client;
}

KafkaReader::KafkaReader(const std::string& bootstrap, const std::string& topic, From from)
    : client_(make_kafka(RD_KAFKA_CONSUMER, {{"bootstrap.servers", bootstrap},
                                             {"group.id", "bench"},
                                             {"isolation.level", "read_committed"},
                                             {"enable.auto.commit", "false"},
                                             {"socket.nagle.disable", "true"}})) {
  rd_kafka_poll_set_consumer(client_.get());
  rd_kafka_topic_t* const handle = rd_kafka_topic_new(client_.get(), topic.c_str(), nullptr);
  const struct rd_kafka_metadata* metadata = nullptr;
  ASSERT(rd_kafka_metadata(client_.get(), 0, handle, &metadata, 30'000) == RD_KAFKA_RESP_ERR_NO_ERROR);
  const int count = metadata->topics[0].partition_cnt;
  ASSERT(count > 0);
  rd_kafka_topic_partition_list_t* const places = rd_kafka_topic_partition_list_new(count);
  for (int partition = 0; partition < count; ++partition) {
    std::int64_t low = 0;
    std::int64_t high = 0;
    ASSERT(rd_kafka_query_watermark_offsets(client_.get(), topic.c_str(), partition, &low, &high, 30'000) ==
           RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_add(places, topic.c_str(), partition)->offset = from == From::end ? high : low;
  }
  ASSERT(rd_kafka_assign(client_.get(), places) == RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_topic_partition_list_destroy(places);
  rd_kafka_metadata_destroy(metadata);
  rd_kafka_topic_destroy(handle);
}

rd_kafka_message_t* KafkaReader::next_message() {
  rd_kafka_message_t* const message = rd_kafka_consumer_poll(client_.get(), patience_ms);
  ASSERT(message == nullptr || message->err == RD_KAFKA_RESP_ERR_NO_ERROR);
  return message;
}

void KafkaReader::pause() { rd_kafka_assign(client_.get(), nullptr); }

std::optional<std::string> KafkaReader::next() {
  rd_kafka_message_t* const message = next_message();
  if (message == nullptr) return std::nullopt;
  std::string value(static_cast<const char*>(message->payload), message->len);
  rd_kafka_message_destroy(message);
  return value;
}

SseReader::SseReader(unsigned short port) {
  socket_.connect({boost::asio::ip::address_v4::loopback(), port});
  boost::asio::write(socket_, boost::asio::buffer(std::string("GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")));
  boost::asio::read_until(socket_, boost::asio::dynamic_buffer(heard_), "\r\n\r\n");
  if (!heard_.starts_with("HTTP/1.1 200 ")) fmt::print(stderr, "{}\n", heard_);
  ASSERT(heard_.starts_with("HTTP/1.1 200 "));
}

std::optional<std::string> SseReader::next() {
  for (;;) {
    if (const auto end = heard_.find('\n'); end != std::string::npos) {
      std::string line = heard_.substr(0, end);
      heard_.erase(0, end + 1);
      if (line.starts_with("data:")) return line;
      continue;
    }
    pollfd readable{.fd = socket_.native_handle(), .events = POLLIN, .revents = 0};
    if (::poll(&readable, 1, patience_ms) == 0) return std::nullopt;
    std::array<char, 65536> chunk{};
    heard_.append(chunk.data(), socket_.read_some(boost::asio::buffer(chunk)));
  }
}

}  // namespace bench
