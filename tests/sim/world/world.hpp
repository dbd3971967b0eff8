// World: shops with their terminals and boxes, a broker, bridges and a central stream, in simulated time. One 64-bit
// seed decides everything: how many of each there are, which classes of fault are on, when each strikes, and every
// random number that the machines draw. The last phase is calm, and everything must come to rest.
//
//   terminals ─▶ boxes (gateway::Gateway, disk) ═▶ Broker ═▶ bridges (bridge::ShardGroup) ─▶ StreamClient ═▶ Central
//        └──────────────────────────────── Checker ────────────────────────────────────────────────┘
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/world/bridge_host.hpp"
#include "tests/sim/world/terminal.hpp"

namespace whole {

struct Outcome {
  std::optional<std::string> failure;
  std::vector<std::string> story;  // when it is kept
  std::string subject;             // a word that lines about the failure hold
  Faults faults;
  std::uint64_t events = 0;  // that terminals were told of
  std::uint64_t records = 0;
  std::uint64_t messages = 0;
  std::uint64_t dropped = 0;
  std::uint64_t transactions = 0;
  std::uint64_t steps = 0;
  std::uint64_t possible_repeats = 0;
  std::uint64_t losses = 0;
  std::uint64_t trace = 0;  // of everything that happened
  double gateway_hours = 0;
};

struct Options {
  sim::Story::Telling telling = sim::Story::Telling::none;
  Sabotage sabotage = Sabotage::none;
  // Instead of the time that the seed would draw.
  std::optional<std::chrono::minutes> chaos_time = {};
  // May change the faults that were drawn.
  std::function<void(Faults&)> adjust = {};
};

[[nodiscard]] Outcome simulate(std::uint64_t seed, const Options& options = {});

class World {
 public:
  World(std::uint64_t seed, const Options& options);
  [[nodiscard]] Outcome run();

 private:
  struct Shop {
    std::string id;
    std::vector<std::unique_ptr<Box>> boxes;  // the live ones
    std::vector<Disk> images;
    std::vector<std::unique_ptr<Terminal>> terminals;
  };

  void open_shop(std::uint64_t number);
  void run_until(base::Instant end);
  void calm();
  [[nodiscard]] bool converged() const;
  [[nodiscard]] std::string what_is_open() const;

  // Faults: strikes.cpp.
  void strike();
  void strike_line();
  void strike_box(Shop& shop);
  void strike_disk(Shop& shop);
  void strike_bridges();
  [[nodiscard]] Shop& some_shop() { return *shops_[env_.random.below(shops_.size())]; }
  [[nodiscard]] Box& some_box(Shop& shop) { return *shop.boxes[env_.random.below(shop.boxes.size())]; }
  void crash(Box& box);
  void restore_image(Shop& shop, Box& box);
  void add_clone(Shop& shop);
  void retire(Shop& shop, Box& box);
  void replace_disk(Shop& shop, Box& box);
  // Its rows are nowhere else.
  void discard(const Shop& shop, const Disk& disk);

  Env env_;
  const base::Hasher& hasher_;
  Checker checker_;
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<Central> central_;
  std::unique_ptr<Group> group_;
  std::vector<std::unique_ptr<Shop>> shops_;
  std::vector<std::unique_ptr<BridgeHost>> bridges_;
  std::vector<std::unique_ptr<Box>> retired_;
  std::uint64_t boxes_ = 0;
};

}  // namespace whole
