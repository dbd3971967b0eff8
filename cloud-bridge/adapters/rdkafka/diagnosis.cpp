#include "cloud-bridge/adapters/rdkafka/diagnosis.hpp"

#include <utility>

namespace kafka {
namespace {

// A partition that changes hands is taken sooner.
constexpr Milliseconds patience{500};
constexpr Milliseconds interval{3'000};

}  // namespace

Diagnosis::Diagnosis(TopicsSettings settings, Emit emit)
    : settings_(std::move(settings)), emit_(std::move(emit)), thread_([this] { run(); }) {}

Diagnosis::~Diagnosis() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void Diagnosis::want(bool wanted) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(wanted_, wanted) == wanted || !wanted) return;
  ask_at_ = Clock::now() + patience;
  changed_.notify_all();
}

void Diagnosis::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (!wanted_) {
      changed_.wait(lock);
    } else if (Clock::now() < ask_at_) {
      changed_.wait_until(lock, ask_at_);
    } else {
      lock.unlock();
      std::string cause = find_cause(settings_);
      lock.lock();
      ask_at_ = Clock::now() + interval;
      if (!stopping_) emit_(std::move(cause));
    }
  }
}

}  // namespace kafka
