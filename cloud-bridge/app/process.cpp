#include "cloud-bridge/app/process.hpp"

#include <fmt/format.h>
#include <boost/asio/post.hpp>

#include <csignal>
#include <utility>

#include "cloud-bridge/app/cli.hpp"
#include "cloud-bridge/app/settings.hpp"
#include "cloud-bridge/app/version.hpp"
#include "cloud-bridge/status/observe.hpp"
#include "proto/platform/log.hpp"
#include "proto/platform/system.hpp"

namespace app {

namespace {

// How often the supervisor hears that the loop turns.
constexpr std::chrono::seconds beat_interval{2};
// The running transaction has this long after SIGTERM; then we leave without its acks, which does no harm.
constexpr std::chrono::milliseconds finish_time{2'000};
// And the stream this long to close.
constexpr std::chrono::milliseconds close_time{1'000};

}  // namespace

Process::Process(config::Config config, std::string config_path)
    : config_(std::move(config)),
      config_path_(std::move(config_path)),
      started_(platform::now()),
      signals_(io_, SIGTERM, SIGINT, SIGHUP),
      beat_timer_(io_),
      stop_timer_(io_),
      random_(platform::make_random()),
      budget_(config_.limits.memory) {}

Process::~Process() {
  // In this order: nobody may call what is gone already.
  server_.reset();
  admin_.reset();
  feed_.reset();
  partitions_.clear();
  stream_.reset();
}

std::expected<void, std::string> Process::start() {
  if (auto started = start_stream(); !started) return started;
  if (auto started = start_admin(); !started) return started;
  wait_for_signal();
  beat();
  stream_->open(*this);
  platform::log::info("tillstream-bridge {} ({}): admin port on {}, stream {}", version, config_.bridge_id,
                      server_->address(), stream_place(config_));
  return {};
}

std::expected<void, std::string> Process::start_stream() {
  return config_.stream_kind == "kafka" ? start_kafka() : start_sqlite();
}

std::expected<void, std::string> Process::start_kafka() {
  auto settings = kafka_settings(config_);
  settings.refused = [this](const std::vector<std::string>& problems) { refused(problems); };
  auto stream = kafka::KafkaStream::start(
      std::move(settings), [this](std::function<void()> task) { boost::asio::post(io_, std::move(task)); });
  if (!stream) return std::unexpected(stream.error());
  reader_ = &(*stream)->reader();
  stream_ = std::move(*stream);
  return {};
}

void Process::refused(const std::vector<std::string>& problems) {
  for (const std::string& problem : problems) platform::log::error("{}", problem);
  platform::log::error("the stream is not one to work with: the bridge ends");
  exit_status_ = exit_bad_config;
  stop();
}

std::expected<void, std::string> Process::start_sqlite() {
  auto stream = sqlite::SqliteStream::start(
      stream_settings(config_), [this](std::function<void()> task) { boost::asio::post(io_, std::move(task)); });
  if (!stream) return std::unexpected(stream.error());
  reader_ = stream->get();
  stream_ = std::move(*stream);
  return {};
}

Partition& Process::at(stream::Partition partition) {
  auto& place = partitions_[partition];
  if (!place) {
    auto settings = group_settings(config_, partition.value(), stream_->partitions());
    settings.sizes = stream_->size_limits();
    settings.format = stream_->value_format();
    place = std::make_unique<Partition>(io_, *stream_, *random_, budget_, counters_, std::move(settings),
                                        broker_settings(config_, partition.value()));
  }
  return *place;
}

std::expected<void, std::string> Process::start_admin() {
  auto token = read_token(config_.admin.token_file);
  if (!token) return std::unexpected(token.error());
  feed_ = std::make_unique<net::EventFeed>(io_, *reader_, config_.admin.readers_max);
  admin_ = std::make_unique<net::Admin>(
      net::AdminSources{.snapshot = [this] { return snapshot(); },
                        .limits = status_limits(),
                        .release = [this](const std::string& gateway_id) { return release(gateway_id); }},
      *feed_, *token);
  auto server = platform::start_http_server(
      io_, http_settings(config_),
      [this](const platform::HttpRequest& request, const std::shared_ptr<platform::Responder>& responder) {
        admin_->on_request(request, responder);
      });
  if (!server) return std::unexpected(server.error());
  server_ = std::move(*server);
  return {};
}

int Process::run() {
  platform::notify_supervisor("READY=1");
  io_.run();
  return exit_status_;
}

// --- the stream's calls --------------------------------------------------------------------------

void Process::on_owned(stream::Partition partition, std::vector<tillstream::v1::Progress> progress) {
  platform::log::info("partition {}: taken, {} gateways", partition.value(), progress.size());
  at(partition).group().on_owned(progress, stream_->may_begin(partition), platform::now());
  at(partition).pump();
}

void Process::on_lost(stream::Partition partition, std::string reason) {
  platform::log::limited("stream.lost", platform::log::Level::error, "partition {}: not ours: {}", partition.value(),
                         reason);
  at(partition).group().on_lost(std::move(reason), platform::now());
  at(partition).pump();
  stop_when_idle();
}

void Process::on_committed(stream::Partition partition, stream::TransactionId id) {
  at(partition).group().on_committed(id, stream_->may_begin(partition), platform::now());
  at(partition).pump();
  stop_when_idle();
}

void Process::on_ready(stream::Partition partition) {
  at(partition).group().on_ready(platform::now());
  at(partition).pump();
}

// --- what the admin port asks --------------------------------------------------------------------

status::Limits Process::status_limits() const {
  return {.broker_unreachable_after = config_.broker.unreachable_after,
          .commit_stalled_after = config_.admin.commit_stalled_after};
}

status::Snapshot Process::snapshot() {
  const base::Now now = platform::now();
  status::Snapshot snapshot;
  snapshot.bridge_id = config_.bridge_id;
  snapshot.version = version;
  snapshot.at = now.utc;
  snapshot.uptime = std::chrono::duration_cast<std::chrono::milliseconds>(now.instant - started_.instant);
  snapshot.broker.url = broker_url(config_);
  snapshot.stream_kind = config_.stream_kind;
  snapshot.stream_path = stream_place(config_);
  snapshot.stream = stream_->status();
  snapshot.partitions_total = stream_->partitions();
  snapshot.budget_bytes = budget_.bytes_max();
  snapshot.budget_bytes_used = budget_.used();
  snapshot.readers = feed_ ? feed_->readers() : 0;
  snapshot.readers_max = config_.admin.readers_max;
  snapshot.http_connections = server_->connections();
  snapshot.http_refused_connections = server_->refused_connections();
  snapshot.http_displaced_connections = server_->displaced_connections();
  snapshot.http_refused_requests = server_->refused_requests();
  snapshot.counters = counters_;
  status::Observation observation(snapshot, now);
  for (const auto& [number, partition] : partitions_) {
    observation.add(partition->group());
    const paho::Counters counters = partition->connection_counters();
    snapshot.broker.messages_dropped += counters.messages_dropped;
    snapshot.broker.publishes_dropped += counters.publishes_dropped;
    snapshot.broker.messages_waiting += counters.messages_waiting;
    snapshot.broker.bytes_waiting += counters.bytes_waiting;
  }
  observation.finish();
  return snapshot;
}

std::string Process::release(const std::string& gateway_id) {
  for (const auto& [number, partition] : partitions_) {
    const bridge::Release outcome = partition->group().release(gateway_id, platform::now());
    partition->pump();
    if (outcome == bridge::Release::not_quarantined) return "not_quarantined";
    if (outcome == bridge::Release::unknown) continue;
    platform::log::warn("gateway {}: quarantine ended by the operator", gateway_id);
    return "released";
  }
  return "unknown";
}

// --- signals -------------------------------------------------------------------------------------

void Process::wait_for_signal() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    signal == SIGHUP ? reload() : stop();
    wait_for_signal();
  });
}

