#include "firmware-gateway/app/shell.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <csignal>
#include <utility>

#include "firmware-gateway/adapters/memory/wiping.hpp"
#include "firmware-gateway/adapters/net/terminal_routes.hpp"
#include "firmware-gateway/app/program.hpp"
#include "firmware-gateway/app/salvage_notices.hpp"
#include "firmware-gateway/terminal/framed.hpp"
#include "firmware-gateway/terminal/iso8583/host/dialogue.hpp"
#include "proto/base/timestamp.hpp"
#include "proto/handoff/topics.hpp"
#include "proto/platform/certificates.hpp"
#include "proto/platform/log.hpp"
#include "proto/platform/system.hpp"

namespace app {

namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
namespace log = platform::log;

constexpr auto tick_interval = 1s;
constexpr unsigned ticks_a_certificate_check = 60;
// The running transactions' answers go out within this; then the process ends, whatever else is open.
constexpr auto stop_patience = 3s;
constexpr unsigned stop_at_last_seconds = 5;
constexpr auto stop_poll = 10ms;

gateway::Settings machine_settings(const config::Config& config) {
  gateway::Settings settings;
  settings.gateway_id = config.gateway_id;
  settings.version = version;
  settings.sender.gateway_id = config.gateway_id;
  settings.sender.program = fmt::format("tillstream-gateway {}", version);
  settings.sender.window_events = config.uplink.window_events;
  settings.sender.window_bytes = config.uplink.window_bytes;
  settings.sender.batch_events = config.uplink.batch_events;
  settings.sender.ack_timeout = config.uplink.ack_timeout;
  settings.retention = config.journal.retention;
  settings.ingest.terminals = config.terminals;
  settings.ingest.reference_reuse = config.reference_reuse;
  settings.accept_card_numbers = config.card.accept;
  settings.token_keys = config.card.token_keys;
  return settings;
}

mqtt::BrokerSettings broker_settings(const config::Config& config) {
  const std::string shard = handoff::shard_of(platform::hasher(), config.gateway_id);
  return {.host = config.uplink.host,
          .port = config.uplink.port,
          .tls = config.uplink.tls,
          .ca = config.uplink.ca,
          .certificate = config.uplink.certificate,
          .key = config.uplink.key,
          .username = config.uplink.username,
          .password_file = config.uplink.password_file,
          .client_id = config.gateway_id,
          .subscriptions = {handoff::down_topic(shard, config.gateway_id), handoff::owner_topic(shard)}};
}

std::optional<platform::TlsFiles> tls_files(const config::Listen& listen) {
  if (!listen.tls) return std::nullopt;
  return platform::TlsFiles{
      .certificate = listen.tls->certificate, .key = listen.tls->key, .client_ca = listen.tls->client_ca};
}

// Everything that a terminal was told is on disk already, so ending here loses nothing.
void end_at_last(int /*signal*/) {
  constexpr std::string_view line = "tillstream-gateway: the disk or a connection hangs: ending anyway\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
  ::_exit(exit_done);
}

template <class Map>
auto take(Map& map, gateway::Ticket ticket) {
  auto node = map.extract(ticket);
  return std::move(node.mapped());
}

}  // namespace

Shell::Shell(std::string config_path, const config::Config& config)
    : config_path_(std::move(config_path)),
      config_(config),
      random_(platform::make_random()),
      journal_random_(platform::make_random()),
      gateway_(machine_settings(config), zones_, platform::hasher(), *random_),
      journal_desk_([this](gateway::JournalReply reply) {
        gateway_.on_journal(std::move(reply), platform::now());
        wake();
      }),
      access_(config.admin.token) {}

Shell::~Shell() {
  // The doors first: they refer to everything else.
  http_.reset();
  framed_.reset();
  iso8583_.clear();
  tap_.reset();
  admin_.reset();
  if (link_) lookup_hangs_ = link_->lookup_hangs();
  link_.reset();
  if (journal_) journal_->stop();
}

