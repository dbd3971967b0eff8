// Shell: the running gateway. Owns the event loop, the doors, the journal's thread and the link's thread, and carries
// values between them and the machine. Wiring only: what is decided, the machine decides.
//
//   loop thread     asio: terminals, admin port, signals, timer; the machine (ingest, sender, uplink)
//   journal thread  every call of the journal; posts its answers to the loop
//   link thread     libmosquitto; posts a wake-up to the loop
//
// The machine is stepped once for whatever inputs one turn of the loop has brought, so that they share a commit;
// nothing waits for more to come.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <unordered_map>

#include "firmware-gateway/adapters/mosquitto/mosquitto_link.hpp"
#include "firmware-gateway/adapters/net/admin_routes.hpp"
#include "firmware-gateway/adapters/net/intake.hpp"
#include "firmware-gateway/adapters/net/line_server.hpp"
#include "firmware-gateway/adapters/net/tap_server.hpp"
#include "firmware-gateway/adapters/sqlite/journal_thread.hpp"
#include "firmware-gateway/adapters/zoneinfo/zone_database.hpp"
#include "firmware-gateway/app/journal_desk.hpp"
#include "firmware-gateway/config/config.hpp"
#include "firmware-gateway/gateway/gateway.hpp"
#include "firmware-gateway/terminal/iso8583/host/dialogue.hpp"

namespace app {

class Shell final : public net::Intake, public net::Desk, public net::Losses {
 public:
  Shell(std::string config_path, const config::Config& config);
  Shell(const Shell&) = delete;
  Shell& operator=(const Shell&) = delete;
  ~Shell() override;

  // Until SIGTERM. Empty: ended as it should; otherwise why it could not start.
  [[nodiscard]] std::string run();
  // A thread hangs in the system's resolver: the process must not wait for it.
  [[nodiscard]] bool must_not_linger() const { return lookup_hangs_; }

  void submit(redact::Draft draft, redact::Channel channel, Answered answered) override;
  void on_refused(redact::Reason reason) override { ++refusals_.at(static_cast<std::size_t>(reason)); }
  void on_unreadable(const terminal::Shape& shape) override;
  void on_ignored() override { ++ignored_; }
  [[nodiscard]] std::string currency_of(std::string_view terminal_id) const override;
  void tell_lost(const tap::Loss& loss, Answered answered) override;
  void tell_unread(const tap::Unread& unread, Answered answered) override;
  [[nodiscard]] status::Facts facts() const override;
  [[nodiscard]] std::chrono::milliseconds unhealthy_after() const override { return config_.admin.unhealthy_after; }
  void find_event(std::string terminal_id, std::string terminal_ref, Found found) override;
  void verify_rows(handoff::Row from, Verified verified) override;
  void read_rows(handoff::Row from, std::size_t max_rows, std::size_t max_bytes, Exported exported) override;
  [[nodiscard]] RowPlace place_of(handoff::Row row) const override;

 private:
  [[nodiscard]] std::string open_journal();
  [[nodiscard]] std::string open_doors();
  [[nodiscard]] std::string open_iso8583(const config::Iso8583Door& door);
  void reload_certificates();
  void open_link();
  void wait_for_signals();
  void reload();
  void begin_stop(int signal);
  void finish_stop();
  void tick();
  void read_certificate();

  // Steps the machine soon, once.
  void wake();
  void pump();
  void take_link_events();
  void set_timer();
  void execute(gateway::Output& output);
  static void log(const gateway::LogLine& line);
  void add_iso8583_samples(std::vector<status::Sample>& samples) const;
  void add_tap_samples(std::vector<status::Sample>& samples) const;
  void add_door_samples(std::vector<status::Sample>& samples) const;
  static void report_salvage(const sqlite::Salvaged& salvaged);

  std::string config_path_;
  config::Config config_;
  boost::asio::io_context io_{1};
  boost::asio::signal_set signals_{io_};
  boost::asio::steady_timer timer_{io_};
  boost::asio::steady_timer ticker_{io_};
  boost::asio::steady_timer stop_timer_{io_};

  zoneinfo::ZoneDatabase zones_;
  std::unique_ptr<base::Random> random_;
  // The journal thread's own.
  std::unique_ptr<base::Random> journal_random_;
  gateway::Gateway gateway_;
  JournalDesk journal_desk_;
  std::unique_ptr<sqlite::JournalThread> journal_;
  std::atomic<bool> link_news_{false};
  std::unique_ptr<mqtt::MosquittoLink> link_;
  platform::AdminAccess access_;
  std::unique_ptr<platform::HttpServer> http_;
  std::unique_ptr<platform::HttpServer> admin_;
  std::unique_ptr<net::LineServer> framed_;
  struct Iso8583 {
    std::string name;
    std::unique_ptr<net::LineServer> server;
    std::shared_ptr<iso8583::HostCounts> counts;
  };
  std::vector<Iso8583> iso8583_;
  std::unique_ptr<net::TapServer> tap_;

  std::array<std::uint64_t, redact::reason_count> refusals_{};
  std::uint64_t ignored_ = 0;
  gateway::Ticket next_ticket_{1};
  std::unordered_map<gateway::Ticket, Answered> answers_;
  std::unordered_map<gateway::Ticket, Found> lookups_;
  std::unordered_map<gateway::Ticket, Verified> verifications_;
  std::unordered_map<gateway::Ticket, Exported> exports_;
  bool pump_due_ = false;
  bool stopping_ = false;
  bool lookup_hangs_ = false;
  std::optional<std::chrono::steady_clock::time_point> stop_by_;
  unsigned ticks_ = 0;
};

}  // namespace app
