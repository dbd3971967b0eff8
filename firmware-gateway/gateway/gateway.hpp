// Gateway: ingest, journal, sender and uplink joined into one machine. No I/O: what happened comes in by on_…() and
// submit(), what to do goes out by poll(). Production's shell and the simulator run the same code.
//
//   submit ─▶ CardGuard ─▶ Ingest ─▶ JournalRequest ═▶ journal ═▶ on_journal ─▶ Ingest ─▶ Reply
//                                                                        └────▶ Sender ─▶ Publish ═▶ link
//   link ═▶ on_link ─▶ Uplink (connection), Sender (acks) ─▶ JournalRequest (acked, trim)
//
// Invariants:
//   (1) Intake never waits for the uplink: no answer depends on anything but the journal.
//   (2) Every submitted ticket gets exactly one Reply.
//   (3) Every JournalRequest, but for the remembered marks, gets exactly one on_journal, in order; what the journal
//   answered before on_journal_opened belongs to
//       the opening before.
//   (4) At most one request an asker is on its way, but for the operators' and the history's: at most requests_max of
//   those. (5) Nothing is trimmed but by the journal's own rule, which knows only marks that the sender has given out
//   as acked.
//
// Bounded: the waiting line (Ingest), the window (Sender), outbox_max publishes that wait for the broker (more are
// dropped: the handoff repeats them), requests_max lookups.
//
// Not thread-safe. The shell: feed inputs, then `while (auto output = gateway.poll(now))`, then sleep until
// wakeup_at().
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "firmware-gateway/gateway/journal_port.hpp"
#include "firmware-gateway/gateway/notice_line.hpp"
#include "firmware-gateway/gateway/pending_ledger.hpp"
#include "firmware-gateway/gateway/row_numbers.hpp"
#include "firmware-gateway/ingest/ingest.hpp"
#include "firmware-gateway/redact/card_guard.hpp"
#include "firmware-gateway/status/facts.hpp"
#include "firmware-gateway/terminal/dialogue.hpp"
#include "firmware-gateway/uplink/uplink.hpp"
#include "proto/handoff/sender.hpp"

namespace gateway {

using ingest::Ticket;

struct Settings {
  std::string gateway_id;
  std::string version;
  handoff::SenderSettings sender;
  uplink::Settings uplink;
  ingest::IngestSettings ingest;
  // The journal's own; here it only says how often to look for rows that have outlived it.
  std::chrono::milliseconds retention = std::chrono::hours(35 * 24);
  redact::AcceptCardNumbers accept_card_numbers = redact::AcceptCardNumbers::loopback;
  redact::TokenKeys token_keys;
};

// What SIGHUP may change while the machine runs.
struct Reconfiguration {
  ingest::Terminals terminals;
  std::chrono::milliseconds reference_reuse;
  redact::AcceptCardNumbers accept_card_numbers;
  redact::TokenKeys token_keys;
};

// Where an event that this gateway knows has come to.
struct EventHistory {
  std::string event_id;
  std::string type;
  std::string epoch;
  std::uint64_t seq = 0;
  base::UtcTime recorded_at;
  std::optional<base::UtcTime> sent_at;
  std::optional<base::UtcTime> committed_at;
};

struct Reply {
  Ticket ticket;
  terminal::Answer answer;
};
struct Publish {
  uplink::Attempt attempt = 0;
  std::string topic;
  base::Bytes payload;
};
struct HistoryFound {
  Ticket ticket;
  base::Result<std::vector<EventHistory>, journal::Error> events;
};
struct RowsVerified {
  Ticket ticket;
  base::Result<journal::VerifyStep, journal::Error> step;
};
struct RowsExported {
  Ticket ticket;
  base::Result<std::vector<journal::StoredRow>, journal::Error> rows;
};
enum class Severity : std::uint8_t { error, warning, note };
// A line for the log, without payload.
struct LogLine {
  Severity severity = Severity::note;
  std::string text;
};
using Output = std::variant<Reply, JournalRequest, uplink::Connect, uplink::Disconnect, Publish, HistoryFound,
                            RowsVerified, RowsExported, LogLine>;

// When a message went through a tap; a Reply says when its notice is on disk.
struct SeenByTap {
  base::UtcTime at;
  Ticket ticket;
};

class Gateway {
 public:
  static constexpr std::size_t outbox_max = 32;
  static constexpr std::size_t rejected_remembered_max = 64;
  static constexpr std::chrono::minutes rejected_again_after{10};
  static constexpr std::size_t requests_max = 64;