std::string Shell::run() {
  if (auto error = open_journal(); !error.empty()) return error;
  if (auto error = open_doors(); !error.empty()) return error;
  open_link();
  wait_for_signals();
  gateway_.start(platform::now());
  tick();
  wake();
  platform::notify_supervisor("READY=1");
  log::info("gateway {} {} is ready", config_.gateway_id, version);
  memory::run_wiping(io_);
  return {};
}

std::string Shell::open_journal() {
  const sqlite::JournalSettings settings{
      .gateway_id = config_.gateway_id,
      .limits = {.quota_bytes = config_.journal.quota, .reserve_bytes = config_.journal.reserve},
      .retention = config_.journal.retention,
      .vfs = {}};
  const auto log_salvage = [](const std::string& damage) {
    log::error("journal: damaged ({}); saving what can be read", damage);
  };
  sqlite::JournalNeeds needs = journal_needs(platform::hasher(), *journal_random_);
  needs.on_salvage = log_salvage;  // at start, before the doors open
  auto opened = sqlite::JournalThread::start(
      config_.state_dir, settings, needs,
      {.post = [this](std::function<void()> work) { asio::post(io_, std::move(work)); },
       .on_failed =
           [this](journal::Error error, const std::string& detail) {
             gateway_.on_journal_failed(error, detail, platform::now());
             wake();
           },
       .on_salvage =
           [this, log_salvage](const std::string& damage) {
             log_salvage(damage);
             gateway_.on_journal_salvage(damage);
             wake();
           },
       .on_reopen_failed =
           [this](const sqlite::OpenError& error) {
             gateway_.on_journal_reopen_failed(error.detail);
             wake();
           },
       .on_reopened =
           [this](const handoff::JournalState& state, const std::optional<sqlite::Salvaged>& salvaged) {
             if (salvaged) report_salvage(*salvaged);
             log::info("journal: open");
             gateway_.on_journal_opened(state, journal_->hash_key(), journal_->opened_tallies(), platform::now());
             wake();
           }});
  if (!opened) return fmt::format("journal in {}: {}", config_.state_dir, opened.error().detail);
  journal_ = std::move(*opened);
  journal_desk_.attach(*journal_);
  if (journal_->salvaged()) report_salvage(*journal_->salvaged());
  // Else the thread goes on trying, and the doors open all the same: terminals get an answer, operators a reason.
  if (journal_->opened())
    gateway_.on_journal_opened(*journal_->opened(), journal_->hash_key(), journal_->opened_tallies(), platform::now());
  return {};
}

void Shell::report_salvage(const sqlite::Salvaged& salvaged) {
  log::error("journal: damaged ({}); set aside as {}, {} events kept, {} holes reported in the stream", salvaged.reason,
             salvaged.set_aside, salvaged.rows_kept, salvaged.holes);
  if (salvaged.forgotten > 0)
    log::error("journal: repeats of {} stored events are not recognised any more; the stream is told",
               salvaged.forgotten);
}

std::string Shell::open_doors() {
  auto http = platform::start_http_server(io_,
                                          {.listen = config_.http.address,
                                           .tls = tls_files(config_.http),
                                           .max_connections = config_.max_connections,
                                           .max_body_bytes = &net::terminal_body_bytes_max},
                                          net::terminal_routes(*this));
  if (!http) return http.error();
  http_ = std::move(*http);
  auto framed = net::LineServer::start(
      io_,
      {.listen = config_.framed.address, .tls = tls_files(config_.framed), .max_connections = config_.max_connections},
      [] { return std::make_unique<terminal::FramedDialogue>(); }, *this);
  if (!framed) return framed.error();
  framed_ = std::move(*framed);
  for (const auto& door : config_.iso8583)
    if (auto problem = open_iso8583(door); !problem.empty()) return problem;
  if (!config_.tap_socket.empty()) {
    auto tap = net::TapServer::start(io_, config_.tap_socket, *this, *this);
    if (!tap) return tap.error();
    tap_ = std::move(*tap);
    log::info("tap: copies are taken on {}", config_.tap_socket);
  }
  auto admin =
      platform::start_http_server(io_, {.listen = config_.admin.listen.address, .tls = tls_files(config_.admin.listen)},
                                  net::admin_routes(*this, access_));
  if (!admin) return admin.error();
  admin_ = std::move(*admin);
  log::info("terminals: HTTP on {}, framed on {}; admin on {}", http_->address(), framed_->address(),
            admin_->address());
  return {};
}

