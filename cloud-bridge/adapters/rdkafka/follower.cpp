#include "cloud-bridge/adapters/rdkafka/follower.hpp"

#include <fmt/format.h>

#include <utility>

#include "proto/platform/log.hpp"

namespace kafka {
namespace {

constexpr Milliseconds poll_wait{100};
constexpr Milliseconds retry_every{1'000};
// A page that is loaded again, or a client that reconnects, finds everything still there.
constexpr std::chrono::seconds linger{10};
// How often the brokers are asked whether they are there, and whether the topic has as many partitions as before.
constexpr std::chrono::seconds look_every{5};

}  // namespace

Follower::Follower(ConsumerSettings settings, std::function<void()> changed)
    : settings_(std::move(settings)), changed_(std::move(changed)), thread_([this]() noexcept { run(); }) {}

Follower::~Follower() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Follower::want(bool wanted) {
  {
    const std::lock_guard guard(mutex_);
    if (wanted_ && !wanted) unwanted_at_ = Clock::now();
    wanted_ = wanted;
  }
  wake_.notify_one();
}

std::optional<Follower::Page> Follower::read(const stream::Offsets& from, const stream::ReadLimits& limits) const {
  const std::lock_guard guard(mutex_);
  if (!recent_.covers(from)) return std::nullopt;
  auto page = recent_.read(from, limits);
  if (page.records.empty() && !failure_.empty())
    return base::fail(stream::ReadFailure{.error = stream::ReadError::down, .reason = failure_});
  return page;
}

void Follower::run() {
  std::unique_lock guard(mutex_);
  while (!stopping_) {
    if (!wanted_) {
      recent_.clear();
      wake_.wait(guard, [this] { return stopping_ || wanted_; });
      continue;
    }
    guard.unlock();
    follow();
    guard.lock();
    recent_.clear();
    if (wanted_) wake_.wait_for(guard, retry_every, [this] { return stopping_; });
  }
}

bool Follower::is_wanted() const {
  const std::lock_guard guard(mutex_);
  return !stopping_ && (wanted_ || Clock::now() < unwanted_at_ + linger);
}

void Follower::follow() {
  const auto consumer = TopicConsumer::make(settings_);
  if (!consumer) return fail(consumer.error());
  if (!begin(**consumer)) return;
  while (is_wanted() && step(**consumer)) {
  }
}

bool Follower::begin(TopicConsumer& consumer) {
  const auto failed = [this](const std::string& reason) {
    fail(reason);
    return false;
  };
  const auto partitions = consumer.count_partitions();
  if (!partitions) return failed(partitions.error());
  partitions_ = *partitions;
  const auto ends = consumer.find(Edge::end, partitions_);
  if (!ends) return failed(ends.error());
  if (const auto assigned = consumer.assign(*ends); !assigned) return failed(assigned.error());
  {
    const std::lock_guard guard(mutex_);
    recent_.begin(*ends);
    failure_.clear();
  }
  look_at_ = Clock::now() + look_every;
  changed_();
  return true;
}

bool Follower::step(TopicConsumer& consumer) {
  const bool trouble = consumer.take_trouble();
  if ((trouble || Clock::now() >= look_at_) && !look(consumer)) return false;
  return take(consumer.poll(poll_wait));
}

bool Follower::look(TopicConsumer& consumer) {
  look_at_ = Clock::now() + look_every;
  const auto partitions = consumer.count_partitions();
  if (!partitions) {
    // Soon again: nobody says when they are back.
    look_at_ = Clock::now() + retry_every;
    fail(partitions.error());
    return true;
  }
  if (*partitions != partitions_) return false;
  bool was_down = false;
  {
    const std::lock_guard guard(mutex_);
    was_down = !std::exchange(failure_, {}).empty();
  }
  if (was_down) changed_();
  return true;
}

bool Follower::take(const Polled& polled) {
  if (const auto* failed = std::get_if<PollFailed>(&polled)) {
    fail(failed->reason);
    return false;
  }
  if (const auto* fetched = std::get_if<Fetched>(&polled)) {
    {
      const std::lock_guard guard(mutex_);
      recent_.add(fetched->partition, fetched->offset, fetched->value);
    }
    changed_();
  } else if (const auto* end = std::get_if<EndReached>(&polled)) {
    const std::lock_guard guard(mutex_);
    recent_.pass(end->partition, end->next);
  }
  return true;
}

void Follower::fail(std::string reason) {
  platform::log::limited("kafka.follower", platform::log::Level::warn, "kafka: the events cannot be followed: {}",
                         reason);
  {
    const std::lock_guard guard(mutex_);
    failure_ = std::move(reason);
  }
  changed_();
}

}  // namespace kafka