  // All references must outlive it.
  Gateway(const Settings& settings, const ingest::TimeZones& zones, const base::Hasher& hasher, base::Random& random);

  // The uplink begins to connect; the journal may come later.
  void start(base::Now now);
  // No new events; what waits is still stored and answered. settled(): it is.
  void stop(base::Now now);
  [[nodiscard]] bool settled() const;

  void on_journal_opened(const handoff::JournalState& state, const ingest::HashKey& hash_key, journal::Tallies tallies,
                         base::Now now);
  // It has failed and is being opened anew; `detail` for people.
  void on_journal_failed(journal::Error error, const std::string& detail, base::Now now);
  // It is damaged, and what can be read is being saved: opened or reopen_failed follows.
  void on_journal_salvage(const std::string& damage);
  void on_journal_reopen_failed(const std::string& detail);
  void on_journal(JournalReply reply, base::Now now);
  void on_link(uplink::LinkEvent event, base::Now now);
  // What the shell measures now and then.
  void on_clock(bool synced) { clock_synced_ = synced; }
  void on_certificate(std::optional<int> days_left) { certificate_days_left_ = days_left; }
  void reconfigure(const Reconfiguration& changed);
  // New certificates, another broker: connect anew.
  void renew_connection(base::Now now) { uplink_.renew(now); }

  // A message that has happened and could not be read: a notice says so, once for each shape in rejected_again_after.
  void reject_message(const terminal::Shape& shape, base::Now now, std::optional<SeenByTap> tap = std::nullopt);
  // A notice for which somebody waits: a Reply says when it is on disk.
  void tell(const std::string& name, const ingest::NoticeDetails& details, Ticket ticket, base::Now now);
  void submit(redact::Draft draft, redact::Channel channel, Ticket ticket, base::Now now);
  // Where the event with this reference has come to. Answered with HistoryFound; Error::full: too many are asked for at
  // once.
  void find_event(std::string terminal_id, std::string terminal_ref, Ticket ticket);
  void verify_rows(Row from, Ticket ticket);
  void export_rows(Row from, std::size_t max_rows, std::size_t max_bytes, Ticket ticket);

  [[nodiscard]] std::optional<Output> poll(base::Now now);
  [[nodiscard]] std::optional<base::Instant> wakeup_at() const;

  [[nodiscard]] status::Facts facts(base::Now now) const;
  // In the order of their sequence numbers in the epochs: the place of a row, for export.
  [[nodiscard]] std::optional<ingest::Numbering::Place> place_of(Row row) const { return numbers_.place_of(row); }
  [[nodiscard]] const handoff::Sender& sender() const { return sender_; }

 private:
  struct Lookup {
    Ticket ticket;
    std::string terminal_id;
    std::string terminal_ref;
  };
  // A step of verify or export.
  struct Operation {
    Token token;
    Ticket ticket;
    bool exports = false;
  };

  void ask(Asker asker, decltype(JournalRequest::what) what, Token token = {});
  void log(Severity severity, std::string text);
  [[nodiscard]] ingest::Moment moment(base::Now now) const { return {.utc = now.utc, .clock_synced = clock_synced_}; }
  void make_guard();
  void notice(const std::string& name, const ingest::NoticeDetails& details, base::Now now,
              std::optional<Ticket> ticket = std::nullopt, std::optional<journal::Tally> tally = std::nullopt);

  // What comes from the journal: gateway_journal.cpp.
  void on_rows_appended(Asker asker, RowsAppended& appended, base::Now now);
  void on_rows_read(Asker asker, Token token, RowsRead& read, base::Now now);
  void on_rows_found(Asker asker, Token token, RowsFound& found);
  void on_trimmed(const journal::TrimOutcome& outcome, base::Now now);
  void on_usage(const journal::Usage& usage);
  [[nodiscard]] Operation take_operation(Token token);
  void on_journal_error(Asker asker, Token token, journal::Error error, base::Now now);
  void answer_lookup(Token token, base::Result<RowsFound, journal::Error> found);
  void on_window_shrank(std::chrono::seconds to, base::Now now);
  void keep_house(base::Now now);
  [[nodiscard]] base::Instant::duration trim_interval() const;
  void scan_pending(base::Now now);
  [[nodiscard]] bool epoch_is_due() const;
  void store_next_epoch(base::Now now);

