// sim: runs seeds of the whole system's simulation.
//
//   sim --seed N                         one seed
//   sim --seeds K [--from N]             seeds N … N + K - 1
//   sim --seconds S [--from N]           as many as fit; without --from it begins at a seed of its own choice
//   --jobs J: threads. --verbose: the whole story of one seed, failed or not. --minutes M: each seed's faults go on for
//   so long (sim_suite's seeds: 10).
//
// A failing seed is run again and its story printed.
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/sim/world/world.hpp"

namespace {

using Telling = sim::Story::Telling;

constexpr std::size_t kLastLines = 120;
constexpr std::uint64_t kFailuresMax = 5;

thread_local std::uint64_t current_seed = 0;

// An assertion of the product has failed.
extern "C" void on_abort(int /*signal*/) {
  std::array<char, 80> line{};
  const int length =
      std::snprintf(line.data(), line.size(), "seed %llu aborts (replay: ./dev sim 1 --seed %llu)\n",
                    static_cast<unsigned long long>(current_seed), static_cast<unsigned long long>(current_seed));
  static_cast<void>(!write(STDERR_FILENO, line.data(), static_cast<std::size_t>(length)));
}

std::optional<std::chrono::minutes> chaos_time;

whole::Outcome simulate(std::uint64_t seed, Telling telling) {
  current_seed = seed;
  return whole::simulate(seed, {.telling = telling, .chaos_time = chaos_time});
}

struct Arguments {
  std::map<std::string, std::uint64_t> numbers;
  bool verbose = false;

  [[nodiscard]] std::uint64_t number(const std::string& name, std::uint64_t otherwise) const {
    const auto found = numbers.find(name);
    return found == numbers.end() ? otherwise : found->second;
  }
};

bool parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--verbose") {
      arguments.verbose = true;
      continue;
    }
    const bool known = name == "--seed" || name == "--seeds" || name == "--from" || name == "--seconds" ||
                       name == "--jobs" || name == "--minutes";
    if (!known || i + 1 == argc) return false;
    const char* text = argv[++i];
    const auto parsed = std::from_chars(text, text + std::strlen(text), arguments.numbers[name]);
    if (parsed.ec != std::errc() || *parsed.ptr != '\0') return false;
  }
  return !arguments.numbers.empty();
}

// The end of the story, and before it what concerns the failure.
void print_story(const whole::Outcome& outcome) {
  const auto& lines = outcome.story;
  const std::size_t tail = lines.size() < kLastLines ? 0 : lines.size() - kLastLines;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const bool concerns = !outcome.subject.empty() && lines[i].find(outcome.subject) != std::string::npos;
    const bool is_scene = lines[i].find("faults:") != std::string::npos || lines[i].find("---") != std::string::npos;
    if (i >= tail || concerns || is_scene) fmt::print("{}\n", lines[i]);
  }
}

int run_one(std::uint64_t seed, bool verbose) {
  const whole::Outcome outcome = simulate(seed, verbose ? Telling::aloud : Telling::kept);
  if (outcome.failure) print_story(outcome);
  fmt::print(
      "seed {} [{}]: {} events, {} records, {} messages ({} dropped), {} transactions, {} possible repeats, {} losses, "
      "{} steps, {:.1f} gateway-hours, trace {:016x}: {}\n",
      seed, outcome.faults.describe(), outcome.events, outcome.records, outcome.messages, outcome.dropped,
      outcome.transactions, outcome.possible_repeats, outcome.losses, outcome.steps, outcome.gateway_hours,
      outcome.trace, outcome.failure.value_or("good"));
  return outcome.failure ? 1 : 0;
}

// Many seeds, on several threads; each run is one thread's own.
class Campaign {
 public:
  Campaign(std::uint64_t from, std::uint64_t seeds, std::chrono::seconds time)
      : next_(from), end_(from + seeds), deadline_(std::chrono::steady_clock::now() + time) {}

  int run(std::uint64_t jobs) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    for (std::uint64_t i = 0; i < jobs; ++i) threads.emplace_back([this] { work(); });
    for (std::thread& thread : threads) thread.join();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    fmt::print("{} seeds: {} failed; {} events, {:.0f} gateway-hours in {:.1f} s: {:.0f} a minute\n", done_,
               failed_.load(), events_, gateway_hours_, took.count(), gateway_hours_ / took.count() * 60);
    return failed_ == 0 ? 0 : 1;
  }

 private:
  void work() {
    while (std::chrono::steady_clock::now() < deadline_ && failed_ < kFailuresMax) {
      const std::uint64_t seed = next_++;
      if (seed >= end_) return;
      const whole::Outcome outcome = simulate(seed, Telling::none);
      const std::lock_guard lock(mutex_);
      ++done_;
      events_ += outcome.events;
      gateway_hours_ += outcome.gateway_hours;
      if (!outcome.failure) continue;
      ++failed_;
      fmt::print("seed {} fails; again, with its story (replay: ./dev sim 1 --seed {}):\n", seed, seed);
      static_cast<void>(run_one(seed, false));
      std::fflush(stdout);
    }
  }

  std::atomic<std::uint64_t> next_;
  std::uint64_t end_;
  std::chrono::steady_clock::time_point deadline_;
  std::mutex mutex_;
  std::uint64_t done_ = 0;
  std::atomic<std::uint64_t> failed_ = 0;
  std::uint64_t events_ = 0;
  double gateway_hours_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGABRT, on_abort);
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fprintf(
        stderr,
        "usage: sim --seed N [--verbose] | --seeds K [--from N] | --seconds S [--from N]   [--jobs J] [--minutes M]\n");
    return 2;
  }
  if (arguments.numbers.contains("--minutes")) chaos_time = std::chrono::minutes(arguments.number("--minutes", 0));
  if (arguments.numbers.contains("--seed")) return run_one(arguments.number("--seed", 0), arguments.verbose);
  const bool timed = arguments.numbers.contains("--seconds");
  const std::uint64_t from = arguments.number("--from", timed ? std::random_device{}() : 1);
  fmt::print("from seed {}\n", from);
  std::fflush(stdout);
  Campaign campaign(from, arguments.number("--seeds", 1ULL << 62U),
                    std::chrono::seconds(arguments.number("--seconds", 1U << 30U)));
  return campaign.run(arguments.number("--jobs", 1));
}
