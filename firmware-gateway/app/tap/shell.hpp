// Shell: the running tap. Two threads, so that nothing that reads, waits or counts is in a byte's way:
//
//   relay thread  accepts, connects, relays; puts copies into the HandOver
//   copy thread   takes them, reads along, talks to the gateway; admin port, signals
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "firmware-gateway/adapters/tap/gateway_line.hpp"
#include "firmware-gateway/adapters/tap/hand_over.hpp"
#include "firmware-gateway/adapters/tap/relay.hpp"
#include "firmware-gateway/app/tap/report.hpp"
#include "firmware-gateway/config/tap_config.hpp"
#include "firmware-gateway/tap/delivery.hpp"
#include "firmware-gateway/tap/observer.hpp"
#include "proto/platform/admin_access.hpp"
#include "proto/platform/http_server.hpp"
#include "proto/platform/metrics.hpp"

namespace tap_app {

class Shell {
 public:
  explicit Shell(const config::TapConfig& config);
  Shell(const Shell&) = delete;
  Shell& operator=(const Shell&) = delete;
  ~Shell();

  // Until SIGTERM. Empty: ended as it should; otherwise why it could not start.
  [[nodiscard]] std::string run();

 private:
  struct Line {
    const config::TapLine& settings;
    tap::Observer observer;
    std::unique_ptr<tap::Relay> relay;
  };

  [[nodiscard]] std::string open_lines();
  [[nodiscard]] std::string open_admin();
  void open_gateway_line();
  void wait_for_signals();
  void reload_certificates();
  void tick();

  // What the relay has seen, read.
  void read_along();
  void read(const tap::Seen& seen);
  void take_findings();
  void set_timer();
  void begin_stop();
  void await_answers();
  void end_lines();
  void stop_relay();
  void finish_stop();

  void answer(const platform::HttpRequest& request, const std::shared_ptr<platform::Responder>& responder);
  [[nodiscard]] Facts facts() const;

  config::TapConfig config_;
  boost::asio::io_context relay_io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> relay_work_{relay_io_.get_executor()};
  boost::asio::io_context io_{1};
  boost::asio::signal_set signals_{io_};
  boost::asio::steady_timer timer_{io_};
  boost::asio::steady_timer ticker_{io_};
  boost::asio::steady_timer stop_timer_{io_};
  tap::HandOver hand_over_;
  std::vector<std::unique_ptr<Line>> lines_;
  std::thread relay_thread_;
  tap::Delivery delivery_;
  std::unique_ptr<tap::GatewayLine> gateway_line_;
  std::string gateway_trouble_ = "not connected yet";
  platform::AdminAccess access_{std::string()};
  platform::Metrics metrics_{"tillstream_tap"};
  std::unique_ptr<platform::HttpServer> admin_;
  std::optional<std::chrono::steady_clock::time_point> stop_by_;
};

}  // namespace tap_app
