// Opening: asks the brokers whether the topics are fit to work with, on a thread of its own, until they answer. Brokers
// that cannot be reached are waited for; topics that are wrong end the bridge. A schema registry is asked after them,
// with the same outcomes.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "cloud-bridge/adapters/rdkafka/producer.hpp"
#include "cloud-bridge/adapters/rdkafka/schema_registry.hpp"
#include "cloud-bridge/adapters/rdkafka/topics.hpp"

namespace kafka {

struct Opened {
  std::uint32_t partitions = 0;  // P
  stream::SizeLimits limits;     // what the topics take
  MessageSizes sizes;
  std::vector<std::string> warnings;
  base::Bytes value_prefix = {};  // the registry's framing; empty without one
};
struct Refused {
  std::vector<std::string> problems;
};
// It goes on by itself.
struct Unreachable {
  std::string reason;
};
using OpeningOutput = std::variant<Opened, Refused, Unreachable>;

// One look at the topics and at the rights on them. The registry is not asked: it would be changed.
[[nodiscard]] OpeningOutput look(const TopicsSettings& settings);

class Opening {
 public:
  using Emit = std::function<void(OpeningOutput)>;

  Opening(TopicsSettings settings, std::optional<RegistrySettings> registry, Emit emit);
  Opening(const Opening&) = delete;
  Opening& operator=(const Opening&) = delete;
  ~Opening();

 private:
  void run();
  [[nodiscard]] OpeningOutput open() const;

  const TopicsSettings settings_;
  const std::optional<RegistrySettings> registry_;
  Emit emit_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace kafka
