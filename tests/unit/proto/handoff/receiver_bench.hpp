// A receiver on the bench, and gateways on paper.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <utility>

#include "proto/handoff/receiver.hpp"
#include "proto/platform/system.hpp"
#include "tests/support/seeded_random.hpp"

namespace bench {

using handoff::Progress;
using handoff::Receiver;
using handoff::RefusalReason;
using handoff::Seq;
using std::chrono::minutes;
using std::chrono::seconds;
namespace v1 = tillstream::v1;

inline const base::Hasher& hasher = platform::hasher();

// A gateway on paper: one epoch, one run, rows that are named by their number.
struct Paper {
  explicit Paper(std::uint64_t seed = 1)
      : random(seed), epoch(random.id<handoff::Epoch>()), run(random.id<handoff::Run>()) {}

  [[nodiscard]] std::string record(std::uint64_t seq) const { return prefix + std::to_string(seq); }
  [[nodiscard]] base::Digest digest(std::uint64_t seq) const { return chain_to(epoch, seq); }
  template <class Id>
  [[nodiscard]] base::Digest chain_to(const Id& id, std::uint64_t seq) const {
    base::Digest digest = handoff::chain_start(hasher, id);
    for (std::uint64_t i = 1; i <= seq; ++i) digest = handoff::chain(hasher, digest, record(i));
    return digest;
  }
  [[nodiscard]] v1::Up hello(bool is_new = true) {
    v1::Up up;
    up.set_gateway_id("shop-1");
    up.mutable_hello()->set_epoch(base::Bytes(epoch.view()));
    up.mutable_hello()->set_new_epoch(is_new);
    up.mutable_hello()->set_run(base::Bytes(run.view()));
    up.mutable_hello()->set_nonce(random.next());
    return up;
  }
  [[nodiscard]] v1::Up hello_after(const handoff::Place& place) {
    v1::Up up = hello();
    handoff::set_place(*up.mutable_hello()->mutable_supersedes(), place);
    return up;
  }
  [[nodiscard]] v1::Up batch(std::uint64_t first, std::uint64_t last) const {
    v1::Up up;
    up.set_gateway_id("shop-1");
    v1::Batch& batch = *up.mutable_batch();
    batch.set_epoch(base::Bytes(epoch.view()));
    batch.set_first_seq(first);
    batch.set_digest_before(base::Bytes(digest(first - 1).view()));
    batch.set_run(base::Bytes(run.view()));
    batch.set_run_index(first - 1);
    batch.set_run_digest_before(base::Bytes(chain_to(run, first - 1).view()));
    batch.set_schema_version(1);
    for (std::uint64_t seq = first; seq <= last; ++seq) batch.mutable_records()->add_record(record(seq));
    return up;
  }

  support::SeededRandom random;
  handoff::Epoch epoch;
  handoff::Run run;
  std::string prefix = "row ";
};

// A receiver whose transactions commit when the test says so.
struct Bench {
  explicit Bench(std::optional<Progress> stored = std::nullopt, handoff::ReceiverSettings settings = {})
      : receiver(hasher, "shop-1", settings, std::move(stored)) {
    receiver.set_credit(1'000'000);
    settle();
    acks.clear();
  }
  void hear(v1::Up up) {
    receiver.on_up(std::move(up), now);
    settle();
  }
  void settle() {
    while (auto output = receiver.poll()) {
      if (auto* publish = std::get_if<handoff::Publish>(&*output)) published.push_back(std::move(*publish));
      if (auto* reply = std::get_if<handoff::Reply>(&*output)) acks.push_back(reply->ack);
      if (auto* refuse = std::get_if<handoff::Refuse>(&*output)) refused.push_back(refuse->reason);
      if (auto* heard = std::get_if<handoff::Heard>(&*output)) heartbeats.push_back(heard->heartbeat);
    }
  }
  void commit() {
    if (published.empty()) return;
    receiver.on_committed(published.back().ticket);
    settle();
  }
  void pass(std::chrono::milliseconds time) {
    now.instant += time;
    now.utc += time;
  }
  [[nodiscard]] std::vector<std::string> rows() const {
    std::vector<std::string> rows;
    for (const auto& publish : published) {
      for (const auto& row : publish.rows) rows.push_back(row.record);
    }
    return rows;
  }
  [[nodiscard]] std::size_t notices(handoff::Notice notice) const {
    std::size_t count = 0;
    for (const auto& publish : published) count += std::count(publish.notices.begin(), publish.notices.end(), notice);
    return count;
  }
  // In the epoch of `paper`, with `count` rows committed.
  void stream(Paper& paper, std::uint64_t count) {
    hear(paper.hello());
    commit();
    if (count > 0) hear(paper.batch(1, count));
    commit();
    acks.clear();
    refused.clear();
  }

  Receiver receiver;
  base::Now now{base::Instant(seconds(100)), base::UtcTime(seconds(1'764'000'000))};
  std::vector<handoff::Publish> published;
  std::vector<v1::Ack> acks;
  std::vector<RefusalReason> refused;
  std::vector<v1::Heartbeat> heartbeats;
};

}  // namespace bench