std::string Shell::open_iso8583(const config::Iso8583Door& door) {
  auto counts = std::make_shared<iso8583::HostCounts>();
  auto server = net::LineServer::start(
      io_, {.listen = door.listen.address, .tls = tls_files(door.listen), .max_connections = config_.max_connections},
      [dialect = door.dialect, counts] { return std::make_unique<iso8583::HostDialogue>(dialect, counts); }, *this);
  if (!server) return server.error();
  log::info("terminals: ISO 8583 ({}) on {}, answered as their host", door.dialect_name, (*server)->address());
  iso8583_.push_back({.name = "iso8583:" + door.name, .server = std::move(*server), .counts = std::move(counts)});
  return {};
}

void Shell::on_unreadable(const terminal::Shape& shape) {
  gateway_.reject_message(shape, platform::now());
  wake();
}

void Shell::tell_lost(const tap::Loss& loss, Answered answered) {
  const gateway::Ticket ticket = next_ticket_;
  ++next_ticket_;
  answers_.emplace(ticket, std::move(answered));
  gateway_.tell("tap_copies_lost",
                {{"count", std::to_string(loss.count)},
                 {"first_at", base::to_rfc3339({.utc = loss.first_at, .offset = {}})},
                 {"last_at", base::to_rfc3339({.utc = loss.last_at, .offset = {}})}},
                ticket, platform::now());
  wake();
}

void Shell::tell_unread(const tap::Unread& unread, Answered answered) {
  const gateway::Ticket ticket = next_ticket_;
  ++next_ticket_;
  answers_.emplace(ticket, std::move(answered));
  gateway_.reject_message(unread.shape, platform::now(), gateway::SeenByTap{.at = unread.at, .ticket = ticket});
  wake();
}

void Shell::open_link() {
  link_ = std::make_unique<mqtt::MosquittoLink>(broker_settings(config_), [this] {
    // Many events, one wake-up.
    if (!link_news_.exchange(true)) asio::post(io_, [this] { take_link_events(); });
  });
}

void Shell::take_link_events() {
  link_news_ = false;
  if (!link_) return;
  const base::Now now = platform::now();
  for (auto& event : link_->take_events()) gateway_.on_link(std::move(event), now);
  pump();
}

void Shell::wait_for_signals() {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) signals_.add(signal);
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    if (signal == SIGHUP) {
      reload();
    } else {
      begin_stop(signal);
    }
    if (!stopping_) wait_for_signals();
  });
}

void Shell::reload() {
  auto reading = config::load(config_path_, config_needs());
  for (const auto& error : reading.errors) log::error("{}", error.text());
  if (!reading.config) return log::error("the new configuration is refused; the old one stays");
  const auto restart = config::needs_restart(config_, *reading.config);
  for (const auto key : restart) log::error("{}: {} changed, which needs a restart", config_path_, key);
  if (!restart.empty()) return log::error("the new configuration is refused; the old one stays");
  for (const auto& warning : reading.warnings) log::warn("{}", warning);
  config_ = std::move(*reading.config);
  log::configure(config_.log.level, config_.log.format);
  access_ = platform::AdminAccess(config_.admin.token);
  gateway_.reconfigure({.terminals = config_.terminals,
                        .reference_reuse = config_.reference_reuse,
                        .accept_card_numbers = config_.card.accept,
                        .token_keys = config_.card.token_keys});
  reload_certificates();
  link_->replace_settings(broker_settings(config_));
  gateway_.renew_connection(platform::now());
  read_certificate();
  log::info("configuration and certificates read again");
  wake();
}

