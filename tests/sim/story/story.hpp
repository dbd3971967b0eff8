// Story: what happened in a run, and the first promise that it broke. Lines are made only when somebody wants to read
// them; the trace of what happened is always kept, so that two runs can be compared.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/clock/clock.hpp"

namespace sim {

class Story {
 public:
  enum class Telling { none, kept, aloud };  // aloud: printed as it happens

  // The clock must outlive it.
  Story(const Clock& clock, Telling telling) : clock_(clock), telling_(telling) {}

  // `line` makes a line.
  template <class Line>
  void tell(Line&& line) {
    if (telling_ == Telling::none) return;
    const auto us = clock_.at().time_since_epoch().count();
    std::string told = fmt::format("{:>6}.{:06} {}", us / 1'000'000, us % 1'000'000, line());
    if (telling_ == Telling::kept) return lines_.push_back(std::move(told));
    std::printf("%s\n", told.c_str());
    std::fflush(stdout);
  }
  // The first failure is the one that counts. `subject`: a word that the lines about it hold.
  void fail(std::string what, std::string subject = {}) {
    if (failure_) return;
    tell([&] { return "FAILED: " + what; });
    failure_ = std::move(what);
    subject_ = std::move(subject);
  }
  // Goes into the trace, with the time.
  void trace(std::initializer_list<std::uint64_t> numbers) {
    mix(static_cast<std::uint64_t>(clock_.at().time_since_epoch().count()));
    for (const std::uint64_t number : numbers) mix(number);
  }

  [[nodiscard]] const std::optional<std::string>& failure() const { return failure_; }
  [[nodiscard]] const std::string& subject() const { return subject_; }
  [[nodiscard]] std::uint64_t traced() const { return trace_; }
  [[nodiscard]] std::vector<std::string> take_lines() { return std::move(lines_); }

 private:
  void mix(std::uint64_t number) {
    trace_ = (trace_ ^ number) * 0xbf58476d1ce4e5b9ULL;
    trace_ ^= trace_ >> 29U;
  }

  const Clock& clock_;
  Telling telling_;
  std::vector<std::string> lines_;
  std::optional<std::string> failure_;
  std::string subject_;
  std::uint64_t trace_ = 0;
};

}  // namespace sim
