// Partition: one ShardGroup with its connection to the broker and its timer. Carries out what the machine says.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <memory>

#include "cloud-bridge/adapters/paho/connection.hpp"
#include "cloud-bridge/bridge/shard_group.hpp"
#include "cloud-bridge/stream/stream.hpp"
#include "proto/base/random.hpp"

namespace app {

class Partition {
 public:
  // Everything given must outlive it.
  Partition(boost::asio::io_context& io, stream::Stream& stream, base::Random& random, bridge::Budget& budget,
            bridge::Counters& counters, bridge::ShardGroupSettings settings, paho::Settings broker);
  ~Partition();
  Partition(const Partition&) = delete;
  Partition& operator=(const Partition&) = delete;

  [[nodiscard]] bridge::ShardGroup& group() { return group_; }
  [[nodiscard]] const bridge::ShardGroup& group() const { return group_; }
  [[nodiscard]] paho::Counters connection_counters() const { return connection_.counters(); }
  [[nodiscard]] stream::Partition number() const { return stream::Partition(group_.settings().partition); }

  // After every input of the group that does not come through here.
  void pump();
  void reconnect(paho::Settings broker);
  void disconnect() { connection_.disconnect(); }

 private:
  void drain();
  void take(paho::Event event);
  void carry_out(bridge::Output output);
  void arm();

  boost::asio::io_context& io_;
  boost::asio::steady_timer timer_;
  stream::Stream& stream_;
  bridge::ShardGroup group_;
  // Tasks that come after our end find this empty.
  std::shared_ptr<Partition*> self_;
  paho::Connection connection_;
};

}  // namespace app
