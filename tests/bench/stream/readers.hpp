// Consumers of a stream, from the moment of their making on.
#pragma once

#include <librdkafka/rdkafka.h>

#include <boost/asio.hpp>
#include <memory>
#include <optional>
#include <string>

namespace bench {

class Reader {
 public:
  virtual ~Reader() = default;
  // The next record's JSON; nullopt while none comes for a tenth of a second.
  [[nodiscard]] virtual std::optional<std::string> next() = 0;
};

struct CloseKafka {
  void operator()(rd_kafka_t* client) const { rd_kafka_destroy(client); }
};
using KafkaClient = std::unique_ptr<rd_kafka_t, CloseKafka>;

// With these properties, two by two.
[[nodiscard]] KafkaClient make_kafka(rd_kafka_type_t type,
                                     std::initializer_list<std::pair<const char*, std::string>> properties);

// Sees what is committed only.
class KafkaReader final : public Reader {
 public:
  enum class From { beginning, end };
  KafkaReader(const std::string& bootstrap, const std::string& topic, From from);
  std::optional<std::string> next() override;
  // The caller destroys it; nullptr: as nullopt.
  [[nodiscard]] rd_kafka_message_t* next_message();
  // Fetches nothing more.
  void pause();

 private:
  KafkaClient client_;
};

// Server-sent events of a bridge's admin port.
class SseReader final : public Reader {
 public:
  explicit SseReader(unsigned short port);
  std::optional<std::string> next() override;

 private:
  boost::asio::io_context io_;
  boost::asio::ip::tcp::socket socket_{io_};
  std::string heard_;
};

}  // namespace bench
