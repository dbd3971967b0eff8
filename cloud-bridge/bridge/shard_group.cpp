#include "cloud-bridge/bridge/shard_group.hpp"

#include <charconv>
#include <utility>

#include "cloud-bridge/stream/gateway_row.hpp"
#include "cloud-bridge/stream/record.hpp"
#include "proto/base/assert.hpp"
#include "proto/handoff/topics.hpp"

namespace bridge {

namespace {

namespace v1 = tillstream::v1;

constexpr unsigned shards_total = 256;
constexpr std::chrono::seconds active_window{5};

handoff::ReceiverSettings receiver_settings(const ShardGroupSettings& settings) {
  handoff::ReceiverSettings receiver;
  receiver.program = settings.program;
  receiver.event_schema = stream::kSchemaVersion;
  return receiver;
}

std::string hex_of_shard(unsigned shard) {
  const char byte = static_cast<char>(shard);
  return base::to_hex(base::BytesView(&byte, 1));
}

}  // namespace

ShardGroup::ShardGroup(const base::Hasher& hasher, base::Random& random, Budget& budget, Counters& counters,
                       ShardGroupSettings settings)
    : hasher_(hasher),
      random_(random),
      budget_(budget),
      settings_(std::move(settings)),
      counters_(counters),
      ledger_(hasher, receiver_settings(settings_), settings_.gateways_max),
      gathering_(settings_.transaction),
      seen_(settings_.digests_max) {
  ASSERT(settings_.partition < settings_.partitions && settings_.partitions <= shards_total);
}

// --- the stream ----------------------------------------------------------------------------------

void ShardGroup::on_owned(const std::vector<v1::Progress>& progress, bool may_begin, base::Now now) {
  forget_tentative();
  owned_ = true;
  may_begin_ = may_begin;
  lost_at_.reset();
  ++counters_.takeovers;
  ledger_.restore(progress);
  if (!offline_since_ && !online()) offline_since_ = now.instant;
  // Credit is told with the answer to each gateway's Hello, which Owner asks for.
  if (online()) greet();
}

void ShardGroup::on_lost(std::string reason, base::Now now) {
  if (owned_) ++counters_.losses;
  if (committing_) ++counters_.transactions_lost;
  owned_ = false;
  may_begin_ = false;
  lost_reason_ = std::move(reason);
  lost_at_ = now.instant;
  forget_tentative();
}

void ShardGroup::forget_tentative() {
  budget_.give_back(gathering_.bytes() + (committing_ ? committing_->bytes : 0));
  gathering_.clear();
  committing_.reset();
  waiting_since_.reset();
  rows_.clear();
  outbox_.clear();
  sends_.clear();
  seen_.clear();
  ledger_.forget();
}

void ShardGroup::on_committed(stream::TransactionId id, bool may_begin, base::Now now) {
  ASSERT(committing_ && committing_->id == id);
  const Committing done = std::move(*committing_);
  committing_.reset();
  may_begin_ = may_begin;
  budget_.give_back(done.bytes);
  ++counters_.transactions;
  counters_.committed += done.records;
  counters_.commit_time.add(now.instant - done.begun_at);
  waiting_since_ = gathering_.empty() ? std::nullopt : std::optional(now.instant);
  for (const auto& [gateway, ticket] : done.issues) {
    gateway->receiver.set_credit(credit());
    gateway->receiver.on_committed(ticket);
    gateway->settle_pending();
    drain(*gateway, nullptr, now);
    rows_.note(*gateway, ledger_.size(), now.instant);
  }
  if (blocked()) tell_credit(now);
}

void ShardGroup::on_ready(base::Now now) {
  if (!owned_) return;
  may_begin_ = true;
  tell_credit(now);
}

std::uint64_t ShardGroup::credit() const { return blocked() ? 0 : budget_.share(active_gateways()); }

void ShardGroup::tell_credit(base::Now now) {
  const std::uint64_t bytes = credit();
  ledger_.each([&](progress::Gateway& gateway) {
    gateway.receiver.set_credit(bytes);
    drain(gateway, nullptr, now);
  });
}

// --- the connection ------------------------------------------------------------------------------

void ShardGroup::on_online(base::Now now) {
  link_ = Link::online;
  online_since_ = now.utc;
  offline_since_.reset();
  ++counters_.connects;
  if (owned_) greet();
}

void ShardGroup::on_offline(std::string reason, base::Now now) {
  if (!offline_since_) offline_since_ = now.instant;
  online_since_.reset();
  link_ = Link::offline;
  offline_reason_ = std::move(reason);
  retry_at_ = now.instant + backoff_.next(random_);
  ++counters_.connect_failures;
  outbox_.clear();
  sends_.clear();
}

void ShardGroup::reconnect(base::Now now) {
  drop_link_ = link_ != Link::offline;
  retry_at_ = now.instant;
}

// Every gateway of the shards says Hello again, with jitter.
void ShardGroup::greet() {
  sends_.clear();
  v1::Down down;
  down.mutable_owner()->set_bridge_id(settings_.bridge_id);
  down.mutable_owner()->set_nonce(random_.next());
  const base::Bytes payload = down.SerializeAsString();
  for (const std::uint8_t shard : shards()) sends_.push_back({handoff::owner_topic(hex_of_shard(shard)), payload});
}

std::vector<std::uint8_t> ShardGroup::shards() const {
  std::vector<std::uint8_t> shards;
  for (unsigned shard = settings_.partition; shard < shards_total; shard += settings_.partitions) {
    shards.push_back(static_cast<std::uint8_t>(shard));
  }
  return shards;
}

bool ShardGroup::owns(std::string_view shard) const {
  unsigned number = 0;
  std::from_chars(shard.data(), shard.data() + shard.size(), number, 16);
  return number % settings_.partitions == settings_.partition;
}

std::vector<std::string> ShardGroup::filters() const {
  if (settings_.partitions == 1) return {handoff::up_topic("+", "+")};
  std::vector<std::string> filters;
  for (const std::uint8_t shard : shards()) filters.push_back(handoff::up_topic(hex_of_shard(shard), "+"));
  return filters;
}

// --- the operator --------------------------------------------------------------------------------

Release ShardGroup::release(const std::string& gateway_id, base::Now now) {
  progress::Gateway* gateway = owned_ ? ledger_.find(gateway_id) : nullptr;
  if (gateway == nullptr) return Release::unknown;
  if (!gateway->receiver.quarantined()) return Release::not_quarantined;
  gateway->receiver.end_quarantine(now);
  drain(*gateway, nullptr, now);
  return Release::released;
}

void ShardGroup::stop() { stopping_ = true; }

std::uint64_t ShardGroup::committing_events() const { return committing_ ? committing_->records : 0; }

// --- what to do ----------------------------------------------------------------------------------

std::optional<Output> ShardGroup::poll(base::Now now) {
  if (auto output = poll_link(now.instant)) return output;
  // Acks before the next transaction: they free the gateways' windows while it commits.
  if (auto output = poll_send()) return output;
  return poll_begin(now);
}

std::optional<Output> ShardGroup::poll_link(base::Instant now) {
  if (std::exchange(drop_link_, false)) {
    link_ = Link::offline;
    online_since_.reset();
    if (!offline_since_) offline_since_ = now;
    return Disconnect{};
  }
  const bool lingering = lost_at_ && now - *lost_at_ < settings_.linger;
  if (!owned_ && !lingering && link_ != Link::offline) {
    link_ = Link::offline;
    online_since_.reset();
    return Disconnect{};
  }
  if (!owned_ || stopping_ || link_ != Link::offline || (retry_at_ && now < *retry_at_)) return std::nullopt;
  link_ = Link::connecting;
  retry_at_.reset();
  return Connect{filters()};
}

std::optional<Output> ShardGroup::poll_send() {
  if (!online()) {
    outbox_.clear();
    sends_.clear();
    return std::nullopt;
  }
  if (!sends_.empty()) {
    Send send = std::move(sends_.front());
    sends_.pop_front();
    return send;
  }
  auto letter = outbox_.take();
  if (!letter) return std::nullopt;
  v1::Down down;
  *down.mutable_ack() = std::move(letter->ack);
  ++counters_.acks;
  return Send{handoff::down_topic(handoff::shard_of(hasher_, letter->gateway_id), letter->gateway_id),
              down.SerializeAsString()};
}

std::optional<Output> ShardGroup::poll_begin(base::Now now) {
  if (!owned_ || !may_begin_ || committing_ || stopping_) return std::nullopt;
  if (gathering_.empty() && !rows_.due(now.instant)) return std::nullopt;
  Gathered gathered = gathering_.empty() ? Gathered{} : gathering_.take();
  add_rows(gathered.transaction, now);
  may_begin_ = false;
  if (!waiting_since_) waiting_since_ = now.instant;
  committing_ = Committing{last_id_ = last_id_.next(), gathered.bytes, gathered.transaction.records.size(),
                           std::move(gathered.issues), now.instant};
  counters_.dead_letters += gathered.transaction.dead_letters.size();
  return Begin{last_id_, std::move(gathered.transaction)};
}

void ShardGroup::add_rows(stream::Transaction& transaction, base::Now now) {
  while (transaction.gateways.size() < settings_.rows_per_transaction_max) {
    const progress::Gateway* gateway = rows_.take(now.instant);
    if (gateway == nullptr) return;
    const handoff::Receiver& receiver = gateway->receiver;
    const auto& committed = receiver.committed();
    transaction.gateways.push_back(
        stream::render_gateway_row({.gateway_id = receiver.gateway_id(),
                                    .last_heard_at = gateway->last_heard_at.value_or(now.utc),
                                    .progress = committed ? std::optional(committed->place) : std::nullopt,
                                    .heartbeat = gateway->heartbeat ? &*gateway->heartbeat : nullptr,
                                    .quarantined = receiver.quarantined()}));
    ++counters_.gateway_rows;
  }
}

std::optional<base::Instant> ShardGroup::wakeup_at() const {
  std::optional<base::Instant> at;
  const auto sooner = [&at](std::optional<base::Instant> other) {
    if (other && (!at || *other < *at)) at = other;
  };
  if (owned_ && link_ == Link::offline && !stopping_) sooner(retry_at_);
  if (lost_at_ && link_ != Link::offline) sooner(*lost_at_ + settings_.linger);
  if (owned_ && may_begin_ && !committing_ && !stopping_) sooner(rows_.next());
  return at;
}

void ShardGroup::note_active(progress::Gateway& gateway, base::Instant now) {
  // From 1 on: 0 is "never" at a gateway.
  const auto window = static_cast<std::uint64_t>(now.time_since_epoch() / active_window) + 1;
  if (window != window_) {
    window_active_before_ = window == window_ + 1 ? window_active_ : 0;
    window_active_ = 0;
    window_ = window;
  }
  if (std::exchange(gateway.batch_window, window) != window) ++window_active_;
}

}  // namespace bridge
