// BridgeHost: one bridge's process. The product's machines, one a partition, between the broker and the stream.
#pragma once

#include <memory>
#include <vector>

#include "cloud-bridge/bridge/shard_group.hpp"
#include "tests/sim/world/broker.hpp"
#include "tests/sim/world/group.hpp"
#include "tests/sim/world/stream_client.hpp"

namespace whole {

class BridgeHost final : public Process, private Peer, private stream::Owner {
 public:
  // All must outlive it.
  BridgeHost(Env& env, Broker& broker, Central& central, Group& group, const base::Hasher& hasher,
             std::uint64_t number);

  void start();
  void kill();
  void pause(base::Instant::duration time);
  [[nodiscard]] std::uint64_t number() const { return number_; }

 private:
  struct Part {
    std::unique_ptr<bridge::ShardGroup> group;
    Connection connection = 0;
  };
  // One life.
  struct Program {
    explicit Program(std::uint64_t budget_bytes) : budget(budget_bytes) {}
    bridge::Budget budget;
    bridge::Counters counters;
    std::vector<Part> parts;
    std::unique_ptr<StreamClient> stream;
  };

  void join();
  void settle() override;
  void settle(Part& part);
  void check_bounds();
  [[nodiscard]] Part* part_of(Connection connection);
  [[nodiscard]] bridge::ShardGroup& machine(stream::Partition partition) {
    return *program_->parts[partition.value()].group;
  }

  void on_connected(Connection connection) override;
  void on_lost(Connection connection, const std::string& reason) override;
  void on_message(Connection connection, const std::string& topic, const base::Bytes& payload) override;
  void on_acknowledged(Connection connection, std::uint8_t code, std::size_t bytes) override;

  void on_owned(stream::Partition partition, std::vector<tillstream::v1::Progress> progress) override;
  void on_lost(stream::Partition partition, std::string reason) override;
  void on_committed(stream::Partition partition, stream::TransactionId id) override;
  void on_ready(stream::Partition partition) override;

  Broker& broker_;
  Central& central_;
  Group& group_;
  const base::Hasher& hasher_;
  std::uint64_t number_;
  std::uint64_t budget_bytes_;
  std::unique_ptr<Program> program_;
};

}  // namespace whole
