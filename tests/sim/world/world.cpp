#include "tests/sim/world/world.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "proto/platform/system.hpp"

namespace whole {
namespace {

using namespace std::chrono_literals;

// So many things happen in no run that comes to rest.
constexpr std::uint64_t kStepsMax = 20'000'000;
constexpr auto kConvergesWithin = 90min;

}  // namespace

World::World(std::uint64_t seed, const Options& options)
    : env_(seed, options.telling), hasher_(platform::hasher()), checker_(env_) {
  env_.faults = drawn(env_.random);
  if (options.adjust) options.adjust(env_.faults);
  env_.sabotage = options.sabotage;
  env_.chaos_time = options.chaos_time      ? *options.chaos_time
                    : env_.random.one_in(3) ? env_.between(1h, 12h)
                                            : env_.between(5min, 40min);
  env_.story.tell([&] { return "faults: " + env_.faults.describe(); });
  const auto partitions = static_cast<std::uint32_t>(env_.random.between(1, 4));
  broker_ = std::make_unique<Broker>(env_);
  central_ = std::make_unique<Central>(env_, checker_, partitions, env_.random.between(1, 3));
  group_ = std::make_unique<Group>(env_, partitions);
  const std::uint64_t shops = env_.random.between(1, 4);
  for (std::uint64_t number = 1; number <= shops; ++number) open_shop(number);
  const std::uint64_t bridges = env_.random.between(1, 3);
  for (std::uint64_t number = 1; number <= bridges; ++number) {
    bridges_.push_back(std::make_unique<BridgeHost>(env_, *broker_, *central_, *group_, hasher_, number));
  }
}

void World::open_shop(std::uint64_t number) {
  auto shop =
      std::make_unique<Shop>(Shop{.id = fmt::format("shop-{}", number), .boxes = {}, .images = {}, .terminals = {}});
  shop->boxes.push_back(std::make_unique<Box>(env_, *broker_, checker_, hasher_, shop->id, ++boxes_));
  const std::uint64_t terminals = env_.random.between(1, 3);
  for (std::uint64_t i = 1; i <= terminals; ++i) {
    shop->terminals.push_back(std::make_unique<Terminal>(env_, checker_, shop->id, fmt::format("t{}", i),
                                                         [this, to = shop.get()] { return &some_box(*to); }));
  }
  shops_.push_back(std::move(shop));
}

void World::run_until(base::Instant end) {
  while (!env_.story.failure() && env_.clock.step(end)) {
    if (env_.clock.steps() > kStepsMax) env_.story.fail("[converges] never comes to rest");
  }
}

Outcome World::run() {
  for (const auto& bridge : bridges_) bridge->start();
  for (const auto& shop : shops_) {
    shop->boxes.front()->start();
    for (const auto& terminal : shop->terminals) terminal->start();
  }
  const base::Instant chaos_ends = env_.clock.at() + env_.chaos_time;
  while (!env_.story.failure() && env_.clock.at() < chaos_ends) {
    run_until(env_.clock.at() + env_.between(500ms, env_.chaos_time / 60));
    strike();
  }
  const base::Instant calm_at = env_.clock.at();
  calm();
  while (!env_.story.failure() && !converged() && env_.clock.at() < calm_at + kConvergesWithin) {
    run_until(env_.clock.at() + 10s);
  }
  if (!env_.story.failure() && !converged()) env_.story.fail("[converges] although all is calm: " + what_is_open());
  if (!env_.story.failure()) checker_.judge();

  Outcome outcome;
  outcome.failure = env_.story.failure();
  outcome.story = env_.story.take_lines();
  outcome.subject = env_.story.subject();
  outcome.faults = env_.faults;
  outcome.events = checker_.told();
  outcome.records = checker_.records();
  outcome.messages = broker_->messages();
  outcome.dropped = broker_->dropped();
  outcome.transactions = central_->transactions();
  outcome.steps = env_.clock.steps();
  outcome.possible_repeats = checker_.possible_repeats();
  outcome.losses = checker_.losses();
  outcome.trace = env_.story.traced() ^ checker_.fingerprint();
  const std::chrono::duration<double, std::ratio<3600>> lived = env_.clock.at().time_since_epoch();
  outcome.gateway_hours = lived.count() * static_cast<double>(shops_.size());
  return outcome;
}

// No more faults. Each shop is left with one box, and everybody works.
void World::calm() {
  env_.story.tell([] { return std::string("--- calm ---"); });
  env_.chaos = false;
  broker_->calm();
  central_->calm();
  for (const auto& shop : shops_) {
    while (shop->boxes.size() > 1) retire(*shop, some_box(*shop));
    shop->boxes.front()->calm();
    if (!shop->boxes.front()->running()) shop->boxes.front()->start();
    for (const auto& terminal : shop->terminals) terminal->finish();
  }
  for (const auto& bridge : bridges_) {
    if (!bridge->running()) bridge->start();
  }
}

bool World::converged() const {
  const auto shop_rests = [](const std::unique_ptr<Shop>& shop) {
    return shop->boxes.front()->settled() &&
           std::ranges::all_of(shop->terminals, [](const auto& terminal) { return terminal->idle(); });
  };
  return std::ranges::all_of(shops_, shop_rests) && central_->settled();
}

std::string World::what_is_open() const {
  std::string text;
  for (const auto& shop : shops_) {
    for (const auto& box : shop->boxes) text += fmt::format("{} {}; ", shop->id, box->state());
  }
  return text + (central_->settled() ? "the stream rests" : "transactions are open");
}

Outcome simulate(std::uint64_t seed, const Options& options) { return World(seed, options).run(); }

}  // namespace whole
