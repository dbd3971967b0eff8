// TestLoop: a loop thread for tests. Tasks posted from any thread run where the test pumps, and never inside the call
// that posts.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

namespace test {

class TestLoop {
 public:
  using Task = std::function<void()>;

  // Safe from any thread, and may outlive the loop's last run_until.
  [[nodiscard]] std::function<void(Task)> post() {
    return [this](Task task) {
      {
        const std::lock_guard guard(mutex_);
        tasks_.push_back(std::move(task));
      }
      wake_.notify_one();
    };
  }

  // Runs tasks until the condition holds; false when it does not within the deadline.
  [[nodiscard]] bool run_until(const std::function<bool()>& condition, std::chrono::seconds deadline = kDeadline) {
    const auto end = std::chrono::steady_clock::now() + deadline;
    while (!condition()) {
      if (!run_one(end)) return condition();
    }
    return true;
  }

  // Runs what is posted already, and what that posts.
  void run_pending() {
    while (run_one(std::chrono::steady_clock::now())) {
    }
  }

  static constexpr std::chrono::seconds kDeadline{30};

 private:
  bool run_one(std::chrono::steady_clock::time_point end) {
    Task task;
    {
      std::unique_lock guard(mutex_);
      if (!wake_.wait_until(guard, end, [this] { return !tasks_.empty(); })) return false;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
    return true;
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;
};

}  // namespace test