  // Towards the bridge: gateway_uplink.cpp.
  void on_received(const uplink::Received& message, base::Now now);
  void went_online(const uplink::WentOnline& online, base::Now now);
  void went_offline(const uplink::WentOffline& offline, base::Now now);
  void obey(handoff::Send send, base::Now now);
  void obey(const handoff::Read& read, base::Now now);
  void obey(const handoff::StoreEpoch& store, base::Now now);
  void obey(const handoff::Acked& acked, base::Now now);
  void obey(const handoff::Reconnect& reconnect, base::Now now);
  void obey(const handoff::AppendNotice& appended, base::Now now);
  void obey(const handoff::Alarm& alarm, base::Now now);
  void on_sent(Row through, base::Now now);
  void on_too_large(const uplink::TooLarge& refused, base::Now now);
  void tell_facts(base::Now now);
  [[nodiscard]] std::optional<base::UtcTime> complete_until(base::Now now) const;
  [[nodiscard]] std::optional<std::chrono::seconds> oldest_pending(base::Now now) const;

  void pump(base::Now now);
  [[nodiscard]] bool pump_ingest(base::Now now);
  [[nodiscard]] bool pump_sender(base::Now now);
  [[nodiscard]] bool pump_outbox();
  [[nodiscard]] bool pump_uplink(base::Now now);
  [[nodiscard]] bool pump_notices();

  Settings settings_;
  const base::Hasher& hasher_;
  base::Random& random_;
  std::string up_topic_;
  std::string down_topic_;
  std::string owner_topic_;

  RowNumbers numbers_;
  ingest::Ingest ingest_;
  std::optional<redact::CardGuard> guard_;
  redact::CardGuard::Counts masked_before_{};
  handoff::Sender sender_;
  uplink::Uplink uplink_;
  PendingLedger ledger_;
  NoticeLine notices_;
  // What was rejected lately: a terminal repeats it until somebody mends it.
  struct Rejected {
    terminal::Shape shape;
    base::Instant at;
    std::optional<Ticket> ticket;
  };
  std::deque<Rejected> rejected_;
  std::deque<Publish> outbox_;
  // Of the broker; 0: it named none.
  std::uint32_t packet_bytes_max_ = 0;
  // The first event that is not acknowledged was sent alone, as a message of so many bytes.
  std::optional<std::size_t> lone_bytes_;
  // It is larger than the broker takes, and everything waits behind it.
  std::string blocked_;

  // The journal, as far as replies have told.
  bool journal_open_ = false;
  bool journal_broken_ = false;
  bool journal_salvaging_ = false;
  std::string journal_failure_;
  ingest::HashKey hash_key_{};
  Row next_row_{1};
  journal::Usage usage_;
  bool scanning_ = false;
  base::Instant scan_at_{};
  // Epochs that the sender wants stored, in order; the first one is on its way, or waits for room on the disk.
  std::deque<StoreEpoch> epochs_;
  bool storing_epoch_ = false;
  base::Instant store_epoch_at_{};
  bool trimming_ = false;
  bool measuring_ = false;
  bool marks_changed_ = false;
  base::Instant trim_at_{};
  base::Instant flush_at_{};
  base::Instant measure_at_{};
  std::optional<std::chrono::seconds> window_;
  base::Instant window_told_at_{};

  // Submitted and not answered: when each was received.
  std::map<Ticket, base::Now> in_intake_;
  // How long the steps of an event's way take.
  status::Histogram answer_times_;
  status::Histogram append_times_;
  status::Histogram ack_times_;
  base::Instant append_asked_at_{};
  // Batches that were sent for the first time on this connection, and whose last row is not acknowledged.
  std::deque<std::pair<Row, base::Instant>> unacked_;
  std::deque<std::pair<Token, Lookup>> lookups_;
  std::deque<Operation> operations_;
  Token next_token_{1};

  bool clock_synced_ = false;
  std::optional<int> certificate_days_left_;
  bool stopping_ = false;
  base::UtcTime started_at_{};
  // Since when there has been a backlog whose oldest row is `backlog_row_`, by this process' own clock.
  std::optional<base::Instant> backlog_since_;
  Row backlog_row_;

  std::uint64_t down_unreadable_ = 0;
  std::uint64_t outbox_dropped_ = 0;
  std::uint64_t journal_failures_ = 0;
  std::uint64_t rows_trimmed_ = 0;
  std::deque<Output> out_;
};

}  // namespace gateway
