// The floor of a bridge's restart: what is committed in each partition of the progress topic, read to its end by
// librdkafka alone.
//
//   bare_progress BOOTSTRAP TOPIC PARTITIONS
//
// One line of JSON.
#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "proto/base/assert.hpp"

namespace {

void set(rd_kafka_conf_t* settings, const char* name, const char* value) {
  std::array<char, 512> why{};
  ASSERT(rd_kafka_conf_set(settings, name, value, why.data(), why.size()) == RD_KAFKA_CONF_OK);
}

}  // namespace

int main(int argc, char** argv) {
  ASSERT(argc == 4);
  const int partitions = std::atoi(argv[3]);
  rd_kafka_conf_t* settings = rd_kafka_conf_new();
  set(settings, "bootstrap.servers", argv[1]);
  set(settings, "group.id", "bare-progress");
  set(settings, "enable.auto.commit", "false");
  set(settings, "enable.partition.eof", "true");
  set(settings, "isolation.level", "read_committed");
  std::array<char, 512> why{};
  rd_kafka_t* client = rd_kafka_new(RD_KAFKA_CONSUMER, settings, why.data(), why.size());
  ASSERT(client != nullptr);
  ASSERT(rd_kafka_poll_set_consumer(client) == RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_topic_partition_list_t* all = rd_kafka_topic_partition_list_new(partitions);
  for (int partition = 0; partition < partitions; ++partition) {
    rd_kafka_topic_partition_list_add(all, argv[2], partition)->offset = RD_KAFKA_OFFSET_BEGINNING;
  }
  ASSERT(rd_kafka_assign(client, all) == RD_KAFKA_RESP_ERR_NO_ERROR);
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  for (int ended = 0; ended < partitions;) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(client, 1'000);
    if (message == nullptr) continue;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      ++ended;
    } else {
      ASSERT(message->err == RD_KAFKA_RESP_ERR_NO_ERROR);
      ++records;
      bytes += message->len;
    }
    rd_kafka_message_destroy(message);
  }
  rd_kafka_topic_partition_list_destroy(all);
  fmt::print(R"({{"records": {}, "bytes": {}}})"
             "\n",
             records, bytes);
  std::fflush(stdout);
  std::_Exit(0);  // the reading is over; how long librdkafka takes to leave is no part of it
}