void Shell::reload_certificates() {
  std::vector results{http_->reload_tls(), framed_->reload_tls(), admin_->reload_tls()};
  for (const auto& door : iso8583_) results.push_back(door.server->reload_tls());
  for (const auto& result : results)
    if (!result) log::error("{}; the old certificate stays", result.error());
}

void Shell::begin_stop(int signal) {
  log::info("{}: stopping", signal == SIGTERM ? "SIGTERM" : "SIGINT");
  platform::notify_supervisor("STOPPING=1");
  stopping_ = true;
  ::signal(SIGALRM, &end_at_last);
  ::alarm(stop_at_last_seconds);
  stop_by_ = std::chrono::steady_clock::now() + stop_patience;
  http_->stop();
  framed_->stop();
  for (const auto& door : iso8583_) door.server->stop();
  if (tap_) tap_->stop();
  gateway_.stop(platform::now());
  pump();
  finish_stop();
}

// Until every answer has left, or patience ends.
void Shell::finish_stop() {
  const bool answered = answers_.empty() && gateway_.settled() && http_->connections() == 0 &&
                        framed_->connections() == 0 &&
                        std::ranges::all_of(iso8583_, [](const auto& door) { return door.server->connections() == 0; });
  if (answered || std::chrono::steady_clock::now() >= *stop_by_) {
    admin_->stop();
    io_.stop();
    return;
  }
  stop_timer_.expires_after(stop_poll);
  stop_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) finish_stop();
  });
}

void Shell::tick() {
  gateway_.on_clock(platform::clock_synced());
  if (ticks_++ % ticks_a_certificate_check == 0) read_certificate();
  platform::notify_supervisor("WATCHDOG=1");
  ticker_.expires_after(tick_interval);
  ticker_.async_wait([this](const boost::system::error_code& error) {
    if (!error) tick();
  });
}

void Shell::read_certificate() {
  const std::string& certificate = config_.uplink.certificate;
  gateway_.on_certificate(certificate.empty() ? std::nullopt : platform::days_left(certificate));
}

void Shell::wake() {
  if (std::exchange(pump_due_, true)) return;
  asio::post(io_, [this] { pump(); });
}

void Shell::pump() {
  pump_due_ = false;
  while (auto output = gateway_.poll(platform::now())) execute(*output);
  set_timer();
}

void Shell::set_timer() {
  const auto wakeup = gateway_.wakeup_at();
  if (!wakeup) {
    timer_.cancel();
    return;
  }
  const base::Instant now = platform::now().instant;
  timer_.expires_after(*wakeup <= now ? base::Instant::duration(0) : *wakeup - now);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) pump();
  });
}

void Shell::execute(gateway::Output& output) {
  if (auto* reply = std::get_if<gateway::Reply>(&output)) {
    if (const auto* refusal = std::get_if<terminal::Refusal>(&reply->answer)) on_refused(refusal->reason);
    take(answers_, reply->ticket)(std::move(reply->answer));
  } else if (auto* request = std::get_if<gateway::JournalRequest>(&output)) {
    journal_desk_.ask(std::move(*request));
  } else if (const auto* connect = std::get_if<uplink::Connect>(&output)) {
    link_->connect(connect->attempt);
  } else if (const auto* disconnect = std::get_if<uplink::Disconnect>(&output)) {
    link_->disconnect(disconnect->attempt);
  } else if (auto* publish = std::get_if<gateway::Publish>(&output)) {
    link_->publish(publish->attempt, publish->topic, std::move(publish->payload));
  } else if (auto* found = std::get_if<gateway::HistoryFound>(&output)) {
    take(lookups_, found->ticket)(std::move(found->events));
  } else if (auto* verified = std::get_if<gateway::RowsVerified>(&output)) {
    take(verifications_, verified->ticket)(std::move(verified->step));
  } else if (auto* exported = std::get_if<gateway::RowsExported>(&output)) {
    take(exports_, exported->ticket)(std::move(exported->rows));
  } else if (const auto* line = std::get_if<gateway::LogLine>(&output)) {
    log(*line);
  }
}

