#include "tests/sim/handoff/world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "proto/platform/system.hpp"
#include "proto/wire/codec.hpp"

namespace sim {
namespace {

namespace v1 = tillstream::v1;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

const std::string kGateway = "shop-1";
constexpr std::size_t kBoxesMax = 3;
constexpr std::size_t kImagesMax = 3;
// So many things happen in no run that comes to rest.
constexpr std::uint64_t kStepsMax = 200'000;
constexpr auto kUtcStart = seconds(1'764'000'000);

std::string brief(base::BytesView bytes) { return base::to_hex(bytes).substr(0, 8); }

std::string describe(const v1::Up& up) {
  if (up.has_hello()) {
    const v1::Hello& hello = up.hello();
    return fmt::format(
        "Hello epoch {}{} run {} next {}{}{}", brief(hello.epoch()), hello.new_epoch() ? " (new)" : "",
        brief(hello.run()), hello.next_seq(),
        hello.has_supersedes()
            ? fmt::format(" supersedes {}/{}", brief(hello.supersedes().epoch()), hello.supersedes().seq())
            : "",
        hello.has_lost()
            ? fmt::format(" lost {} {}..{}", hello.lost().reason(), hello.lost().first_seq(), hello.lost().last_seq())
            : "");
  }
  if (up.has_batch()) {
    const v1::Batch& batch = up.batch();
    return fmt::format("Batch epoch {} seq {}+{} run {}/{}{}", brief(batch.epoch()), batch.first_seq(),
                       batch.records().record_size(), brief(batch.run()), batch.run_index(),
                       batch.possible_repeat() ? " possible_repeat" : "");
  }
  return "Heartbeat";
}

std::string describe(const v1::Down& down) {
  if (down.has_owner()) return "Owner";
  const v1::Ack& ack = down.ack();
  std::string runs;
  for (const auto& run : ack.progress().runs()) runs += fmt::format(" {}:{}", brief(run.run()), run.count());
  return fmt::format("Ack {} epoch {} seq {}{}{}", v1::Ack::Reason_Name(ack.reason()), brief(ack.epoch()), ack.seq(),
                     ack.has_nonce() ? " (answer)" : "", runs);
}

}  // namespace

// --- faults --------------------------------------------------------------------------------------

Faults Faults::drawn(support::SeededRandom& random) {
  Faults faults;
  for (bool* one : {&faults.loss, &faults.duplication, &faults.reordering, &faults.long_delay, &faults.disconnect,
                    &faults.box_crash, &faults.takeover, &faults.unknown_commit, &faults.trim, &faults.forged_ack,
                    &faults.credit, &faults.small_window}) {
    *one = random.one_in(2);
  }
  for (bool* one :
       {&faults.image, &faults.clone, &faults.memory, &faults.salvage, &faults.disk_replaced, &faults.roll_back}) {
    *one = random.one_in(3);
  }
  // What the protocol leaves open (README.md, "What it leaves open"): unverifiable rows that a salvage voids, or that a
  // roll-back takes out of the stream again.
  if (faults.memory) faults.salvage = faults.roll_back = false;
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
  add(takeover, "takeover");
  add(unknown_commit, "unknown_commit");
  add(trim, "trim");
  add(forged_ack, "forged_ack");
  add(credit, "credit");
  add(small_window, "small_window");
  return text;
}

World::World(std::uint64_t seed, std::function<void(const std::string&)> tell)
    : hasher_(platform::hasher()), random_(seed), tell_(std::move(tell)), faults_(Faults::drawn(random_)) {
  coded_ = random_.one_in(8);
  outcome_.faults = faults_;
}

// --- time ----------------------------------------------------------------------------------------

base::Now World::now() const {
  return {at_, base::UtcTime(std::chrono::duration_cast<milliseconds>(at_.time_since_epoch() + kUtcStart))};
}

void World::after(base::Instant::duration delay, std::function<void()> act) {
  due_.push({at_ + delay, ++order_, std::move(act)});
}

void World::run_until(base::Instant end) {
  while (!outcome_.failure && !due_.empty() && due_.top().at <= end) {
    if (++steps_ > kStepsMax) return fail("never comes to rest");
    auto act = due_.top().act;
    at_ = std::max(at_, due_.top().at);
    due_.pop();
    act();
  }
  at_ = std::max(at_, end);
}

void World::tell(const std::function<std::string()>& line) {
  if (!tell_) return;
  const auto us = at_.time_since_epoch().count();
  tell_(fmt::format("{:>10}.{:06} {}", us / 1'000'000, us % 1'000'000, line()));
}

void World::fail(const std::string& what) {
  if (outcome_.failure) return;
  outcome_.failure = what;
  tell([&] { return "FAILED: " + what; });
}

// --- boxes ---------------------------------------------------------------------------------------

handoff::SenderSettings World::settings() const {
  handoff::SenderSettings settings{.gateway_id = kGateway, .program = "sim"};
  settings.batch_events = 16;
  if (faults_.small_window) {
    settings.window_events = 8;
    settings.window_bytes = 400;
    settings.batch_events = 4;
  }
  return settings;
}

World::BoxPtr World::add_box(support::ModelJournal disk) {
  auto box = std::make_shared<Box>(Box{.number = ++boxes_made_, .disk = std::move(disk)});
  boxes_.push_back(box);
  start(box);
  return box;
}

void World::start(const BoxPtr& box) {
  ++box->life;
  box->requests = 0;
  box->wakeup.reset();
  box->origin = ++origins_;
  box->sender.emplace(hasher_, random_, settings());
  const handoff::JournalState state = box->disk.open(random_);
  tell([&] {
    return fmt::format("box {} starts: rows {}..{}, acked {}, epoch {}, run {}", box->number, state.oldest.value(),
                       state.next.value() - 1, state.acked.row.value(), brief(state.epoch.epoch.view()),
                       brief(state.opening.view()));
  });
  box->sender->on_opened(state, at_);
  after(milliseconds(random_.between(1, 300)), [this, box, life = box->life] {
    if (box->life == life && box->sender) connect(box);
  });
}

void World::stop(const BoxPtr& box) {
  ++box->life;
  box->sender.reset();
  box->connected = false;
  tell([&] { return fmt::format("box {} stops", box->number); });
}

void World::connect(const BoxPtr& box) {
  if (box->connected) return;
  box->connected = true;
  const std::uint32_t receive_maximum = faults_.small_window ? static_cast<std::uint32_t>(random_.between(1, 5)) : 20;
  box->sender->on_connected({.receive_maximum = receive_maximum}, at_);
  pump(box);
}

void World::disconnect(const BoxPtr& box) {
  if (!box->sender || !box->connected) return;
  box->connected = false;
  box->sender->on_disconnected(at_);
  pump(box);
  after(milliseconds(random_.between(10, 5'000)), [this, box, life = box->life] {
    if (box->life == life && box->sender) connect(box);
  });
}

void World::append(const BoxPtr& box, std::vector<base::Bytes> records) {
  const handoff::Row first = box->disk.append(records);
  for (const base::Bytes& record : records) ledger_.on_answered(record, box->origin);
  outcome_.events += records.size();
  tell([&] {
    return fmt::format("box {} appends rows {}+{}: {}", box->number, first.value(), records.size(), records.front());
  });
  box->sender->on_appended(first, records, at_);
  pump(box);
}

void World::tap(const BoxPtr& box) {
  if (!box->sender) return;
  std::vector<base::Bytes> records(random_.one_in(3) ? random_.between(1, 12) : 1);
  for (base::Bytes& record : records) {
    record = fmt::format("b{}-{} {}", box->number, ++taps_, std::string(random_.between(1, 60), '.'));
  }
  append(box, std::move(records));
}

// The journal does what it is asked a little later, and answers at once then.
void World::request(const BoxPtr& box, std::function<void(Box&)> act) {
  ++box->requests;
  after(microseconds(random_.between(50, 3'000)), [this, box, life = box->life, act = std::move(act)] {
    if (box->life != life) return;
    --box->requests;
    act(*box);
    pump(box);
  });
}

void World::execute(const BoxPtr& box, handoff::SenderOutput& output) {
  if (auto* send = std::get_if<handoff::Send>(&output)) {
    tell([&] { return fmt::format("box {} ▲ {}", box->number, describe(send->up)); });
    send_up(send->up);
  } else if (auto* read = std::get_if<handoff::Read>(&output)) {
    request(box, [this, wanted = *read](Box& one) {
      const handoff::Row first = std::max(wanted.from, one.disk.oldest());
      one.sender->on_rows(first, one.disk.read(wanted.from, wanted.max_rows, wanted.max_bytes), at_);
    });
  } else if (auto* store = std::get_if<handoff::StoreEpoch>(&output)) {
    request(box, [this, wanted = *store](Box& one) {
      one.disk.start_epoch(wanted.start, wanted.run);
      one.sender->on_epoch_stored(at_);
    });
  } else if (auto* acked = std::get_if<handoff::Acked>(&output)) {
    const handoff::Row before = box->disk.acked().row;
    if (auto problem = ledger_.check_acked(box->disk, before.next(), acked->mark.row)) fail(*problem);
    box->disk.remember_acked(acked->mark);
  } else if (std::holds_alternative<handoff::Reconnect>(output)) {
    tell([&] { return fmt::format("box {}: watchdog", box->number); });
    after(microseconds(1), [this, box, life = box->life] {
      if (box->life == life) disconnect(box);
    });
  } else if (auto* notice = std::get_if<handoff::AppendNotice>(&output)) {
    request(box, [this, box, name = notice->name](Box&) { append(box, {fmt::format("notice-{}-{}", name, ++taps_)}); });
  } else if (auto* alarm = std::get_if<handoff::Alarm>(&output)) {
    tell([&] { return fmt::format("box {}: alarm {}", box->number, static_cast<int>(alarm->kind)); });
    if (alarm->kind == handoff::AlarmKind::epoch_forked) ++outcome_.forks;
  }
}

void World::pump(const BoxPtr& box) {
  if (!box->sender) return;
  for (int i = 0; auto output = box->sender->poll(at_); ++i) {
    if (i > 10'000) return fail("a sender that never comes to rest");
    execute(box, *output);
    if (!box->sender) return;
  }
  const auto wakeup = box->sender->wakeup_at();
  if (!wakeup || (box->wakeup && *box->wakeup <= *wakeup && *box->wakeup > at_)) return;
  box->wakeup = wakeup;
  after(std::max<base::Instant::duration>(*wakeup - at_, microseconds(1)), [this, box, life = box->life] {
    if (box->life != life) return;
    box->wakeup.reset();
    pump(box);
  });
}

// The disk is gone: what only it held is excused.
void World::discard(const support::ModelJournal& disk) {
  std::vector<const support::ModelJournal*> left;
  for (const BoxPtr& box : boxes_) {
    if (&box->disk != &disk) left.push_back(&box->disk);
  }
  ledger_.on_disk_gone(disk, left);
}

// --- bridges -------------------------------------------------------------------------------------

// The new owner is fenced in before it reads; the old one goes on with what it knows, until its next commit fails.
void World::take_over() {
  ++generation_;
  const bool old_goes_on = faults_.takeover && chaos_ && random_.one_in(2);
  if (!old_goes_on) bridges_.clear();
  while (bridges_.size() > 2) bridges_.erase(bridges_.begin());
  handoff::ReceiverSettings settings{.program = "sim"};
  auto bridge =
      std::make_shared<Bridge>(Bridge{generation_, {hasher_, kGateway, settings, stream_.progress}, {}, false});
  bridge->receiver.set_credit(1 << 20);
  bridges_.push_back(bridge);
  tell([&] {
    return fmt::format("bridge {} takes over at seq {}", generation_,
                       stream_.progress ? stream_.progress->place.seq.value() : 0);
  });
  v1::Down down;
  down.mutable_owner()->set_nonce(random_.next());
  send_down(down);
}

void World::drop(const BridgePtr& bridge) {
  tell([&] { return fmt::format("bridge {} is fenced", bridge->generation); });
  std::erase(bridges_, bridge);
}

void World::pump(const BridgePtr& bridge) {
  if (std::find(bridges_.begin(), bridges_.end(), bridge) == bridges_.end()) return;
  while (auto output = bridge->receiver.poll()) {
    if (auto* publish = std::get_if<handoff::Publish>(&*output)) {
      bridge->gathered.push_back(std::move(*publish));
    } else if (auto* reply = std::get_if<handoff::Reply>(&*output)) {
      v1::Down down;
      *down.mutable_ack() = reply->ack;
      tell([&] { return fmt::format("bridge {} ▼ {}", bridge->generation, describe(down)); });
      send_down(down);
    } else if (auto* refuse = std::get_if<handoff::Refuse>(&*output)) {
      tell([&] { return fmt::format("bridge {} refuses: {}", bridge->generation, static_cast<int>(refuse->reason)); });
    }
  }
  begin_commit(bridge);
}

void World::begin_commit(const BridgePtr& bridge) {
  if (bridge->committing || bridge->gathered.empty()) return;
  bridge->committing = true;
  const auto slow =
      random_.one_in(20) ? milliseconds(random_.between(100, 4'000)) : milliseconds(random_.between(1, 15));
  after(slow, [this, bridge, transaction = std::exchange(bridge->gathered, {})] { end_commit(bridge, transaction); });
}

void World::end_commit(const BridgePtr& bridge, std::vector<handoff::Publish> transaction) {
  if (std::find(bridges_.begin(), bridges_.end(), bridge) == bridges_.end()) return;
  if (bridge->generation != generation_) return drop(bridge);
  bridge->committing = false;
  const bool unknown = chaos_ && faults_.unknown_commit && random_.one_in(12);
  if (!unknown || random_.one_in(2)) apply(transaction);
  if (unknown) {
    tell([&] { return fmt::format("bridge {}: outcome unknown, reads again", bridge->generation); });
    bridge->gathered.clear();
    bridge->receiver.on_reset(stream_.progress);
  } else {
    bridge->receiver.on_committed(transaction.back().ticket);
  }
  pump(bridge);
}

void World::apply(std::vector<handoff::Publish>& transaction) {
  for (handoff::Publish& publish : transaction) {
    for (handoff::PublishedRow& row : publish.rows) {
      ledger_.on_published(row.record);
      outcome_.repeats += publish.possible_repeat ? 1 : 0;
      stream_.entries.push_back({std::move(row.record), publish.epoch, row.seq, publish.possible_repeat});
    }
    if (publish.loss) {
      tell([&] {
        return fmt::format("stream: lost {}..{}, {}", publish.loss->lost.first.value(), publish.loss->lost.last.value(),
                           publish.loss->lost.reason);
      });
      stream_.losses.push_back(*publish.loss);
    }
    for (const handoff::Notice notice : publish.notices) {
      outcome_.quarantines += notice == handoff::Notice::gateway_cloned ? 1 : 0;
      tell([&] {
        return fmt::format("stream: notice {}",
                           notice == handoff::Notice::gateway_cloned ? "gateway_cloned" : "quarantine_ended");
      });
    }
    stream_.progress = std::move(publish.progress);
  }
}

// --- the link ------------------------------------------------------------------------------------

void World::carry(bool upwards, std::function<void()> deliver) {
  ++outcome_.messages;
  if (chaos_ && faults_.loss && random_.one_in(5)) return;
  const int copies = chaos_ && faults_.duplication && random_.one_in(6) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    base::Instant at = at_ + microseconds(random_.between(200, 6'000));
    const bool late = chaos_ && faults_.long_delay && random_.one_in(25);
    if (late) at += milliseconds(random_.between(100, random_.one_in(4) ? 900'000 : 20'000));
    base::Instant& last = upwards ? last_delivery_up_ : last_delivery_down_;
    if (!late && !(chaos_ && faults_.reordering)) at = std::max(at, last + microseconds(1));
    if (!late) last = std::max(last, at);
    after(at - at_, deliver);
  }
}

void World::send_up(const v1::Up& sent) {
  v1::Up up = sent;
  if (coded_) {
    auto decoded = wire::decode_up(wire::encode(sent));
    if (!decoded)
      return fail(fmt::format("the wire refuses what a sender sends: {}", wire::to_string(decoded.error())));
    up = std::move(*decoded);
  }
  carry(true, [this, up = std::make_shared<const v1::Up>(std::move(up))] {
    const auto bridges = bridges_;
    for (const BridgePtr& bridge : bridges) {
      if (chaos_ && faults_.credit && random_.one_in(40)) bridge->receiver.set_credit(random_.below(4) * 200);
      if (random_.one_in(10)) bridge->receiver.set_credit(1 << 20);
      bridge->receiver.on_up(*up, now());
      pump(bridge);
    }
  });
}

// Every box with this id hears it: they share the topic.
void World::send_down(const v1::Down& down) {
  if (coded_ && !wire::decode_down(wire::encode(down))) return fail("the wire refuses what a receiver sends");
  carry(false, [this, down = std::make_shared<const v1::Down>(down)] {
    const auto boxes = boxes_;
    for (const BoxPtr& box : boxes) {
      if (!box->sender || !box->connected) continue;
      if (down->has_ack()) box->sender->on_ack(down->ack(), at_);
      if (down->has_owner()) box->sender->on_owner(down->owner(), at_);
      pump(box);
    }
  });
}

void World::forge_ack() {
  const BoxPtr box = some_box();
  if (!box || !box->sender) return;
  v1::Down down;
  v1::Ack& ack = *down.mutable_ack();
  const handoff::Epoch epoch = random_.one_in(3) ? random_.id<handoff::Epoch>() : box->sender->epoch().epoch;
  base::Digest digest;
  for (auto& byte : digest.bytes) byte = static_cast<std::uint8_t>(random_.next());
  ack.set_epoch(base::Bytes(epoch.view()));
  ack.set_digest(base::Bytes(digest.view()));
  ack.set_seq(box->sender->seq_of(box->sender->next()).value() + random_.below(3) - random_.below(3));
  if (ack.seq() > wire::kNumberMax) ack.set_seq(1);
  ack.set_credit_bytes(random_.below(100'000));
  if (random_.one_in(3)) ack.set_nonce(random_.next());
  if (ack.has_nonce()) {
    v1::Progress& progress = *ack.mutable_progress();
    progress.set_epoch(ack.epoch());
    progress.set_digest(ack.digest());
    progress.set_seq(ack.seq());
  }
  tell([&] { return "forged: " + describe(down); });
  send_down(down);
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
  ledger_.on_hole({notice}, notice);
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

void World::roll_back() {
  if (!backup_) return;
  tell([&] {
    return fmt::format("the stream is rolled back from {} to {} entries", stream_.entries.size(),
                       backup_->entries.size());
  });
  ledger_.on_rolled_back(stream_, *backup_);
  stream_ = *backup_;
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
    if (box->sender) box->sender->on_trimmed(box->disk.oldest(), box->disk.base(), at_);
  }
  if (turn(faults_.forged_ack, 6)) forge_ack();
  if (turn(faults_.disconnect, 12)) disconnect(box);
  if (turn(faults_.takeover, 25)) take_over();
  if (turn(faults_.roll_back, 30)) backup_ = stream_;
  if (turn(faults_.roll_back, 60)) roll_back();
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

// No more faults; one box is left, and one bridge.
void World::calm() {
  chaos_ = false;
  tell([] { return std::string("--- calm ---"); });
  while (boxes_.size() > 1) {
    const BoxPtr gone = some_box();
    stop(gone);
    std::erase(boxes_, gone);
    discard(gone->disk);
  }
  take_over();
  if (!boxes_.front()->connected) connect(boxes_.front());
}

bool World::converged() const {
  const Box& box = *boxes_.front();
  return box.sender && box.sender->state() == handoff::SenderState::streaming && box.sender->pending() == 0;
}

Outcome World::run() {
  tell([&] { return "faults: " + faults_.describe(); });
  add_box(support::ModelJournal(hasher_, random_));
  take_over();
  const std::uint64_t strikes = random_.between(20, 160);
  for (std::uint64_t i = 0; i < strikes && !outcome_.failure; ++i) {
    run_until(at_ + (random_.one_in(10) ? seconds(random_.between(1, 90)) : milliseconds(random_.between(1, 400))));
    strike();
  }
  calm();
  tap(boxes_.front());
  for (int i = 0; i < 90 && !outcome_.failure && !converged(); ++i) run_until(at_ + minutes(1));
  if (!outcome_.failure && !converged()) fail("does not converge although all is calm");
  if (!outcome_.failure) {
    if (auto problem = ledger_.check(stream_, boxes_.front()->disk, faults_.image || faults_.clone || faults_.memory))
      fail(*problem);
  }
  if (!outcome_.failure && !faults_.forking() && (outcome_.repeats > 0 || !stream_.losses.empty())) {
    fail("possible repeats or losses were told, but nothing could have brought them about");
  }
  outcome_.entries = stream_.entries.size();
  outcome_.losses = stream_.losses.size();
  for (const auto& entry : stream_.entries) {
    outcome_.fingerprint = hasher_.sha256({outcome_.fingerprint.view(), entry.record, entry.epoch.view()});
  }
  return outcome_;
}

Outcome simulate(std::uint64_t seed, std::function<void(const std::string&)> tell) {
  return World(seed, std::move(tell)).run();
}

}  // namespace sim
