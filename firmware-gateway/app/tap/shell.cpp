#include "firmware-gateway/app/tap/shell.hpp"

#include <fmt/format.h>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <csignal>
#include <utility>

#include "firmware-gateway/adapters/memory/wiping.hpp"
#include "firmware-gateway/app/tap/program.hpp"
#include "firmware-gateway/redact/secret.hpp"
#include "proto/platform/certificates.hpp"
#include "proto/platform/log.hpp"
#include "proto/platform/system.hpp"

namespace tap_app {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
namespace log = platform::log;

// What was relayed and has not been read yet.
constexpr std::size_t hand_over_bytes = 8UL * 1024 * 1024;
constexpr auto tick_interval = 1s;
// The hosts' time to answer what is under way when the tap is stopped.
constexpr auto answer_patience = 2s;
// The gateway's time to take what is queued when the tap is stopped.
constexpr auto stop_patience = 3s;
constexpr auto stop_poll = 10ms;

tap::RelaySettings relay_settings(const config::TapLine& line) {
  tap::RelaySettings settings{.listen = line.listen,
                              .host = line.host,
                              .port = line.port,
                              .tls = {},
                              .host_tls = {},
                              .max_connections = line.max_connections};
  if (!line.tls) return settings;
  settings.tls =
      platform::TlsFiles{.certificate = line.tls->certificate, .key = line.tls->key, .client_ca = line.tls->client_ca};
  settings.host_tls =
      tap::HostTls{.ca = line.host_tls->ca, .certificate = line.host_tls->certificate, .key = line.host_tls->key};
  return settings;
}

// The other end may refuse what the relay has loaded.
void warn_of_certificates(const config::TapLine& line) {
  if (!line.tls) return;
  for (const std::string& certificate : {line.tls->certificate, line.host_tls->certificate}) {
    if (certificate.empty()) continue;
    if (const auto warning = platform::validity_warning(certificate)) log::warn("line {}: {}", line.name, *warning);
  }
}

}  // namespace

Shell::Shell(const config::TapConfig& config)
    : config_(config),
      hand_over_(hand_over_bytes, [this] { asio::post(io_, [this] { read_along(); }); }),
      delivery_(config.memory_bytes) {}

Shell::~Shell() {
  admin_.reset();
  gateway_line_.reset();
  stop_relay();
}

std::string Shell::run() {
  if (auto problem = open_lines(); !problem.empty()) return problem;
  if (auto problem = open_admin(); !problem.empty()) return problem;
  open_gateway_line();
  wait_for_signals();
  relay_thread_ = std::thread([this] { memory::run_wiping(relay_io_); });
  tick();
  platform::notify_supervisor("READY=1");
  log::info("tap {} is ready; admin on {}", version, admin_->address());
  memory::run_wiping(io_);
  return {};
}

std::string Shell::open_lines() {
  for (const config::TapLine& settings : config_.lines) {
    auto relay = tap::Relay::start(relay_io_, relay_settings(settings), lines_.size(), hand_over_);
    if (!relay) return fmt::format("line {}: {}", settings.name, relay.error());
    log::info("line {}: {} to {}:{} ({}{})", settings.name, (*relay)->address(), settings.host, settings.port,
              settings.dialect_name, settings.tls ? ", TLS on both sides" : "");
    warn_of_certificates(settings);
    lines_.push_back(std::make_unique<Line>(
        settings, tap::Observer(settings.dialect, settings.host_timeout, {}, settings.host_sets), std::move(*relay)));
  }
  return {};
}

std::string Shell::open_admin() {
  auto admin = platform::start_http_server(
      io_, {.listen = config_.admin},
      [this](const platform::HttpRequest& request, const std::shared_ptr<platform::Responder>& responder) {
        answer(request, responder);
      });
  if (!admin) return admin.error();
  admin_ = std::move(*admin);
  return {};
}

void Shell::open_gateway_line() {
  gateway_line_ = tap::GatewayLine::start(
      io_, config_.socket, delivery_,
      {.on_line =
           [this](const std::string& trouble) {
             if (trouble.empty()) log::info("gateway: connected by {}", config_.socket);
             if (!trouble.empty())
               log::limited("tap.gateway", log::Level::warn, "gateway: {}: {}; {} copies wait", config_.socket, trouble,
                            delivery_.waiting());
             gateway_trouble_ = trouble;
           },
       .on_refused =
           [](const tap::Refused& refused) {
             log::limited("tap.refused", log::Level::error, "the gateway will never store a copy: {} {}; it is dropped",
                          refused.code, refused.field);
           }});
}

void Shell::wait_for_signals() {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) signals_.add(signal);
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    if (signal != SIGHUP) return begin_stop();
    reload_certificates();
    wait_for_signals();
  });
}

void Shell::reload_certificates() {
  asio::post(relay_io_, [this] {
    for (const auto& line : lines_) {
      if (const auto loaded = line->relay->reload_tls(); !loaded)
        log::error("line {}: {}; the old certificates stay", line->settings.name, loaded.error());
      warn_of_certificates(line->settings);
    }
    log::info("certificates read again; whatever else has changed in tap.toml needs a restart");
  });
}

void Shell::tick() {
  platform::notify_supervisor("WATCHDOG=1");
  for (const auto& line : lines_) {
    if (const auto trouble = line->relay->take_trouble())
      log::limited("tap.relay", log::Level::warn, "line {}: {}", line->settings.name, *trouble);
  }
  ticker_.expires_after(tick_interval);
  ticker_.async_wait([this](const boost::system::error_code& error) {
    if (!error) tick();
  });
}

void Shell::read_along() {
  for (tap::Seen& seen : hand_over_.take()) {
    read(seen);
    redact::wipe(seen.bytes);
  }
  take_findings();
  set_timer();
}

