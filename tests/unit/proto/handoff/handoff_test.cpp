#include <doctest/doctest.h>

#include "proto/handoff/receiver.hpp"
#include "proto/handoff/sender.hpp"
#include "proto/platform/system.hpp"
#include "tests/support/handoff/model_journal.hpp"
#include "tests/support/seeded_random.hpp"

TEST_CASE("handoff: a lone event travels at once, alone, and is acked when it is committed") {
  support::SeededRandom random(1);
  support::ModelJournal journal(platform::hasher(), random);
  handoff::Sender sender(platform::hasher(), random, {.gateway_id = "shop-1", .program = "test"});
  handoff::Receiver receiver(platform::hasher(), "shop-1", {}, std::nullopt);
  receiver.set_credit(1 << 20);
  base::Now now{base::Instant(std::chrono::seconds(1)), base::UtcTime(std::chrono::seconds(1'700'000'000))};
  std::vector<base::Bytes> stream;
  const auto settle = [&] {
    for (int i = 0; i < 100; ++i) {
      while (auto output = sender.poll(now.instant)) {
        if (auto* send = std::get_if<handoff::Send>(&*output)) receiver.on_up(send->up, now);
        if (auto* store = std::get_if<handoff::StoreEpoch>(&*output)) {
          journal.start_epoch(store->start, store->run);
          sender.on_epoch_stored(now.instant);
        }
        if (auto* acked = std::get_if<handoff::Acked>(&*output)) journal.remember_acked(acked->mark);
        if (auto* read = std::get_if<handoff::Read>(&*output)) {
          sender.on_rows(read->from, journal.read(read->from, read->max_rows, read->max_bytes), now.instant);
        }
      }
      while (auto output = receiver.poll()) {
        if (auto* publish = std::get_if<handoff::Publish>(&*output)) {
          for (const auto& row : publish->rows) stream.push_back(row.record);
          receiver.on_committed(publish->ticket);
        }
        if (auto* reply = std::get_if<handoff::Reply>(&*output)) sender.on_ack(reply->ack, now.instant);
      }
    }
  };
  sender.on_opened(journal.open(random), now.instant);
  sender.on_connected({}, now.instant);
  settle();
  CHECK(sender.state() == handoff::SenderState::streaming);
  const std::vector<base::Bytes> records{"a tap"};
  sender.on_appended(journal.append(records), records, now.instant);
  settle();
  CHECK(stream == records);
  CHECK(sender.acked() == handoff::Row(1));
}
