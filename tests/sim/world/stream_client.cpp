#include "tests/sim/world/stream_client.hpp"

#include <utility>

namespace whole {
namespace {

using namespace std::chrono_literals;

constexpr auto kRequestTime = 8s;
constexpr auto kPollInterval = 50ms;
constexpr auto kFencedPatience = 12s;

}  // namespace

StreamClient::StreamClient(Env& env, Central& central, Process& process, stream::Owner& owner,
                           std::function<void()> ask_group)
    : env_(env),
      central_(central),
      process_(process),
      owner_(owner),
      ask_group_(std::move(ask_group)),
      tenures_(central.partitions()) {}

// Of the present step only; what is asked counts as one more step.
template <class Act>
auto StreamClient::answer(std::uint32_t partition, Act act) {
  const std::uint64_t step = tenures_[partition].step;
  return process_.of_this_life([this, partition, step, act = std::move(act)](auto... what) {
    if (tenures_[partition].step == step) act(what...);
  });
}

void StreamClient::expect_progress(std::uint32_t partition) {
  ++tenures_[partition].step;
  env_.clock.after(kRequestTime, answer(partition, [this, partition] { uncertain(partition, "timed out"); }));
}

void StreamClient::assign(const std::set<std::uint32_t>& ours) {
  for (std::uint32_t partition = 0; partition < tenures_.size(); ++partition) {
    Tenure& tenure = tenures_[partition];
    if (!ours.contains(partition)) {
      lose(partition, "assigned to another bridge");
      ++tenure.step;
      tenure.phase = Phase::none;
    } else if (tenure.phase == Phase::none || tenure.phase == Phase::fenced) {
      take(partition);
    }
  }
}

// --- taking --------------------------------------------------------------------------------------

void StreamClient::take(std::uint32_t partition) {
  tenures_[partition].phase = Phase::taking;
  if (env_.sabotage == Sabotage::progress_before_fence) return read(partition);
  fence(partition);
}

void StreamClient::fence(std::uint32_t partition) {
  expect_progress(partition);
  tenures_[partition].fenced_in = 0;
  for (std::uint32_t turn = 0; turn < kTurns; ++turn) {
    central_.init(partition * kTurns + turn, answer(partition, [this, partition, turn](const auto& epoch) {
                    Tenure& tenure = tenures_[partition];
                    tenure.epochs[turn] = *epoch;
                    if (++tenure.fenced_in < kTurns) return;
                    if (env_.sabotage == Sabotage::progress_before_fence) return own(partition);
                    read(partition);
                  }));
  }
}

void StreamClient::read(std::uint32_t partition) {
  expect_progress(partition);
  central_.find_end(partition, answer(partition, [this, partition](const auto& end) {
                      tenures_[partition].end = *end;
                      poll_progress(partition);
                    }));
}

// What is committed can be read up to the oldest transaction that is still open.
void StreamClient::poll_progress(std::uint32_t partition) {
  central_.read_progress(partition, answer(partition, [this, partition](Central::Position stable, const auto& all) {
                           Tenure& tenure = tenures_[partition];
                           tenure.progress = all;
                           if (stable < tenure.end) {
                             env_.clock.after(kPollInterval,
                                              answer(partition, [this, partition] { poll_progress(partition); }));
                             return;
                           }
                           if (env_.sabotage == Sabotage::progress_before_fence) return fence(partition);
                           own(partition);
                         }));
}

void StreamClient::own(std::uint32_t partition) {
  Tenure& tenure = tenures_[partition];
  ++tenure.step;
  tenure.phase = Phase::owned;
  tenure.committing = false;
  owner_.on_owned(stream::Partition(partition), std::move(tenure.progress));
}

// --- committing ----------------------------------------------------------------------------------

bool StreamClient::may_begin(std::uint32_t partition) const {
  const Tenure& tenure = tenures_[partition];
  return tenure.phase == Phase::owned && !tenure.committing;
}

void StreamClient::begin(std::uint32_t partition, stream::TransactionId id, stream::Transaction transaction) {
  Tenure& tenure = tenures_[partition];
  tenure.committing = true;
  tenure.turn = (tenure.turn + 1) % kTurns;
  const Central::Id producer = partition * kTurns + tenure.turn;
  const Central::Epoch epoch = tenure.epochs[tenure.turn];
  // The public table is nobody's business here.
  transaction.gateways.clear();
  expect_progress(partition);
  if (env_.sabotage == Sabotage::ack_before_commit && env_.random.one_in(4)) {
    env_.clock.after(1us, answer(partition, [this, partition, id] { committed(partition, id); }));
  }
  central_.produce(producer, epoch, partition, std::make_shared<const stream::Transaction>(std::move(transaction)),
                   answer(partition, [this, partition, id, producer, epoch](const auto& produced) {
                     if (!produced) return on_failure(partition, produced.error());
                     expect_progress(partition);
                     central_.end(producer, epoch, answer(partition, [this, partition, id](const auto& ended) {
                                    if (!ended) return on_failure(partition, ended.error());
                                    committed(partition, id);
                                  }));
                   }));
}

void StreamClient::committed(std::uint32_t partition, stream::TransactionId id) {
  Tenure& tenure = tenures_[partition];
  ++tenure.step;
  tenure.committing = false;
  owner_.on_committed(stream::Partition(partition), id);
}

// --- losing --------------------------------------------------------------------------------------

void StreamClient::lose(std::uint32_t partition, const std::string& reason) {
  if (tenures_[partition].phase == Phase::owned) owner_.on_lost(stream::Partition(partition), reason);
}

void StreamClient::on_failure(std::uint32_t partition, Central::Error error) {
  if (error == Central::Error::fenced) return give_up(partition);
  uncertain(partition, "invalid transaction state");
}

void StreamClient::uncertain(std::uint32_t partition, const std::string& reason) {
  Tenure& tenure = tenures_[partition];
  const bool was_owned = tenure.phase == Phase::owned;
  lose(partition, reason);
  tenure.phase = Phase::taking;
  ++tenure.step;
  const bool keeps_producers = env_.sabotage == Sabotage::no_new_producer && was_owned;
  env_.clock.after(env_.between(100ms, 2s), answer(partition, [this, partition, keeps_producers] {
                     if (keeps_producers) return read(partition);
                     take(partition);
                   }));
}

// Taking it again at once would be a war of two owners.
void StreamClient::give_up(std::uint32_t partition) {
  Tenure& tenure = tenures_[partition];
  lose(partition, "fenced");
  tenure.phase = Phase::fenced;
  ++tenure.step;
  env_.clock.after(kFencedPatience, answer(partition, [this] { ask_group_(); }));
}

}  // namespace whole
