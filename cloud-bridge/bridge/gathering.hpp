// Gathering: what arrived while the last transaction committed, cut into transactions of limited size, oldest first.
//
// Invariants:
//   (1) What one handoff::Publish brings is in one transaction, and the transactions keep the order in which things
//   came. (2) A transaction exceeds its limits only when a single Publish does. (3) bytes() is what has been charged to
//   the budget and not yet given back by take() or clear().
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cloud-bridge/progress/ledger.hpp"
#include "cloud-bridge/stream/stream.hpp"

namespace bridge {

struct TransactionLimits {
  std::uint64_t events = 4096;
  std::uint64_t bytes = 8 * 1024 * 1024;
};

// A transaction, and what to do once it is committed.
struct Gathered {
  struct Issue {
    progress::Gateway* gateway = nullptr;
    handoff::Ticket ticket;  // the newest one in here
  };
  stream::Transaction transaction;
  std::uint64_t bytes = 0;
  // One for each progress in the transaction, in their order: acks follow it, whatever addresses the gateways have.
  std::vector<Issue> issues;
  std::unordered_map<const progress::Gateway*, std::size_t> places;  // in `issues`
};

// What goes into one transaction together.
struct Bundle {
  progress::Gateway* gateway = nullptr;  // none: only dead letters
  std::optional<handoff::Ticket> ticket;
  std::vector<stream::Record> records;
  std::vector<stream::DeadLetter> dead_letters;
  std::optional<tillstream::v1::Progress> progress;

  // What it takes in memory, about.
  [[nodiscard]] std::uint64_t bytes() const;
};

class Gathering {
 public:
  explicit Gathering(TransactionLimits limits) : limits_(limits) {}

  void add(Bundle bundle);
  [[nodiscard]] bool empty() const { return waiting_.empty(); }
  // The oldest transaction; not when empty().
  [[nodiscard]] Gathered take();
  void clear();
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t events() const { return events_; }

 private:
  [[nodiscard]] Gathered& room_for(std::uint64_t events, std::uint64_t bytes);

  TransactionLimits limits_;
  std::deque<Gathered> waiting_;
  std::uint64_t bytes_ = 0;
  std::uint64_t events_ = 0;
};

}  // namespace bridge
