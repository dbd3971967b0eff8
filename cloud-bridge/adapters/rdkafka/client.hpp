// Handles of librdkafka that own what they hold, and its errors as words. Everything else here builds on these.
//
// Errors are for people: the name of librdkafka's or the broker's code, and what was tried. They never hold a record.
#pragma once

#include <librdkafka/rdkafka.h>

#include <atomic>
#include <chrono>
#include <expected>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kafka {

// Names and values as librdkafka's CONFIGURATION.md has them.
using Properties = std::vector<std::pair<std::string, std::string>>;
using Milliseconds = std::chrono::milliseconds;

template <auto destroy>
struct Destroy {
  template <class T>
  void operator()(T* handle) const {
    destroy(handle);
  }
};
using Conf = std::unique_ptr<rd_kafka_conf_t, Destroy<rd_kafka_conf_destroy>>;
using Handle = std::unique_ptr<rd_kafka_t, Destroy<rd_kafka_destroy>>;
using Error = std::unique_ptr<rd_kafka_error_t, Destroy<rd_kafka_error_destroy>>;
using Message = std::unique_ptr<rd_kafka_message_t, Destroy<rd_kafka_message_destroy>>;
using Queue = std::unique_ptr<rd_kafka_queue_t, Destroy<rd_kafka_queue_destroy>>;
using Event = std::unique_ptr<rd_kafka_event_t, Destroy<rd_kafka_event_destroy>>;
using Topic = std::unique_ptr<rd_kafka_topic_t, Destroy<rd_kafka_topic_destroy>>;
using Partitions = std::unique_ptr<rd_kafka_topic_partition_list_t, Destroy<rd_kafka_topic_partition_list_destroy>>;

// What a client hears beside its calls: disconnects, time-outs, fatal errors. librdkafka's own threads write it.
class Line {
 public:
  void shake(std::string_view why);
  // Why a connection failed: refused, its name unknown, no trust in its certificate, a wrong password.
  void fail(std::string_view why);
  // Forgets what was heard; true when something was.
  bool take_shaken() { return shaken_.exchange(false); }
  [[nodiscard]] bool failed() const;
  // What went wrong, and how the last connection failed, if one did: a call itself says of that only that it took too
  // long.
  [[nodiscard]] std::string explain(std::string what) const;

 private:
  std::atomic<bool> shaken_ = false;
  mutable std::mutex mutex_;
  std::string failure_;
};

// The last value of a name counts. The error names what librdkafka does not take.
[[nodiscard]] std::expected<Conf, std::string> make_conf(const Properties& properties);
// Each property that librdkafka does not take by itself, with what is wrong.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> find_property_problems(const Properties& properties);
// Logs librdkafka's own lines, and tells `line` (which must outlive the client) of every sign of trouble on it.
void listen(rd_kafka_conf_t* conf, Line& line);
[[nodiscard]] std::expected<Handle, std::string> make_client(rd_kafka_type_t type, Conf conf);
// Asks where the topics' partitions are. A producer that has to find out when it is given its first records waits about
// a second for it. The answer is known as long as the handles are held; one that does not come is no failure.
struct KnownTopics {
  std::vector<Topic> handles;
  std::vector<std::string> missing;  // the brokers say so
};
[[nodiscard]] KnownTopics learn_topics(rd_kafka_t* client, const std::vector<std::string>& names, Milliseconds limit);
// A list of one.
[[nodiscard]] Partitions one_partition(const std::string& topic, std::int32_t partition, std::int64_t offset);

// Hands one record over. Key and value are copied; the headers, which may be null, are taken when it succeeds.
[[nodiscard]] rd_kafka_resp_err_t produce(rd_kafka_t* client, const std::string& topic, std::int32_t partition,
                                          std::string_view key, std::string_view value, rd_kafka_headers_t* headers);

// "what: NAME (text)".
[[nodiscard]] std::string describe(std::string_view what, rd_kafka_resp_err_t code, std::string_view text = {});
// A reader that was assigned its partition by hand looks for its group's coordinator all the same; whether it may does
// not matter.
[[nodiscard]] constexpr bool is_of_no_group(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
}
[[nodiscard]] int whole_ms(Milliseconds time);

}  // namespace kafka
