// Terminal: sells, one sale at a time, and repeats each until it is answered. References are never used twice, but to
// contradict.
#pragma once

#include <functional>
#include <string>

#include "tests/sim/checker/checker.hpp"
#include "tests/sim/world/box.hpp"

namespace whole {

class Terminal {
 public:
  // `reach` gives the box that the next attempt goes to; null: none can be reached.
  Terminal(Env& env, Checker& checker, std::string gateway, std::string name, std::function<Box*()> reach);

  void start() { sell_later(); }
  // Nothing new; what is open is repeated until it is answered.
  void finish() { finishing_ = true; }
  [[nodiscard]] bool idle() const { return !open_; }

 private:
  void sell_later();
  void sell();
  void attempt();
  void on_answer(std::uint64_t number, const Sale& sale, const terminal::Answer& answer, std::uint64_t opening);
  void close();

  Env& env_;
  Checker& checker_;
  std::string gateway_;
  std::string name_;
  std::function<Box*()> reach_;
  bool finishing_ = false;
  bool open_ = false;
  std::uint64_t number_ = 0;  // of the sale
  std::uint64_t refs_ = 0;
  std::uint64_t attempts_ = 0;
  Sale sale_;
  bool contradicts_ = false;
  redact::OnConflict on_conflict_ = redact::OnConflict::refuse;
  base::Instant opened_at_{};
  std::optional<Sale> last_stored_;
};

}  // namespace whole
