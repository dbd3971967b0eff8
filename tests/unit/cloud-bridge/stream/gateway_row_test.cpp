#include "cloud-bridge/stream/gateway_row.hpp"

#include <doctest/doctest.h>

namespace {

stream::GatewayState state() {
  handoff::Epoch epoch;
  epoch.bytes.fill(0x11);
  return {.gateway_id = "shop-1",
          .last_heard_at = base::UtcTime(std::chrono::milliseconds(1'764'000'000'000)),
          .progress = handoff::Place{.epoch = epoch, .seq = handoff::Seq(7), .digest = {}}};
}

}  // namespace

TEST_CASE("gateway row: says what the last heartbeat said") {
  tillstream::v1::Heartbeat heartbeat;
  heartbeat.set_pending_events(3);
  auto* amount = heartbeat.add_pending_amounts();
  amount->set_currency("EUR");
  amount->set_amount_minor(-12);
  amount->set_count(2);
  heartbeat.set_oldest_pending_at_ms(1'763'999'990'000);
  heartbeat.set_complete_until_ms(1'763'999'989'999);
  heartbeat.set_clock_synced(true);
  heartbeat.set_certificate_days_left(-1);
  heartbeat.mutable_versions()->set_program("0.1.0");
  auto from = state();
  from.heartbeat = &heartbeat;
  CHECK(
      stream::render_gateway_row(from).value ==
      R"({"gateway_id":"shop-1","last_heard_at":"2025-11-24T16:00:00.000Z","epoch":"11111111111111111111111111111111",)"
      R"("committed_seq":7,"pending_events":3,"pending_amounts":[{"currency":"EUR","amount_minor":-12,"count":2}],)"
      R"("oldest_pending_at":"2025-11-24T15:59:50.000Z","complete_until":"2025-11-24T15:59:49.999Z","clock":"synced",)"
      R"("certificate_days_left":-1,"version":"0.1.0"})");

  // A clock that is not synchronised can promise nothing.
  heartbeat.set_clock_synced(false);
  CHECK(stream::render_gateway_row(from).value.find("complete_until") == std::string::npos);
  // Nor is there a way to write a time beyond the year 9999.
  heartbeat.set_oldest_pending_at_ms(INT64_MAX);
  CHECK(stream::render_gateway_row(from).value.find("oldest_pending_at") == std::string::npos);
}

TEST_CASE("gateway row: before the first progress and heartbeat there is little to say") {
  auto from = state();
  from.progress.reset();
  from.quarantined = true;
  CHECK(stream::render_gateway_row(from).value ==
        R"({"gateway_id":"shop-1","last_heard_at":"2025-11-24T16:00:00.000Z","quarantined":true})");
}
