// KafkaStream: the central stream in Apache Kafka. Events and progress go in by one transaction; the partitions of the
// progress topic are shared out among bridges by a consumer group, and each one that is ours has its own tenure.
//
// This side lives on the bridge's loop thread and passes on what the group and the tenures say.
//
//   opening ──topics are as they must be──▶ open, joined ──close──▶ closed
//      │ ▲ └─not reachable─┐
//      │ └─────back-off────┘
//      └──topics are wrong──▶ refused: the bridge ends, and says why
//
// Invariants, beyond Stream's: a callback that the loop has not run yet when close() has called `done`, or when the
// stream is destroyed, does nothing. A rebalance that leaves a partition with us does not touch it.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "cloud-bridge/adapters/rdkafka/opening.hpp"
#include "cloud-bridge/adapters/rdkafka/tenure.hpp"
#include "cloud-bridge/stream/stream.hpp"

namespace kafka {

struct KafkaStreamSettings {
  Properties properties;  // the operator's, bootstrap.servers among them
  Topics topics;
  std::string bridge_id;
  stream::Encoding encoding = stream::Encoding::json;
  std::optional<RegistrySettings> registry = std::nullopt;  // with protobuf only
  Milliseconds session_timeout{6'000};
  Milliseconds transaction_limit{10'000};
  // The topics are not what a bridge can work with, or rights are missing. Called on the loop's thread; nothing else
  // follows.
  std::function<void(std::vector<std::string> problems)> refused;
};

// Properties of the operator's that librdkafka does not take, with what is wrong: each one by itself, then all those
// that are left together, with the files that they name (then without a name when it does not say one). For that one
// client of each kind is made and let go; it connects to nobody that it would wait for.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> find_property_problems(KafkaStreamSettings settings);

class KafkaStream final : public stream::Stream {
 public:
  static std::expected<std::unique_ptr<KafkaStream>, std::string> start(KafkaStreamSettings settings,
                                                                        stream::Post post);
  KafkaStream(const KafkaStream&) = delete;
  KafkaStream& operator=(const KafkaStream&) = delete;
  ~KafkaStream() override;

  void open(stream::Owner& owner) override;
  // 0 until the brokers were reached; known when on_owned is called first.
  [[nodiscard]] std::uint32_t partitions() const override;
  [[nodiscard]] bool may_begin(stream::Partition partition) const override;
  void begin(stream::Partition partition, stream::TransactionId id, stream::Transaction transaction) override;
  [[nodiscard]] stream::SizeLimits size_limits() const override;
  [[nodiscard]] stream::ValueFormat value_format() const override;
  [[nodiscard]] stream::Status status() const override;
  void close(std::function<void()> done) override;
  // Part of the stream, and gone with it.
  [[nodiscard]] stream::StreamReader& reader();

 private:
  struct LoopSide;

  explicit KafkaStream(std::shared_ptr<LoopSide> loop) : loop_(std::move(loop)) {}

  std::shared_ptr<LoopSide> loop_;  // touched on the loop's thread only; tasks under way hold it weakly
};

}  // namespace kafka