void Shell::log(const gateway::LogLine& line) {
  const auto level = line.severity == gateway::Severity::error     ? log::Level::error
                     : line.severity == gateway::Severity::warning ? log::Level::warn
                                                                   : log::Level::info;
  log::write(level, line.text);
}

void Shell::submit(redact::Draft draft, redact::Channel channel, Answered answered) {
  const gateway::Ticket ticket = next_ticket_;
  ++next_ticket_;
  answers_.emplace(ticket, std::move(answered));
  gateway_.submit(std::move(draft), channel, ticket, platform::now());
  wake();
}

std::string Shell::currency_of(std::string_view terminal_id) const {
  const auto* const profile = config_.terminals.find(terminal_id);
  return profile == nullptr ? std::string() : profile->currency;
}

void Shell::find_event(std::string terminal_id, std::string terminal_ref, Found found) {
  const gateway::Ticket ticket = next_ticket_;
  ++next_ticket_;
  lookups_.emplace(ticket, std::move(found));
  gateway_.find_event(std::move(terminal_id), std::move(terminal_ref), ticket);
  wake();
}

void Shell::verify_rows(handoff::Row from, Verified verified) {
  const gateway::Ticket ticket = next_ticket_;
  ++next_ticket_;
  verifications_.emplace(ticket, std::move(verified));
  gateway_.verify_rows(from, ticket);
  wake();
}

void Shell::read_rows(handoff::Row from, std::size_t max_rows, std::size_t max_bytes, Exported exported) {
  const gateway::Ticket ticket = next_ticket_;
  ++next_ticket_;
  exports_.emplace(ticket, std::move(exported));
  gateway_.export_rows(from, max_rows, max_bytes, ticket);
  wake();
}

net::Desk::RowPlace Shell::place_of(handoff::Row row) const {
  const auto place = gateway_.place_of(row);
  return {.epoch = place ? base::to_hex(place->epoch.view()) : std::string(),
          .seq = place ? place->seq.value() : 0,
          .committed = row <= gateway_.sender().acked()};
}

status::Facts Shell::facts() const {
  status::Facts facts = gateway_.facts(platform::now());
  facts.listeners = {{.name = "http", .address = http_->address()},
                     {.name = "framed", .address = framed_->address()},
                     {.name = "admin", .address = admin_->address()}};
  for (const auto& door : iso8583_) facts.listeners.push_back({.name = door.name, .address = door.server->address()});
  add_door_samples(facts.samples);
  add_iso8583_samples(facts.samples);
  add_tap_samples(facts.samples);
  for (std::size_t i = 0; i < refusals_.size(); ++i) {
    facts.samples.push_back({.name = "refusals_total",
                             .help = "Events and requests that terminals were refused, by the code of the answer",
                             .counter = true,
                             .value = static_cast<double>(refusals_.at(i)),
                             .label = "code",
                             .label_value = word(static_cast<redact::Reason>(i))});
  }
  facts.samples.push_back({.name = "messages_ignored_total",
                           .help = "nexo messages that are not for a gateway, answered without an event",
                           .counter = true,
                           .value = static_cast<double>(ignored_)});
  if (link_) {
    facts.samples.push_back({.name = "down_messages_dropped_total",
                             .help = "Messages from the broker dropped because the loop took none",
                             .counter = true,
                             .value = static_cast<double>(link_->dropped())});
  }
  return facts;
}

