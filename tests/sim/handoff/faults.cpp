// World's faults: which are on in a run, and how each strikes.
#include "tests/sim/handoff/world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tests/sim/story/messages.hpp"

namespace sim {
namespace {

constexpr std::size_t kBoxesMax = 3;
constexpr std::size_t kImagesMax = 3;

}  // namespace

Faults Faults::drawn(support::SeededRandom& random) {
  Faults faults;
  for (bool* one : {&faults.loss, &faults.duplication, &faults.reordering, &faults.long_delay, &faults.disconnect,
                    &faults.box_crash, &faults.takeover, &faults.unknown_commit, &faults.trim, &faults.forged_ack,
                    &faults.credit, &faults.small_window}) {
    *one = random.one_in(2);
  }
  for (bool* one : {&faults.image, &faults.clone, &faults.memory, &faults.salvage, &faults.disk_replaced,
                    &faults.roll_back, &faults.wipe}) {
    *one = random.one_in(3);
  }
  // What the protocol leaves open (README.md, "What it leaves open"): unverifiable rows that a salvage voids, or that a
  // roll-back takes out of the stream again.
  if (faults.memory) faults.salvage = faults.roll_back = faults.wipe = false;
  // A clone whose rows nobody else has dies with them in the end; a salvage of only one of two disks stays honest, too.
  return faults;
}

std::string Faults::describe() const {
  std::string text;
  const auto add = [&text](bool on, const char* word) {
    if (on) text += std::string(text.empty() ? "" : " ") + word;
  };
  add(loss, "loss");
  add(duplication, "duplication");
  add(reordering, "reordering");
  add(long_delay, "long_delay");
  add(disconnect, "disconnect");
  add(box_crash, "box_crash");
  add(image, "image");
  add(clone, "clone");
  add(memory, "memory");
  add(salvage, "salvage");
  add(disk_replaced, "disk_replaced");
  add(roll_back, "roll_back");
  add(wipe, "wipe");
  add(takeover, "takeover");
  add(unknown_commit, "unknown_commit");
  add(trim, "trim");
  add(forged_ack, "forged_ack");
  add(credit, "credit");
  add(small_window, "small_window");
  return text;
}

// --- what happens --------------------------------------------------------------------------------

World::BoxPtr World::some_box() { return boxes_.empty() ? nullptr : boxes_[random_.below(boxes_.size())]; }

void World::take_image(const BoxPtr& box) {
  tell([&] { return fmt::format("image of box {} taken at row {}", box->number, box->disk.next().value() - 1); });
  images_.push_back(box->disk);
  if (images_.size() > kImagesMax)
    images_.erase(images_.begin() + static_cast<std::ptrdiff_t>(random_.below(kImagesMax)));
}

void World::restore_image(const BoxPtr& box) {
  if (images_.empty()) return;
  stop(box);
  const support::ModelJournal old = std::exchange(box->disk, images_[random_.below(images_.size())]);
  tell([&] { return fmt::format("box {} is restored from an image", box->number); });
  discard(old);
  start(box);
}

void World::restore_memory(const BoxPtr& box, bool beside) {
  if (!memory_) return;
  BoxPtr target = box;
  if (beside) {
    if (boxes_.size() >= kBoxesMax) return;
    target = std::make_shared<Box>(Box{.number = ++boxes_made_, .disk = memory_->disk});
    boxes_.push_back(target);
  } else {
    stop(box);
    const support::ModelJournal old = std::exchange(box->disk, memory_->disk);
    discard(old);
  }
  tell([&] { return fmt::format("box {} goes on from a snapshot of live memory", target->number); });
  ++target->life;
  target->origin = ++origins_;
  target->requests = 0;
  target->wakeup.reset();
  target->sender.emplace(memory_->sender);
  target->connected = true;
  pump(target);
  disconnect(target);
}

void World::salvage(const BoxPtr& box) {
  const std::uint64_t rows = box->disk.next() - box->disk.oldest();
  if (rows == 0) return;
  stop(box);
  const handoff::Row first = box->disk.oldest() + random_.below(rows);
  const handoff::Row last = first + random_.below(std::min<std::uint64_t>(box->disk.next() - first, 6));
  const base::Bytes notice = fmt::format("hole-{}", ++taps_);
  std::vector<base::Bytes> lost;
  for (handoff::Row row = first; row <= last; ++row) lost.push_back(box->disk.at(row));
  tell([&] {
    return fmt::format("box {}: rows {}..{} are unreadable: {}", box->number, first.value(), last.value(), notice);
  });
  ledger_.on_answered(notice, ++origins_);
  ledger_.on_hole(lost, notice);
  box->disk.salvage(first, last, notice, random_);
  start(box);
}

void World::replace_disk(const BoxPtr& box) {
  stop(box);
  const support::ModelJournal old = std::exchange(box->disk, support::ModelJournal(hasher_, random_));
  tell([&] { return fmt::format("box {} gets a new disk", box->number); });
  discard(old);
  start(box);
}

void World::roll_back(ModelStream to) {
  tell([&] {
    return fmt::format("the stream is rolled back from {} to {} entries", stream_.entries.size(), to.entries.size());
  });
  ledger_.on_rolled_back(stream_, to);
  stream_ = std::move(to);
  bridges_.clear();
  take_over();
}

void World::strike() {
  const BoxPtr box = some_box();
  if (!box) return;
  const auto turn = [&](bool on, std::uint64_t n) { return on && random_.one_in(n); };
  for (std::uint64_t i = random_.below(4); i > 0; --i) tap(some_box());
  if (turn(faults_.trim, 4)) {
    box->disk.trim(box->disk.oldest() + random_.below(20));
    if (box->sender) box->sender->on_trimmed(box->disk.oldest(), box->disk.base(), at());
  }
  if (turn(faults_.forged_ack, 6)) forge_ack();
  if (turn(faults_.disconnect, 12)) disconnect(box);
  if (turn(faults_.takeover, 25)) take_over();
  if (turn(faults_.roll_back, 30)) backup_ = stream_;
  if (turn(faults_.roll_back, 60) && backup_) roll_back(*backup_);
  if (turn(faults_.wipe, 90)) {
    backup_.reset();
    roll_back({});
  }
  if (turn(faults_.image || faults_.clone, 15)) take_image(box);
  if (turn(faults_.memory, 15) && box->sender && box->requests == 0)
    memory_.emplace(Snapshot{box->disk, *box->sender, box->origin});
  if (turn(faults_.memory, 50)) restore_memory(box, faults_.clone && random_.one_in(2));
  if (turn(faults_.clone, 60) && !images_.empty() && boxes_.size() < kBoxesMax)
    add_box(images_[random_.below(images_.size())]);
  if (turn(faults_.clone, 60) && boxes_.size() > 1) {
    stop(box);
    std::erase(boxes_, box);
    discard(box->disk);
    return;
  }
  if (turn(faults_.image, 60)) return restore_image(box);
  if (turn(faults_.disk_replaced, 120)) return replace_disk(box);
  if (turn(faults_.salvage, 60)) return salvage(box);
  if (turn(faults_.box_crash, 25)) {
    stop(box);
    if (random_.one_in(3)) box->disk.flush();
    start(box);
  }
}

}  // namespace sim