// Also of a stream that was never opened, and so never lost.
void Process::tell_trouble() {
  std::string trouble = stream_->status().last_error;
  if (trouble == told_trouble_) return;
  told_trouble_ = std::move(trouble);
  if (!told_trouble_.empty())
    platform::log::limited("stream.trouble", platform::log::Level::error, "stream {}: {}", stream_place(config_),
                           told_trouble_);
}

void Process::beat() {
  tell_trouble();
  platform::notify_supervisor("WATCHDOG=1");
  beat_timer_.expires_after(beat_interval);
  beat_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) beat();
  });
}

// What can change while running does; what cannot is named. All files have been proved before anything changes.
void Process::reload() {
  auto fresh = config::load(config_path_, find_property_problems);
  if (!fresh) {
    for (const auto& error : fresh.error()) platform::log::error("{}", error.text());
    return platform::log::error("the configuration is refused; the old one stays");
  }
  for (const std::string& warning : fresh->warnings) platform::log::warn("{}", warning);
  if (auto token = read_token(fresh->admin.token_file)) {
    admin_->set_token(*token);
  } else {
    platform::log::error("{}; the old token stays", token.error());
  }
  for (const std::string_view key : keys_that_need_a_restart(config_, *fresh)) {
    platform::log::warn("{} has changed: that needs a restart", key);
  }
  // Files that are named may have changed though the names have not.
  const bool reconnect = fresh->broker != config_.broker || fresh->broker.tls || !fresh->broker.password_file.empty();
  config_.broker = fresh->broker;
  config_.log = fresh->log;
  config_.admin.commit_stalled_after = fresh->admin.commit_stalled_after;
  configure_log(config_);
  admin_->set_limits(status_limits());
  if (auto reloaded = server_->reload_tls(); !reloaded)
    platform::log::error("admin.tls: {}; the old one stays", reloaded.error());
  for (const auto& [number, partition] : partitions_) {
    if (reconnect) partition->reconnect(broker_settings(config_, partition->number().value()));
  }
  platform::log::info("configuration and certificates read again");
}

void Process::stop() {
  if (std::exchange(stopping_, true)) return;
  platform::log::info("stopping");
  platform::notify_supervisor("STOPPING=1");
  for (const auto& [number, partition] : partitions_) {
    partition->group().stop();
    partition->pump();
  }
  stop_timer_.expires_after(finish_time);
  stop_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) close_down();
  });
  stop_when_idle();
}

void Process::stop_when_idle() {
  if (!stopping_) return;
  for (const auto& [number, partition] : partitions_) {
    if (!partition->group().idle()) return;
  }
  close_down();
}

void Process::close_down() {
  if (std::exchange(closing_, true)) return;
  beat_timer_.cancel();
  // A disk that hangs keeps nobody here: main() bounds what follows.
  stop_timer_.expires_after(close_time);
  stop_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) io_.stop();
  });
  if (feed_) feed_->stop();
  server_->stop();
  for (const auto& [number, partition] : partitions_) partition->disconnect();
  stream_->close([this] { io_.stop(); });
}

}  // namespace app