void Shell::read(const tap::Seen& seen) {
  Line& line = *lines_[seen.line];
  switch (seen.what) {
    case tap::Seen::What::from_terminal:
      return line.observer.on_bytes(seen.connection, tap::Direction::from_terminal, seen.bytes, seen.at);
    case tap::Seen::What::from_host:
      return line.observer.on_bytes(seen.connection, tap::Direction::from_host, seen.bytes, seen.at);
    case tap::Seen::What::gap:
      return line.observer.on_gap(seen.connection, seen.at);
    case tap::Seen::What::closed:
      return line.observer.on_closed(seen.connection);
  }
}

void Shell::take_findings() {
  const base::Now now = platform::now();
  for (const auto& line : lines_) {
    while (auto finding = line->observer.take()) {
      if (auto* const shape = std::get_if<terminal::Shape>(&*finding)) shape->emplace("line", line->settings.name);
      if (!std::visit([&](auto& found) { return delivery_.put(std::move(found), now); }, *finding))
        log::limited("tap.lost", log::Level::error, "no room for a copy: gateway.memory is used up; it is lost");
    }
    if (const auto trouble = line->observer.take_trouble())
      log::limited("tap.unread", log::Level::warn, "line {}: {}", line->settings.name, *trouble);
  }
  if (gateway_line_) gateway_line_->wake();
}

void Shell::set_timer() {
  std::optional<base::Instant> at;
  for (const auto& line : lines_) {
    const auto wakeup = line->observer.wakeup_at();
    if (wakeup && (!at || *wakeup < *at)) at = wakeup;
  }
  if (!at) {
    timer_.cancel();
    return;
  }
  timer_.expires_after(std::max(*at - platform::now().instant, base::Instant::duration(0)));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    const base::Instant now = platform::now().instant;
    for (const auto& line : lines_) line->observer.on_time(now);
    take_findings();
    set_timer();
  });
}

void Shell::begin_stop() {
  log::info("stopping");
  platform::notify_supervisor("STOPPING=1");
  asio::post(relay_io_, [this] {
    for (const auto& line : lines_) line->relay->stop_accepting();
  });
  stop_by_ = std::chrono::steady_clock::now() + answer_patience;
  await_answers();
}

// No payment is cut off that will be answered in a moment.
void Shell::await_answers() {
  const bool answered =
      std::ranges::all_of(lines_, [](const auto& line) { return line->observer.open_requests() == 0; });
  if (answered || std::chrono::steady_clock::now() >= *stop_by_) return end_lines();
  stop_timer_.expires_after(stop_poll);
  stop_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) await_answers();
  });
}

void Shell::end_lines() {
  stop_by_ = std::chrono::steady_clock::now() + stop_patience;
  stop_relay();
  read_along();
  for (const auto& line : lines_) line->observer.on_stop();
  take_findings();
  finish_stop();
}

void Shell::stop_relay() {
  if (!relay_thread_.joinable()) return;
  asio::post(relay_io_, [this] {
    for (const auto& line : lines_) line->relay->stop();
    relay_work_.reset();
    relay_io_.stop();
  });
  relay_thread_.join();
}

// Until the gateway has taken what is queued, or patience ends.
void Shell::finish_stop() {
  if (delivery_.idle() || std::chrono::steady_clock::now() >= *stop_by_) {
    if (!delivery_.idle())
      log::error("{} copies were not taken by the gateway, and are lost with this process; {} had been lost before",
                 delivery_.waiting(), delivery_.untold_lost());
    io_.stop();
    return;
  }
  stop_timer_.expires_after(stop_poll);
  stop_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) finish_stop();
  });
}

void Shell::answer(const platform::HttpRequest& request, const std::shared_ptr<platform::Responder>& responder) {
  if (auto refused = access_.refuse(request)) return responder->send(std::move(*refused));
  if (request.method != "GET")
    return responder->send(platform::error_response(405, "method_not_allowed", "allowed: GET"));
  if (request.path == "/v1/status") return responder->send({.body = status_json(facts())});
  if (request.path == "/metrics") {
    fill(metrics_, facts());
    return responder->send(
        {.status = 200, .content_type = std::string(platform::Metrics::content_type), .body = metrics_.text()});
  }
  if (request.path == "/readyz") return responder->send({.content_type = "text/plain", .body = "ok\n"});
  if (request.path == "/healthz") {
    const std::string trouble = trouble_of(facts());
    if (trouble.empty()) return responder->send({.content_type = "text/plain", .body = "ok\n"});
    return responder->send({.status = 503, .content_type = "text/plain", .body = trouble + "\n"});
  }
  responder->send(platform::error_response(404, "not_found", "there are /healthz /readyz /metrics /v1/status"));
}

Facts Shell::facts() const {
  Facts facts{.lines = {},
              .socket = config_.socket,
              .pieces_refused = hand_over_.refused(),
              .gateway_trouble = gateway_trouble_,
              .delivery = &delivery_,
              .oldest = {},
              .unhealthy_after = config_.unhealthy_after};
  if (const auto oldest = delivery_.oldest())
    facts.oldest = std::chrono::duration_cast<std::chrono::milliseconds>(platform::now().instant - *oldest);
  for (const auto& line : lines_)
    facts.lines.push_back({.name = line->settings.name,
                           .listen = line->relay->address(),
                           .host = fmt::format("{}:{}", line->settings.host, line->settings.port),
                           .dialect = line->settings.dialect_name,
                           .tls = line->settings.tls.has_value(),
                           .relay = &line->relay->counts(),
                           .observer = &line->observer});
  return facts;
}

}  // namespace tap_app
