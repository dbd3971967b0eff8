// World's faults: how each strikes.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "tests/sim/world/world.hpp"

namespace whole {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kImagesMax = 3;
constexpr std::size_t kBoxesMax = 3;

}  // namespace

void World::strike() {
  strike_line();
  Shop& shop = some_shop();
  strike_box(shop);
  strike_disk(shop);
  strike_bridges();
}

void World::strike_line() {
  const Faults& faults = env_.faults;
  if (env_.strikes(faults.cut, 6)) broker_->cut_one();
  if (env_.strikes(faults.half_open, 12)) broker_->make_half_open();
  if (env_.strikes(faults.refused, 25)) broker_->refuse_until(env_.clock.at() + env_.between(1s, 300s));
  if (env_.strikes(faults.broker_restart, 30)) broker_->restart();
}

void World::strike_box(Shop& shop) {
  const Faults& faults = env_.faults;
  Box& box = some_box(shop);
  if (env_.strikes(faults.full_disk, 15)) box.fill_disk(env_.clock.at() + env_.between(1s, 120s));
  if (env_.strikes(faults.clock_steps, 20)) box.step_clock(env_.between(0s, 2h) - 1h);
  if (env_.strikes(faults.gateway_crash, 10)) crash(box);
}

void World::strike_disk(Shop& shop) {
  const Faults& faults = env_.faults;
  if (env_.strikes(faults.image || faults.clone, 10)) {
    shop.images.push_back(some_box(shop).disk());
    if (shop.images.size() > kImagesMax) shop.images.erase(shop.images.begin());
  }
  if (env_.strikes(faults.image, 25)) restore_image(shop, some_box(shop));
  if (env_.strikes(faults.clone, 30)) add_clone(shop);
  if (env_.strikes(faults.clone, 20) && shop.boxes.size() > 1) retire(shop, some_box(shop));
  if (env_.strikes(faults.disk_replaced, 40)) replace_disk(shop, some_box(shop));
}

void World::strike_bridges() {
  const Faults& faults = env_.faults;
  BridgeHost& bridge = *bridges_[env_.random.below(bridges_.size())];
  if (env_.strikes(faults.bridge_crash, 12) && bridge.running()) {
    bridge.kill();
    env_.clock.after(env_.between(1s, 120s), [&bridge] {
      if (!bridge.running()) bridge.start();
    });
  }
  if (env_.strikes(faults.bridge_sleeps, 12)) bridge.pause(env_.between(1s, 300s));
  if (env_.strikes(faults.rebalance, 15)) group_->shuffle();
  if (env_.strikes(faults.stream_down, 25)) central_->down_until(env_.clock.at() + env_.between(1s, 120s));
}

void World::crash(Box& box) {
  if (!box.running()) return;
  box.kill();
  env_.clock.after(env_.between(100ms, 120s), [this, &box] {
    const bool lives = std::ranges::none_of(retired_, [&](const auto& one) { return one.get() == &box; });
    if (lives && !box.running()) box.start();
  });
}

void World::discard(const Shop& shop, const Disk& disk) {
  std::unordered_set<std::string> kept;
  for (const auto& box : shop.boxes) {
    for (const auto& [row, event_id] : box->disk().event_ids) kept.insert(event_id);
  }
  for (const auto& [row, event_id] : disk.event_ids) {
    if (!kept.contains(event_id) && !checker_.is_decided(event_id)) checker_.on_gone(event_id);
  }
}

void World::restore_image(Shop& shop, Box& box) {
  if (shop.images.empty()) return;
  env_.story.tell([&] { return fmt::format("{} box {} is restored from an image", shop.id, box.number()); });
  checker_.on_disk_exchanged(shop.id);
  box.kill();
  discard(shop, box.exchange_disk(shop.images[env_.random.below(shop.images.size())]));
  box.start();
}

void World::add_clone(Shop& shop) {
  if (shop.images.empty() || shop.boxes.size() >= kBoxesMax) return;
  checker_.on_disk_exchanged(shop.id);
  auto box = std::make_unique<Box>(env_, *broker_, checker_, hasher_, shop.id, ++boxes_);
  env_.story.tell([&] { return fmt::format("{} box {} is a clone", shop.id, box->number()); });
  static_cast<void>(box->exchange_disk(shop.images[env_.random.below(shop.images.size())]));
  box->start();
  shop.boxes.push_back(std::move(box));
}

void World::retire(Shop& shop, Box& box) {
  env_.story.tell([&] { return fmt::format("{} box {} is taken away", shop.id, box.number()); });
  box.kill();
  const auto found = std::ranges::find_if(shop.boxes, [&](const auto& one) { return one.get() == &box; });
  retired_.push_back(std::move(*found));
  shop.boxes.erase(found);
  discard(shop, retired_.back()->disk());
}

void World::replace_disk(Shop& shop, Box& box) {
  env_.story.tell([&] { return fmt::format("{} box {} gets a new disk", shop.id, box.number()); });
  checker_.on_new_disk(shop.id);
  box.kill();
  discard(shop, box.exchange_disk({}));
  box.start();
}

}  // namespace whole
