// StreamClient: one bridge's view of the central stream, with the steps that the bridge promises: fence, then read,
// then work; after anything uncertain fence and read again; after being fenced wait for the group.
//
//   none ──assign──▶ taking ──▶ owned ──▶ (committing) ──▶ owned
//                      ▲          │ uncertain: back to taking
//     none ◀─not ours──┴─ fenced ◀┘ fenced; after a while the group is asked
#pragma once

#include <array>
#include <memory>
#include <set>

#include "cloud-bridge/stream/stream.hpp"
#include "tests/sim/world/central.hpp"
#include "tests/sim/world/process.hpp"

namespace whole {

class StreamClient {
 public:
  // Two producers a partition take turns.
  static constexpr std::uint32_t kTurns = 2;

  // Lives as long as one life of the process. `ask_group`: the bridge joins its group anew.
  StreamClient(Env& env, Central& central, Process& process, stream::Owner& owner, std::function<void()> ask_group);

  // What the group gives this bridge; all else is another's.
  void assign(const std::set<std::uint32_t>& ours);
  [[nodiscard]] bool may_begin(std::uint32_t partition) const;
  void begin(std::uint32_t partition, stream::TransactionId id, stream::Transaction transaction);

 private:
  enum class Phase { none, taking, owned, fenced };
  struct Tenure {
    Phase phase = Phase::none;
    std::uint64_t step = 0;  // answers to what was asked in an older one are void
    std::array<Central::Epoch, kTurns> epochs{};
    std::uint32_t fenced_in = 0;  // turns
    std::uint32_t turn = 0;
    Central::Position end = 0;
    bool committing = false;
    std::vector<tillstream::v1::Progress> progress;
  };

  template <class Act>
  [[nodiscard]] auto answer(std::uint32_t partition, Act act);
  void take(std::uint32_t partition);
  void fence(std::uint32_t partition);
  void read(std::uint32_t partition);
  void poll_progress(std::uint32_t partition);
  void own(std::uint32_t partition);
  void committed(std::uint32_t partition, stream::TransactionId id);
  void lose(std::uint32_t partition, const std::string& reason);
  void on_failure(std::uint32_t partition, Central::Error error);
  void uncertain(std::uint32_t partition, const std::string& reason);
  void give_up(std::uint32_t partition);
  // Until then the next step has begun, or it is uncertain.
  void expect_progress(std::uint32_t partition);

  Env& env_;
  Central& central_;
  Process& process_;
  stream::Owner& owner_;
  std::function<void()> ask_group_;
  std::vector<Tenure> tenures_;
};

}  // namespace whole
