#include "cloud-bridge/adapters/rdkafka/tenure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <future>

#include "proto/base/assert.hpp"
#include "proto/platform/log.hpp"
#include "proto/platform/system.hpp"

namespace kafka {
namespace {

// How often an idle producer's callbacks are served.
constexpr Milliseconds idle_poll{1'000};

}  // namespace

Tenure::Tenure(TenureSettings settings, Membership& membership, std::uint64_t assignment, Emit emit)
    : settings_(std::move(settings)),
      membership_(membership),
      emit_(std::move(emit)),
      assignment_(assignment),
      thread_([this] { run(); }) {}

Tenure::~Tenure() {
  drop();
  thread_.join();
}

void Tenure::assigned(std::uint64_t assignment) {
  const std::lock_guard lock(mutex_);
  assignment_ = assignment;
  fenced_ = false;
  backoff_ = Milliseconds(0);
  retry_at_ = {};
  changed_.notify_all();
}

void Tenure::submit(Generation generation, stream::TransactionId id, stream::Transaction transaction) {
  const std::lock_guard lock(mutex_);
  if (!owned_ || generation != generation_) return;
  ASSERT(!submitted_);
  submitted_ = {.id = id, .transaction = std::move(transaction)};
  changed_.notify_all();
}

void Tenure::drop() {
  const std::lock_guard lock(mutex_);
  dropped_ = true;
  changed_.notify_all();
}

bool Tenure::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

TenureStatus Tenure::status() const {
  const std::lock_guard lock(mutex_);
  const auto state = owned_ ? TenureState::owned : fenced_ ? TenureState::fenced : TenureState::taking;
  return {.state = state, .last_error = last_error_, .last_error_at = last_error_at_};
}

void Tenure::run() {
  std::unique_lock lock(mutex_);
  while (!dropped_ || submitted_) {
    if (submitted_) {
      const Submitted submitted = *std::exchange(submitted_, std::nullopt);
      const std::uint64_t under = assignment_;
      lock.unlock();
      if (commit(submitted)) held_under_ = under;
      lock.lock();
    } else if (!owned_ && !fenced_ && Clock::now() >= retry_at_) {
      held_under_ = assignment_;
      lock.unlock();
      take();
      lock.lock();
    } else if (fenced_ && Clock::now() >= ask_group_at_) {
      ask_group_at_ = Clock::now() + settings_.fenced_patience;
      membership_.rejoin();
    } else {
      const auto until = owned_ || fenced_ ? Clock::now() + idle_poll : retry_at_;
      changed_.wait_until(lock, until);
      for (const auto& producer : producers_) {
        if (producer && !submitted_) producer->poll();
      }
    }
  }
  lock.unlock();
  for (auto& producer : producers_) producer.reset();
  emit_(Gone{});
}

void Tenure::take() {
  auto progress = try_take();
  if (!progress) return lose(progress.error());
  Owned owned{.generation = {}, .progress = std::move(*progress)};
  {
    const std::lock_guard lock(mutex_);
    owned_ = true;
    generation_ = generation_.next();
    owned.generation = generation_;
  }
  emit_(std::move(owned));
}

std::expected<std::vector<tillstream::v1::Progress>, Ended> Tenure::try_take() {
  const auto uncertain = [](std::string reason) {
    return std::unexpected(Ended{.ending = Ending::uncertain, .reason = std::move(reason)});
  };
  const auto stop = [this] { return dropped(); };
  if (auto member = membership_.confirm(settings_.partition, settings_.take_limit, stop); !member)
    return uncertain(member.error());
  if (auto fenced = fence_all(); fenced.ending != Ending::done) return std::unexpected(std::move(fenced));
  auto read = read_progress(
      {.properties = settings_.properties, .topic = settings_.topics.progress, .partition = settings_.partition},
      settings_.take_limit, stop, [this](std::string why) { held_up(std::move(why)); });
  if (!read) return uncertain(read.error());
  return std::move(read->progress);
}

// All turns at once: what one of them left open may have to be aborted first, which takes its time.
Ended Tenure::fence_all() {
  std::array<std::future<Ended>, kTurns> endings;
  for (std::size_t turn = 0; turn < kTurns; ++turn) {
    auto made = Producer::make(
        {.properties = settings_.properties,
         .transactional_id = fmt::format("{}-{}-{}", settings_.topics.progress, settings_.partition, turn),
         .topics = settings_.topics,
         .progress_partition = settings_.partition,
         .sizes = settings_.sizes,
         .transaction_limit = settings_.transaction_limit});
    if (!made) return {.ending = Ending::uncertain, .reason = made.error()};
    producers_.at(turn) = std::move(*made);
    endings.at(turn) = std::async(std::launch::async, [this, producer = producers_.at(turn).get()] {
      return producer->initialise(settings_.take_limit, [this] { return dropped(); });
    });
  }
  Ended worst{.ending = Ending::done};
  for (auto& ending : endings) {
    if (Ended ended = ending.get(); ended.ending != Ending::done) worst = std::move(ended);
  }
  return worst;
}

bool Tenure::commit(const Submitted& submitted) {
  const Ended ended = producers_.at(turn_)->commit(submitted.transaction);
  turn_ = (turn_ + 1) % kTurns;
  const bool done = ended.ending == Ending::done;
  if (done) {
    emit_(Committed{submitted.id});
    // Not before: what is taken and then cannot be written to would be taken again and again without a pause.
    const std::lock_guard lock(mutex_);
    backoff_ = Milliseconds(0);
  }
  if (!done || ended.spent) lose(ended);
  return done;
}

void Tenure::lose(const Ended& ended) {
  for (auto& producer : producers_) producer.reset();
  {
    const std::lock_guard lock(mutex_);
    owned_ = false;
    submitted_.reset();
    fenced_ = ended.ending == Ending::fenced && assignment_ == held_under_;
    note(ended.reason);
    // One that was assigned anew meanwhile is taken at once.
    retry_at_ = assignment_ == held_under_ ? Clock::now() + backoff_ : Clock::time_point{};
    ask_group_at_ = Clock::now() + settings_.fenced_patience;
    backoff_ = std::clamp(backoff_ * 2, settings_.retry_min, settings_.retry_max);
  }
  emit_(Lost{ended.reason});
}

void Tenure::held_up(std::string why) {
  platform::log::limited("kafka.held_up", platform::log::Level::warn, "{}", why);
  const std::lock_guard lock(mutex_);
  note(std::move(why));
}

void Tenure::note(std::string error) {
  last_error_ = std::move(error);
  last_error_at_ = platform::now().utc;
}

}  // namespace kafka
