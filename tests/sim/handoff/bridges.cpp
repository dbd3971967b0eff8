// World's bridges, the stream that they commit to, and the link.
#include "tests/sim/handoff/world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "proto/wire/codec.hpp"
#include "tests/sim/story/messages.hpp"

namespace sim {
namespace {

namespace v1 = tillstream::v1;
using std::chrono::microseconds;
using std::chrono::milliseconds;

}  // namespace

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
      const bool repeated = ledger_.on_published(row.record, publish.epoch);
      if (faults_.only_stream_loses() && repeated != publish.possible_repeat) {
        return fail(fmt::format("{} {} marked possible_repeat", row.record.substr(0, row.record.find(' ')),
                                repeated ? "was acked under another epoch and is not" : "is published first and"));
      }
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

void World::carry(bool upwards, const std::function<void()>& deliver) {
  ++outcome_.messages;
  if (chaos_ && faults_.loss && random_.one_in(5)) return;
  const int copies = chaos_ && faults_.duplication && random_.one_in(6) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    base::Instant arrival = at() + microseconds(random_.between(200, 6'000));
    const bool late = chaos_ && faults_.long_delay && random_.one_in(25);
    if (late) arrival += milliseconds(random_.between(100, random_.one_in(4) ? 900'000 : 20'000));
    base::Instant& last = upwards ? last_delivery_up_ : last_delivery_down_;
    if (!late && !(chaos_ && faults_.reordering)) arrival = std::max(arrival, last + microseconds(1));
    if (!late) last = std::max(last, arrival);
    after(arrival - at(), deliver);
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
      bridge->receiver.on_up(*up, clock_.now());
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
      if (down->has_ack()) box->sender->on_ack(down->ack(), at());
      if (down->has_owner()) box->sender->on_owner(down->owner(), at());
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

}  // namespace sim