void Shell::add_iso8583_samples(std::vector<status::Sample>& samples) const {
  using iso8583::HostCounts;
  const auto family = [&](std::string_view name, std::string_view help, std::uint64_t HostCounts::* value) {
    for (const auto& door : iso8583_)
      samples.push_back({.name = name,
                         .help = help,
                         .counter = true,
                         .value = static_cast<double>((*door.counts).*value),
                         .label = "door",
                         .label_value = door.name});
  };
  family("iso8583_messages_total", "Messages by ISO 8583", &HostCounts::messages);
  family("iso8583_said_at_once_total", "Messages answered without an event", &HostCounts::said_at_once);
  family("iso8583_rejected_total", "Messages answered as a format error", &HostCounts::rejected);
  family("iso8583_ignored_total", "Responses that nobody had asked for", &HostCounts::ignored);
  family("iso8583_hung_up_total", "Connections closed because nobody could be answered", &HostCounts::hung_up);
}

void Shell::add_tap_samples(std::vector<status::Sample>& samples) const {
  if (!tap_) return;
  const auto add = [&](std::string_view name, std::string_view help, bool counter, std::uint64_t value) {
    samples.push_back({.name = name, .help = help, .counter = counter, .value = static_cast<double>(value)});
  };
  const net::TapCounts& counts = tap_->counts();
  add("tap_connections", "Taps that are connected", false, counts.connections);
  add("tap_connections_total", "Connections of taps", true, counts.accepted);
  add("tap_connections_refused_total", "Connections refused: another user's, or too many", true, counts.refused);
  add("tap_connections_dropped_total", "Taps that could not be understood", true, counts.dropped);
  add("tap_copies_total", "Copies that taps have brought", true, counts.copies);
  add("tap_copies_lost_total", "Copies that taps had to drop, as they tell", true, counts.copies_lost);
  add("tap_unread_total", "Messages and connections that taps could not read, as they tell", true, counts.unread);
}

// What the doors count, a family after the other. The admin port is a door, too.
void Shell::add_door_samples(std::vector<status::Sample>& samples) const {
  struct Door {
    std::string_view name;
    std::size_t connections;
    std::uint64_t refused;
    std::uint64_t displaced;
    std::uint64_t bad;
    std::uint64_t handshakes;
    std::uint64_t pauses;
  };
  const auto http = [](std::string_view name, const platform::HttpServer& server) {
    return Door{.name = name,
                .connections = server.connections(),
                .refused = server.refused_connections(),
                .displaced = server.displaced_connections(),
                .bad = server.refused_requests(),
                .handshakes = server.failed_handshakes(),
                .pauses = server.accept_pauses()};
  };
  const auto line = [](std::string_view name, const net::LineServer& server) {
    return Door{.name = name,
                .connections = server.connections(),
                .refused = server.refused_connections(),
                .displaced = server.displaced_connections(),
                .bad = server.dropped_connections(),
                .handshakes = server.failed_handshakes(),
                .pauses = server.accept_pauses()};
  };
  std::vector doors{http("http", *http_), line("framed", *framed_), http("admin", *admin_)};
  for (const auto& door : iso8583_) doors.push_back(line(door.name, *door.server));
  const auto family = [&](std::string_view name, std::string_view help, bool counter, auto Door::* value) {
    for (const Door& door : doors) {
      samples.push_back({.name = name,
                         .help = help,
                         .counter = counter,
                         .value = static_cast<double>(door.*value),
                         .label = "door",
                         .label_value = door.name});
    }
  };
  samples.push_back({.name = "connections_max",
                     .help = "Connections that each of the terminals' doors serves at a time",
                     .counter = false,
                     .value = static_cast<double>(config_.max_connections)});
  family("connections", "Open connections", false, &Door::connections);
  family("connections_refused_total", "Newcomers turned away because there were too many connections", true,
         &Door::refused);
  family("connections_displaced_total", "Connections closed at a full door to make room for a newcomer", true,
         &Door::displaced);
  family("requests_refused_total", "Requests and frames that broke a limit or the protocol", true, &Door::bad);
  family("handshakes_failed_total", "TLS handshakes that failed", true, &Door::handshakes);
  family("accept_pauses_total", "Pauses in accepting, for want of file descriptors or memory", true, &Door::pauses);
}

}  // namespace app
