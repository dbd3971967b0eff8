// Process: the running bridge. Everything happens on one loop thread; what blocks is behind adapters.
//
//   start ──▶ serving ──SIGTERM──▶ finishing the running transaction ──▶ disconnecting ──▶ closing the stream ──▶ gone
//                └──SIGHUP──▶ re-reads configuration, certificates and token
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <expected>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cloud-bridge/adapters/net/admin.hpp"
#include "cloud-bridge/adapters/net/event_feed.hpp"
#include "cloud-bridge/adapters/rdkafka/kafka_stream.hpp"
#include "cloud-bridge/adapters/sqlite/sqlite_stream.hpp"
#include "cloud-bridge/app/partition.hpp"
#include "cloud-bridge/config/config.hpp"
#include "proto/base/random.hpp"
#include "proto/platform/http_server.hpp"

namespace app {

class Process final : public stream::Owner {
 public:
  Process(config::Config config, std::string config_path);
  ~Process() override;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Opens the stream and the admin port. The error is for people.
  [[nodiscard]] std::expected<void, std::string> start();
  // Until a signal ends it, or the stream turns out to be none to work with. The exit status.
  [[nodiscard]] int run();

 private:
  void on_owned(stream::Partition partition, std::vector<tillstream::v1::Progress> progress) override;
  void on_lost(stream::Partition partition, std::string reason) override;
  void on_committed(stream::Partition partition, stream::TransactionId id) override;
  void on_ready(stream::Partition partition) override;

  [[nodiscard]] std::expected<void, std::string> start_stream();
  [[nodiscard]] std::expected<void, std::string> start_sqlite();
  [[nodiscard]] std::expected<void, std::string> start_kafka();
  void refused(const std::vector<std::string>& problems);
  [[nodiscard]] std::expected<void, std::string> start_admin();
  // Made when it is asked for first.
  [[nodiscard]] Partition& at(stream::Partition partition);
  [[nodiscard]] status::Snapshot snapshot();
  [[nodiscard]] status::Limits status_limits() const;
  [[nodiscard]] std::string release(const std::string& gateway_id);
  void wait_for_signal();
  void reload();
  void beat();
  void tell_trouble();
  void stop();
  void stop_when_idle();
  void close_down();

  config::Config config_;
  std::string config_path_;
  base::Now started_;
  boost::asio::io_context io_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer beat_timer_;
  boost::asio::steady_timer stop_timer_;
  std::unique_ptr<base::Random> random_;
  bridge::Budget budget_;
  // The stream's last error, as it was logged.
  std::string told_trouble_;
  bridge::Counters counters_;
  std::unique_ptr<stream::Stream> stream_;
  stream::StreamReader* reader_ = nullptr;  // part of the stream
  std::map<stream::Partition, std::unique_ptr<Partition>> partitions_;
  std::unique_ptr<net::EventFeed> feed_;
  std::unique_ptr<net::Admin> admin_;
  std::unique_ptr<platform::HttpServer> server_;
  bool stopping_ = false;
  bool closing_ = false;
  int exit_status_ = 0;
};

}  // namespace app
