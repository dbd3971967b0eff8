// Outbox: acks on their way out, coalesced. However often a gateway is to be answered before the connection takes it,
// it gets at most two: the answer to its last Hello, and the newest place.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "proto/wire/handoff.pb.h"

namespace bridge {

class Outbox {
 public:
  struct Letter {
    std::string gateway_id;
    tillstream::v1::Ack ack;
  };

  void put(const std::string& gateway_id, tillstream::v1::Ack ack) {
    Waiting& waiting = waiting_[gateway_id];
    if (!waiting.answer && !waiting.plain) order_.push_back(gateway_id);
    if (ack.has_nonce()) {
      waiting.answer = std::move(ack);
      waiting.plain.reset();  // what came before the answer is old news
    } else if (!waiting.answer || !says_the_same(*waiting.answer, ack)) {
      waiting.plain = std::move(ack);
    }
  }

  [[nodiscard]] std::optional<Letter> take() {
    if (order_.empty()) return std::nullopt;
    const auto found = waiting_.find(order_.front());
    Letter letter{found->first, {}};
    const bool both = found->second.answer && found->second.plain;
    letter.ack = *std::exchange(found->second.answer ? found->second.answer : found->second.plain, std::nullopt);
    if (!both) {
      waiting_.erase(found);
      order_.pop_front();
    }
    return letter;
  }

  [[nodiscard]] bool empty() const { return order_.empty(); }
  void clear() {
    order_.clear();
    waiting_.clear();
  }

 private:
  static bool says_the_same(const tillstream::v1::Ack& answer, const tillstream::v1::Ack& plain) {
    return answer.epoch() == plain.epoch() && answer.seq() == plain.seq() && answer.digest() == plain.digest() &&
           answer.credit_bytes() == plain.credit_bytes() && answer.reason() == plain.reason();
  }

  struct Waiting {
    std::optional<tillstream::v1::Ack> answer;  // goes first
    std::optional<tillstream::v1::Ack> plain;
  };
  std::deque<std::string> order_;
  std::unordered_map<std::string, Waiting> waiting_;
};

}  // namespace bridge
