// ShardGroup: the bridge of one partition, a machine without I/O. Takes what gateways say, gathers it into
// transactions, and acks what is committed. It holds no state of its own: everything it knows came with on_owned, or
// will be committed.
//
//   unowned ──on_owned──▶ connecting ──on_online──▶ greeting (Owner to each shard) ──▶ working
//      ▲                      ▲  └──── back-off ◀── on_offline ───────────────────────────┤
//      └───────── on_lost ────┴────────────────────────────────────────────────────────────┘
//
//   working:  on_message ──▶ receiver ──Publish──▶ gathering ──Begin──▶ committing ──on_committed──▶ acks
//
// Invariants:
//   (1) No ack speaks of anything that is not committed. One transaction commits at a time; what arrives meanwhile
//   gathers. (2) Nothing is processed before on_owned, and after on_lost nothing tentative is left: no gathered events,
//   no acks, no
//       receivers. The next on_owned brings what counts.
//   (3) A lone event waits for no timer: Begin follows as soon as the stream may begin.
//   (4) Memory is bounded: events by the budget, gateways by gateways_max, acks by the gateways, poison by the budget
//   and a
//       bounded memory of digests. What does not fit is dropped and counted; nothing was acked, so it comes again.
//   (5) While the stream takes nothing (blocked), every credit is zero; when it takes again, the gateways are told at
//   once.
//
// The shell: while (auto output = group.poll(now)) std::visit(executor, *output); then sleep until wakeup_at() or an
// input. Not thread-safe. Hasher, random, budget and counters must outlive it; the last two are the whole bridge's.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cloud-bridge/bridge/backoff.hpp"
#include "cloud-bridge/bridge/budget.hpp"
#include "cloud-bridge/bridge/counters.hpp"
#include "cloud-bridge/bridge/gathering.hpp"
#include "cloud-bridge/bridge/outbox.hpp"
#include "cloud-bridge/bridge/row_schedule.hpp"
#include "cloud-bridge/bridge/seen.hpp"
#include "cloud-bridge/intake/message.hpp"
#include "cloud-bridge/progress/ledger.hpp"
#include "cloud-bridge/stream/stream.hpp"
#include "proto/base/random.hpp"

namespace bridge {

struct ShardGroupSettings {
  std::string bridge_id = {};
  std::string program = {};  // name and version, for people
  std::uint32_t partition = 0;
  std::uint32_t partitions = 1;  // P: the group owns the shards s with s mod P = partition
  TransactionLimits transaction = {};
  stream::SizeLimits sizes = {};    // the stream's own
  stream::ValueFormat format = {};  // likewise
  std::size_t rows_per_transaction_max = 1'000;
  std::size_t gateways_max = 200'000;
  std::size_t digests_max = 10'000;  // of poison that was seen
  // After on_lost the connection stays for so long: mostly the partition comes right back.
  std::chrono::milliseconds linger{10'000};
};

// Connect to the broker and subscribe to these filters; on_online or on_offline answers.
struct Connect {
  std::vector<std::string> filters;
};
struct Disconnect {};
// Publish this, QoS 0, not retained.
struct Send {
  std::string topic;
  base::Bytes payload;
};
// stream::Stream::begin(); on_committed or on_lost answers.
struct Begin {
  stream::TransactionId id;
  stream::Transaction transaction;
};
using Output = std::variant<Connect, Disconnect, Send, Begin>;

enum class Release : std::uint8_t {
  released,  // the notice and the new progress are on their way into the stream
  unknown,   // no such gateway here
  not_quarantined,
};

class ShardGroup {
 public:
  ShardGroup(const base::Hasher& hasher, base::Random& random, Budget& budget, Counters& counters,
             ShardGroupSettings settings);

  // From the stream. `may_begin` is stream::Stream::may_begin() at that moment.
  void on_owned(const std::vector<tillstream::v1::Progress>& progress, bool may_begin, base::Now now);
  void on_lost(std::string reason, base::Now now);
  void on_committed(stream::TransactionId id, bool may_begin, base::Now now);
  void on_ready(base::Now now);

  // From the connection to the broker.
  void on_online(base::Now now);
  void on_offline(std::string reason, base::Now now);
  void on_message(std::string_view topic, base::BytesView payload, base::Now now);

  // The operator says that only one box with this id is left.
  [[nodiscard]] Release release(const std::string& gateway_id, base::Now now);
  // Takes no more messages and begins nothing more; idle() says when what was under way is done.
  void stop();
  [[nodiscard]] bool idle() const { return !committing_ && outbox_.empty() && sends_.empty(); }
  // The connection's settings have changed: drop it and connect anew.
  void reconnect(base::Now now);

