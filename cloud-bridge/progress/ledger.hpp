// Ledger: what the bridge knows about each gateway of one partition. Only memory: the stream keeps the progress, and
// whatever is here came from it or will be committed to it.
//
//   empty ──restore(all that is committed)──▶ filled ──at(id)──▶ filled ──forget──▶ empty
//
// Invariants:
//   (1) At most gateways_max gateways. One more is refused; none that is known is ever forgotten while the partition is
//   ours,
//       because its receiver runs ahead of the stream.
//   (2) A gateway whose stored progress cannot be read is never given a receiver: guessing would repeat or lose its
//   events.
//
// Not thread-safe. Pointers to gateways stay valid until forget().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "proto/base/hasher.hpp"
#include "proto/base/instant.hpp"
#include "proto/handoff/receiver.hpp"
#include "proto/wire/handoff.pb.h"

namespace progress {

struct Gateway {
  Gateway(const base::Hasher& hasher, std::string gateway_id, handoff::ReceiverSettings settings,
          std::optional<handoff::Progress> stored)
      : receiver(hasher, std::move(gateway_id), std::move(settings), std::move(stored)) {}

  // Takes out of the heartbeat what was committed since it was sent, so that nothing is committed and pending at a
  // time. Of what is left only the number is known then; the next heartbeat says the rest.
  void settle_pending();

  handoff::Receiver receiver;
  std::optional<base::UtcTime> last_heard_at;
  std::optional<tillstream::v1::Heartbeat> heartbeat;
  // Of its last batch that was held because of a newer schema; none since it sent one that was not.
  std::optional<base::Instant> held_at;
  // Of its last batch: who is active shares the credit.
  std::uint64_t batch_window = 0;
  // Its row in the public table: when it was last written, and whether there is news.
  std::optional<base::Instant> row_written_at;
  bool row_due = false;
};

class Ledger {
 public:
  Ledger(const base::Hasher& hasher, handoff::ReceiverSettings settings, std::size_t gateways_max)
      : hasher_(hasher), settings_(std::move(settings)), gateways_max_(gateways_max) {}

  void restore(const std::vector<tillstream::v1::Progress>& stored);
  void forget();

  // Nothing when it is not known.
  [[nodiscard]] Gateway* find(const std::string& gateway_id);
  // Makes it known; nothing when there are too many, or when its stored progress is unreadable.
  [[nodiscard]] Gateway* at(const std::string& gateway_id);

  [[nodiscard]] std::size_t size() const { return gateways_.size(); }
  [[nodiscard]] const std::unordered_set<std::string>& unreadable() const { return unreadable_; }
  template <class Visit>
  void each(Visit&& visit) {
    for (auto& [id, gateway] : gateways_) visit(gateway);
  }

 private:
  const base::Hasher& hasher_;
  handoff::ReceiverSettings settings_;
  std::size_t gateways_max_;
  std::unordered_map<std::string, Gateway> gateways_;
  std::unordered_set<std::string> unreadable_;
};

}  // namespace progress
