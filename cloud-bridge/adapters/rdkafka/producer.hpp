// Producer: one transactional id, one transaction after the other. Every call blocks and has its limit.
//
//   new ──initialise──▶ ready ──commit──▶ ready        committed: certain, and nothing of it is on its way any more
//                         └──commit──▶ spent           fenced or uncertain: destroy it, and initialise another one
//
// Invariants:
//   (1) `committed` is said only when the coordinator has answered so.
//   (2) A producer whose line shook between begin and the answer is spent, whatever the answer: a request that was
//   given up may
//       arrive late and end a later transaction. Only another epoch (initialise) makes it harmless.
//   (3) A record is never dropped for its age: what is not in the stream when the limit is over makes the whole
//   transaction uncertain.
//
// Not thread-safe; poll() is called by the same thread.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cloud-bridge/adapters/rdkafka/client.hpp"
#include "cloud-bridge/stream/stream.hpp"
#include "cloud-bridge/stream/topic_plan.hpp"

namespace kafka {

using Topics = stream::TopicNames;

// In bytes. What is larger the client refuses by itself; what the smallest topic does not take in one batch it must not
// put into one.
struct MessageSizes {
  std::size_t message_max = 1'000'000;
  std::size_t batch_max = 1'000'000;
};

struct ProducerSettings {
  Properties properties;  // the operator's
  std::string transactional_id;
  Topics topics;
  std::int32_t progress_partition = 0;
  MessageSizes sizes = {};
  // The broker ends a transaction that is open for so long; until then it holds up every reader of its partitions.
  Milliseconds transaction_limit{10'000};
};

enum class Ending {
  done,       // initialised; committed
  fenced,     // another owner has taken the id
  uncertain,  // anything else: nothing may be assumed
};
struct Ended {
  Ending ending = Ending::uncertain;
  std::string reason = {};  // for people, when it is not done
  bool spent = false;       // done, but see (2)
};

class Producer {
 public:
  static std::expected<std::unique_ptr<Producer>, std::string> make(const ProducerSettings& settings);

  // Takes the id: aborts what its last user left open, and fences that user. Uncertain, too, where a topic is missing:
  // the first transaction would fail at its limit, and say only that.
  [[nodiscard]] Ended initialise(Milliseconds limit, const std::function<bool()>& stop);
  // One whole transaction, within the transaction's limit.
  [[nodiscard]] Ended commit(const stream::Transaction& transaction);
  // Serves callbacks while idle.
  void poll();

 private:
  explicit Producer(const ProducerSettings& settings) : settings_(settings) {}
  [[nodiscard]] Ended failed(std::string_view what, const Error& error, std::chrono::steady_clock::time_point begun);
  [[nodiscard]] Ended failed(std::string_view what, rd_kafka_resp_err_t code, const char* words,
                             std::chrono::steady_clock::time_point begun);

  ProducerSettings settings_;
  Line line_;
  Handle client_;      // behind line_: its threads write there
  KnownTopics known_;  // held, so that what is known of them stays known
};

}  // namespace kafka