  [[nodiscard]] std::optional<Output> poll(base::Now now);
  [[nodiscard]] std::optional<base::Instant> wakeup_at() const;

  // For status and metrics.
  [[nodiscard]] const ShardGroupSettings& settings() const { return settings_; }
  [[nodiscard]] progress::Ledger& ledger() { return ledger_; }
  [[nodiscard]] bool owned() const { return owned_; }
  [[nodiscard]] bool online() const { return link_ == Link::online; }
  [[nodiscard]] const std::string& lost_reason() const { return lost_reason_; }
  [[nodiscard]] const std::string& offline_reason() const { return offline_reason_; }
  [[nodiscard]] std::optional<base::UtcTime> online_since() const { return online_since_; }
  [[nodiscard]] std::optional<base::Instant> offline_since() const { return offline_since_; }
  [[nodiscard]] std::vector<std::uint8_t> shards() const;
  [[nodiscard]] std::uint64_t gathered_events() const { return gathering_.events(); }
  [[nodiscard]] std::uint64_t committing_events() const;
  // Since when there is work and nothing has been committed.
  [[nodiscard]] std::optional<base::Instant> waiting_since() const { return waiting_since_; }
  [[nodiscard]] std::uint64_t active_gateways() const { return std::max(window_active_, window_active_before_); }
  [[nodiscard]] std::uint64_t credit() const;

 private:
  enum class Link : std::uint8_t { offline, connecting, online };
  struct Committing {
    stream::TransactionId id;
    std::uint64_t bytes = 0;
    std::uint64_t records = 0;
    std::vector<Gathered::Issue> issues;
    base::Instant begun_at;
  };
  // The message that is being looked at, for its dead letter.
  struct Message {
    std::string_view topic;
    base::BytesView payload;
  };

  void forget_tentative();
  void greet();
  void said(intake::Said said, const Message& message, base::Now now);
  void refused(const intake::Refused& refused, const Message& message, base::Now now);
  void count_kind(const tillstream::v1::Up& up);
  [[nodiscard]] bool admit(progress::Gateway& gateway, const tillstream::v1::Up& up, base::Now now);
  void drain(progress::Gateway& gateway, const Message* message, base::Now now);
  void publish(progress::Gateway& gateway, const handoff::Publish& publish, base::Now now);
  void publish_row(Bundle& bundle, const handoff::Publish& publish, const handoff::PublishedRow& row, base::Now now);
  void put_notices(Bundle& bundle, const handoff::Publish& publish, base::Now now);
  void refuse(progress::Gateway& gateway, handoff::RefusalReason reason, const Message* message, base::Now now);
  void dead_letter(Bundle& bundle, std::string_view gateway_id, std::string_view topic, std::string_view reason,
                   std::string_view epoch, base::BytesView payload, base::Now now);
  void poison(std::string_view gateway_id, const Message& message, std::string_view reason, base::Now now);
  void gather(Bundle bundle, base::Now now);
  void tell_credit(base::Now now);
  void note_active(progress::Gateway& gateway, base::Instant now);
  [[nodiscard]] bool blocked() const { return owned_ && !may_begin_ && !committing_; }
  [[nodiscard]] bool owns(std::string_view shard) const;
  [[nodiscard]] std::vector<std::string> filters() const;
  [[nodiscard]] std::optional<Output> poll_link(base::Instant now);
  [[nodiscard]] std::optional<Output> poll_begin(base::Now now);
  [[nodiscard]] std::optional<Output> poll_send();
  void add_rows(stream::Transaction& transaction, base::Now now);

  const base::Hasher& hasher_;
  base::Random& random_;
  Budget& budget_;
  ShardGroupSettings settings_;
  Counters& counters_;

  bool owned_ = false;
  bool may_begin_ = false;
  bool stopping_ = false;
  std::string lost_reason_;
  std::optional<base::Instant> lost_at_;
  progress::Ledger ledger_;
  Gathering gathering_;
  std::optional<Committing> committing_;
  stream::TransactionId last_id_;
  std::optional<base::Instant> waiting_since_;
  Seen seen_;
  RowSchedule rows_;
  Outbox outbox_;
  std::deque<Send> sends_;  // Owner messages: at most one a shard

  Link link_ = Link::offline;
  Backoff backoff_;
  std::optional<base::Instant> retry_at_;
  bool drop_link_ = false;
  std::string offline_reason_;
  std::optional<base::UtcTime> online_since_;
  std::optional<base::Instant> offline_since_;

  // Who sent batches in this window of time, and in the one before.
  std::uint64_t window_ = 0;
  std::uint64_t window_active_ = 0;
  std::uint64_t window_active_before_ = 0;
};

}  // namespace bridge
