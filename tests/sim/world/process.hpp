// Process: a program that can be killed at any moment, or stopped and woken up later (SIGSTOP, SIGCONT). What comes to
// it while it sleeps waits; what comes for a life that has ended is lost.
#pragma once

#include <deque>
#include <functional>
#include <utility>

#include "tests/sim/world/env.hpp"

namespace whole {

class Process {
 public:
  explicit Process(Env& env) : env_(env) {}
  virtual ~Process() = default;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] bool running() const { return running_; }
  [[nodiscard]] bool asleep() const { return asleep_; }
  void sleep() { asleep_ = running_; }
  void wake() {
    asleep_ = false;
    while (running_ && !asleep_ && !waiting_.empty()) {
      auto act = std::move(waiting_.front());
      waiting_.pop_front();
      act();
      settle();
    }
  }

  // An answer or a timer of this life: comes when the process can take it.
  template <class Act>
  [[nodiscard]] auto of_this_life(Act act) {
    return [this, life = life_, act = std::move(act)](auto... what) {
      if (life != life_ || !running_) return;
      if (asleep_) return waiting_.push_back([act, what...] { act(what...); });
      act(what...);
      settle();
    };
  }

 protected:
  void begin_life() {
    ++life_;
    running_ = true;
  }
  void end_life() {
    ++life_;
    running_ = asleep_ = false;
    waiting_.clear();
  }
  void enter(std::function<void()> act) {
    if (!running_) return;
    if (asleep_) return waiting_.push_back(std::move(act));
    act();
    settle();
  }
  void after(base::Instant::duration delay, std::function<void()> act) {
    env_.clock.after(delay, of_this_life(std::move(act)));
  }
  // Calls settle() at that moment, if it is not going to be called before.
  void wake_at(std::optional<base::Instant> at) {
    if (!at || (timer_at_ && *timer_at_ <= *at && *timer_at_ > env_.clock.at() && timer_life_ == life_)) return;
    timer_at_ = std::max(*at, env_.clock.at() + std::chrono::microseconds(1));
    timer_life_ = life_;
    env_.clock.after(*timer_at_ - env_.clock.at(), [this, life = life_, due = *timer_at_] {
      if (life != life_ || timer_at_ != due) return;
      timer_at_.reset();
      enter([] {});
    });
  }
  // Does all that follows from what came.
  virtual void settle() = 0;

  Env& env_;

 private:
  bool running_ = false;
  bool asleep_ = false;
  std::uint64_t life_ = 0;
  std::deque<std::function<void()>> waiting_;
  std::optional<base::Instant> timer_at_;
  std::uint64_t timer_life_ = 0;
};

}  // namespace whole
