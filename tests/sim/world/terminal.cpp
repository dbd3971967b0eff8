#include "tests/sim/world/terminal.hpp"

#include <fmt/format.h>

#include <utility>

namespace whole {
namespace {

using namespace std::chrono_literals;

// Well within the time for which a gateway remembers what it has stored.
constexpr auto kGivesUp = 5min;

}  // namespace

Terminal::Terminal(Env& env, Checker& checker, std::string gateway, std::string name, std::function<Box*()> reach)
    : env_(env), checker_(checker), gateway_(std::move(gateway)), name_(std::move(name)), reach_(std::move(reach)) {}

void Terminal::sell_later() {
  const auto pause = env_.random.one_in(3) ? env_.between(1ms, 300ms) : env_.between(1s, env_.chaos_time / 30);
  env_.clock.after(pause, [this] {
    if (!finishing_) sell();
  });
}

void Terminal::sell() {
  ++number_;
  open_ = true;
  attempts_ = 0;
  opened_at_ = env_.clock.at();
  contradicts_ = last_stored_ && env_.strikes(env_.faults.conflicts, 5);
  on_conflict_ = contradicts_ && env_.random.one_in(2) ? redact::OnConflict::store : redact::OnConflict::refuse;
  const auto amount = static_cast<std::int64_t>(number_ * 100);
  sale_ = {gateway_, name_, contradicts_ ? last_stored_->ref : fmt::format("r{}", ++refs_), amount};
  last_stored_.reset();
  checker_.on_submitted(sale_);
  attempt();
}

void Terminal::attempt() {
  if (env_.chaos && env_.clock.at() - opened_at_ > kGivesUp) {
    env_.story.tell([&] { return fmt::format("terminal gives {} up", sale_.name()); });
    return close();
  }
  ++attempts_;
  const std::uint64_t number = number_;
  const std::uint64_t attempts = attempts_;
  env_.clock.after(env_.between(200us, 20ms), [this, number, sale = sale_, on_conflict = on_conflict_] {
    Box* box = reach_();
    if (box == nullptr) return;
    box->submit(sale, on_conflict, [this, number, sale](const terminal::Answer& answer, std::uint64_t opening) {
      if (env_.strikes(env_.faults.lost_answers, 4)) return;
      env_.clock.after(env_.between(200us, 20ms),
                       [this, number, sale, answer, opening] { on_answer(number, sale, answer, opening); });
    });
  });
  env_.clock.after(env_.between(3s, 15s), [this, number, attempts] {
    if (open_ && number_ == number && attempts_ == attempts) attempt();
  });
}

void Terminal::on_answer(std::uint64_t number, const Sale& sale, const terminal::Answer& answer,
                         std::uint64_t opening) {
  const bool in_time = open_ && number == number_;
  if (const auto* stored = std::get_if<terminal::Stored>(&answer)) {
    env_.story.tell([&] { return fmt::format("terminal is told that {} is {}", sale.name(), stored->event_id); });
    checker_.on_told(sale, {stored->event_id, stored->epoch, stored->seq, opening}, in_time);
    if (!in_time) return;
    last_stored_ = sale;
    return close();
  }
  const auto& refusal = std::get<terminal::Refusal>(answer);
  env_.story.tell([&] { return fmt::format("terminal is refused {}: {}", sale.name(), redact::word(refusal.reason)); });
  if (!in_time || refusal.reason == terminal::Reason::busy || refusal.reason == terminal::Reason::storage) return;
  if (refusal.reason != terminal::Reason::conflicting_duplicate || !contradicts_) {
    return env_.story.fail(fmt::format("[consistent] {} is refused: {}", sale.name(), refusal.message), sale.ref);
  }
  checker_.on_refused_for_good(sale);
  close();
}

void Terminal::close() {
  open_ = false;
  if (!finishing_) sell_later();
}

}  // namespace whole
