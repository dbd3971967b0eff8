// ScriptedGateway: says what a test tells it to say, with ids, digests and records as a real gateway makes them. It
// decides nothing: what is sent when is the test's script.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "proto/base/hasher.hpp"
#include "proto/handoff/topics.hpp"
#include "proto/handoff/types.hpp"
#include "proto/wire/codec.hpp"
#include "proto/wire/event.pb.h"
#include "proto/wire/handoff.pb.h"
#include "tests/support/seeded_random.hpp"

namespace support {

class ScriptedGateway {
 public:
  ScriptedGateway(const base::Hasher& hasher, std::string id, std::uint64_t seed = 1)
      : hasher_(hasher), random_(seed), id_(std::move(id)) {
    begin_epoch();
    run_ = random_.id<handoff::Run>();
  }

  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] std::string up_topic() const { return handoff::up_topic(handoff::shard_of(hasher_, id_), id_); }
  [[nodiscard]] std::string down_topic() const { return handoff::down_topic(handoff::shard_of(hasher_, id_), id_); }
  [[nodiscard]] std::string epoch_hex() const { return base::to_hex(epoch_.view()); }

  // A fresh epoch with nothing in it.
  void begin_epoch() {
    epoch_ = random_.id<handoff::Epoch>();
    records_.clear();
  }

  static std::string event(std::uint64_t number, std::uint32_t schema_version = 1) {
    tillstream::v1::Event event;
    event.set_schema_version(schema_version);
    std::string event_id(16, '\x01');
    for (int i = 0; i < 8; ++i) event_id[15 - i] = static_cast<char>(number >> (8 * i));
    event_id[6] = '\x70';  // UUIDv7
    event_id[8] = '\x80';
    event.set_event_id(event_id);
    event.set_type("sale");
    event.set_source("http");
    event.set_terminal_id("T1");
    event.set_terminal_ref(std::to_string(number));
    event.set_occurred_at_ms(1'795'000'000'000);
    event.set_received_at_ms(1'795'000'000'100);
    event.set_merchant_name("Kiosk");
    event.set_amount_minor(1250);
    event.set_currency("EUR");
    event.set_currency_exponent(2);
    event.set_outcome("approved");
    return event.SerializeAsString();
  }

  // Appends to its journal: it can be sent from now on.
  void append(std::string record) { records_.push_back(std::move(record)); }
  void append_events(std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) append(event(records_.size() + 1));
  }

  [[nodiscard]] std::string hello(std::uint64_t nonce, const tillstream::v1::Progress* supersedes = nullptr) const {
    tillstream::v1::Up up;
    up.set_gateway_id(id_);
    auto& hello = *up.mutable_hello();
    hello.set_epoch(base::Bytes(epoch_.view()));
    hello.set_new_epoch(true);
    hello.set_acked_digest(base::Bytes(digest_of_epoch(0).view()));
    hello.set_next_seq(records_.size() + 1);
    hello.set_nonce(nonce);
    hello.set_run(base::Bytes(run_.view()));
    if (supersedes != nullptr) {
      hello.mutable_supersedes()->set_epoch(supersedes->epoch());
      hello.mutable_supersedes()->set_seq(supersedes->seq());
      hello.mutable_supersedes()->set_digest(supersedes->digest());
    }
    return wire::encode(std::move(up));
  }

  // Records first to last of the epoch, counted from 1.
  [[nodiscard]] std::string batch(std::uint64_t first, std::uint64_t last, std::uint32_t schema_version = 1) const {
    tillstream::v1::Up up;
    up.set_gateway_id(id_);
    auto& batch = *up.mutable_batch();
    batch.set_epoch(base::Bytes(epoch_.view()));
    batch.set_first_seq(first);
    batch.set_digest_before(base::Bytes(digest_of_epoch(first - 1).view()));
    batch.set_run(base::Bytes(run_.view()));
    batch.set_run_index(first - 1);
    batch.set_run_digest_before(base::Bytes(digest_of_run(first - 1).view()));
    batch.set_schema_version(schema_version);
    for (std::uint64_t seq = first; seq <= last; ++seq) batch.mutable_records()->add_record(records_.at(seq - 1));
    return wire::encode(std::move(up));
  }

  [[nodiscard]] std::string heartbeat(std::uint64_t revision, std::uint64_t committed) const {
    tillstream::v1::Up up;
    up.set_gateway_id(id_);
    auto& heartbeat = *up.mutable_heartbeat();
    heartbeat.set_epoch(base::Bytes(epoch_.view()));
    heartbeat.set_run(base::Bytes(run_.view()));
    heartbeat.set_revision(revision);
    heartbeat.set_committed_seq(committed);
    heartbeat.set_pending_events(records_.size() - committed);
    heartbeat.set_clock_synced(true);
    heartbeat.mutable_versions()->set_program("scripted 1");
    return wire::encode(std::move(up));
  }

  // From now on the rows are another opening's.
  void begin_run() { run_ = random_.id<handoff::Run>(); }

 private:
  [[nodiscard]] base::Digest digest_of_epoch(std::uint64_t rows) const {
    return chain_over(handoff::chain_start(hasher_, epoch_), rows);
  }
  [[nodiscard]] base::Digest digest_of_run(std::uint64_t rows) const {
    return chain_over(handoff::chain_start(hasher_, run_), rows);
  }
  [[nodiscard]] base::Digest chain_over(base::Digest digest, std::uint64_t rows) const {
    for (std::uint64_t i = 0; i < rows; ++i) digest = handoff::chain(hasher_, digest, records_.at(i));
    return digest;
  }

  const base::Hasher& hasher_;
  SeededRandom random_;
  std::string id_;
  handoff::Epoch epoch_;
  handoff::Run run_;
  std::vector<std::string> records_;
};

}  // namespace support
