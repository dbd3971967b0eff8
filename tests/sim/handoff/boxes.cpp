// World's boxes: a journal, a sender, and what runs between them.
#include "tests/sim/handoff/world.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tests/sim/story/messages.hpp"

namespace sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

}  // namespace

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
  box->sender->on_opened(state, at());
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
  box->sender->on_connected({.receive_maximum = receive_maximum}, at());
  pump(box);
}

void World::disconnect(const BoxPtr& box) {
  if (!box->sender || !box->connected) return;
  box->connected = false;
  box->sender->on_disconnected(at());
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
  box->sender->on_appended(first, records, at());
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

// The journal does what it is asked a little later, in the order in which it was asked, and answers at once then.
void World::request(const BoxPtr& box, std::function<void(Box&)> act) {
  ++box->requests;
  box->journal_free_at =
      std::max(box->journal_free_at + microseconds(1), at() + microseconds(random_.between(50, 3'000)));
  after(box->journal_free_at - at(), [this, box, life = box->life, act = std::move(act)] {
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
      one.sender->on_rows(first, one.disk.read(wanted.from, wanted.max_rows, wanted.max_bytes), at());
    });
  } else if (auto* store = std::get_if<handoff::StoreEpoch>(&output)) {
    request(box, [this, wanted = *store](Box& one) {
      one.disk.start_epoch(wanted.start, wanted.run);
      one.sender->on_epoch_stored(at());
    });
  } else if (auto* acked = std::get_if<handoff::Acked>(&output)) {
    const handoff::Row before = box->disk.acked().row;
    if (auto problem = ledger_.check_acked(box->disk, before.next(), acked->mark.row)) fail(*problem);
    for (handoff::Row row = before.next(); row <= acked->mark.row; ++row) ledger_.on_acked(box->disk.at(row));
    box->disk.remember_acked(acked->mark);
  } else if (std::holds_alternative<handoff::Reconnect>(output)) {
    tell([&] { return fmt::format("box {}: watchdog", box->number); });
    after(microseconds(1), [this, box, life = box->life] {
      if (box->life == life) disconnect(box);
    });
  } else if (auto* notice = std::get_if<handoff::AppendNotice>(&output)) {
    if (notice->name == "duplicate_window_shrunk" && !faults_.salvage && !faults_.stream_loses()) {
      if (auto problem = Ledger::check_shrunk(stream_, box->disk)) fail(*problem);
    }
    request(box, [this, box, name = notice->name](Box&) { append(box, {fmt::format("notice-{}-{}", name, ++taps_)}); });
  } else if (auto* alarm = std::get_if<handoff::Alarm>(&output)) {
    tell([&] { return fmt::format("box {}: alarm {}", box->number, static_cast<int>(alarm->kind)); });
    if (alarm->kind == handoff::AlarmKind::epoch_forked) ++outcome_.forks;
  }
}

void World::pump(const BoxPtr& box) {
  if (!box->sender) return;
  for (int i = 0; auto output = box->sender->poll(at()); ++i) {
    if (i > 10'000) return fail("a sender that never comes to rest");
    execute(box, *output);
    if (!box->sender) return;
  }
  const auto wakeup = box->sender->wakeup_at();
  if (!wakeup || (box->wakeup && *box->wakeup <= *wakeup && *box->wakeup > at())) return;
  box->wakeup = wakeup;
  after(std::max<base::Instant::duration>(*wakeup - at(), microseconds(1)), [this, box, life = box->life] {
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

}  // namespace sim
