// What readers that are far behind may expect of a real Kafka, beside the reader's contract.
//
// The deadline is part of it: librdkafka alone sleeps for up to a second when it goes to another place, and whenever it
// has fetched ahead what it may; then these 94 MB take half a minute instead of four seconds.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <map>

#include "cloud-bridge/adapters/rdkafka/history.hpp"
#include "cloud-bridge/adapters/rdkafka/topics.hpp"
#include "tests/support/stream/test_loop.hpp"

namespace {

constexpr std::int32_t partitions = 12;
constexpr std::size_t record_bytes = 8 * 1024;
constexpr std::chrono::seconds deadline{20};
constexpr stream::ReadLimits page_limits{.records = 256, .bytes = 128 * 1024};

class History {
 public:
  explicit History(std::size_t records) : records_(records) {
    const stream::TopicNames names{
        .events = topic_, .gateways = topic_ + ".g", .progress = topic_ + ".p", .dead_letters = topic_ + ".d"};
    const auto plans =
        stream::plan_topics(names, {.events_partitions = partitions, .progress_partitions = 1, .replication = 1});
    const auto made = kafka::create_topics({.properties = properties_, .names = names, .bridge_id = "history"}, plans,
                                           kafka::Repeats::refused, [](const std::string& /*line*/) {});
    REQUIRE_MESSAGE(made.has_value(), (made ? "" : made.error()));
    write();
    history_ = std::make_unique<kafka::History>(
        kafka::ConsumerSettings{.properties = properties_, .topic = topic_, .fetch_wait = kafka::Milliseconds(20)},
        [post = loop_.post(), this](std::uint64_t id, kafka::Answer answer) {
          post([this, id, held = std::make_shared<kafka::Answer>(std::move(answer))] { answered(id, *held); });
        });
  }

  // Reads all from these offsets of every partition on. False: not within the deadline.
  [[nodiscard]] bool read_from(const std::vector<std::int64_t>& offsets) {
    for (const std::int64_t offset : offsets) {
      const auto id = static_cast<std::uint64_t>(offset);
      begun_.push_back(id);
      stream::Offsets from;
      for (std::int32_t partition = 0; partition < partitions; ++partition) from[partition] = offset;
      ask(id, std::move(from));
    }
    return loop_.run_until([this] { return ended_ == begun_.size(); }, deadline);
  }
  [[nodiscard]] std::size_t seen(std::int64_t from) { return seen_[static_cast<std::uint64_t>(from)]; }
  [[nodiscard]] std::uint64_t seeks() const { return history_->seeks(); }
  [[nodiscard]] std::size_t pages() const { return pages_; }

 private:
  void write() {
    auto conf = kafka::make_conf(properties_);
    REQUIRE(conf.has_value());
    const auto client = kafka::make_client(RD_KAFKA_PRODUCER, std::move(*conf));
    REQUIRE(client.has_value());
    const std::string value = "{\"filler\":\"" + std::string(record_bytes, 'x') + "\"}";
    for (std::size_t n = 0; n < records_; ++n) {
      rd_kafka_headers_t* const headers = rd_kafka_headers_new(1);
      rd_kafka_header_add(headers, "content-type", -1, "application/json", -1);
      const auto code =
          kafka::produce(client->get(), topic_, static_cast<std::int32_t>(n % partitions), "key", value, headers);
      REQUIRE(code == RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    REQUIRE(rd_kafka_flush(client->get(), 60'000) == RD_KAFKA_RESP_ERR_NO_ERROR);
  }

  void ask(std::uint64_t id, stream::Offsets from) {
    history_->ask(stream::PageQuestion{.id = id, .from = std::move(from), .limits = page_limits});
  }

  void answered(std::uint64_t id, kafka::Answer& answer) {
    REQUIRE_MESSAGE(answer.has_value(), (answer ? "" : answer.error().reason));
    const auto& page = std::get<stream::ReadPage>(*answer);
    ++pages_;
    seen_[id] += page.records.size();
    if (!page.more) {
      ++ended_;
      return;
    }
    ask(id, *stream::parse_offsets(page.next.text));
  }

  const std::string topic_ = "history-" + std::to_string(getpid()) + "-" + std::to_string(++topics_);
  const kafka::Properties properties_{{"bootstrap.servers", std::getenv("TILLSTREAM_KAFKA_BOOTSTRAP")}};
  const std::size_t records_;
  test::TestLoop loop_;
  std::unique_ptr<kafka::History> history_;
  std::vector<std::uint64_t> begun_;
  std::map<std::uint64_t, std::size_t> seen_;
  std::size_t ended_ = 0;
  std::size_t pages_ = 0;
  static inline int topics_ = 0;
};

}  // namespace

TEST_CASE("kafka history: readers behind at different places have the consumer in turns, and each gets everything") {
  constexpr std::size_t records = 3'000;
  History history(records);
  const std::vector<std::int64_t> offsets{0, 10, 20, 30};
  REQUIRE(history.read_from(offsets));
  for (const std::int64_t offset : offsets)
    CHECK(history.seen(offset) == records - static_cast<std::size_t>(offset) * partitions);
  // A turn is eight pages. A reader that asks too late, on a slow machine, loses the rest of its turn.
  CHECK(history.seeks() < history.pages() / 4);
}
